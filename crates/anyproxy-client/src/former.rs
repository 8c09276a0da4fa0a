//! Sessions that take no new connections any more (Goaway), beside the one that takes them.
//!
//! ```text
//! session ─ Goaway ─┬─ former: its tunnels stay until the gateway closes them, so that live connections finish
//!                   └─ pause: a random part of "reconnect after" ─ next session, perhaps at another gateway
//! ```

use std::{sync::Arc, time::Duration};

use anyproxy_runtime::Scope;
use anyproxy_wire::{backoff::Backoff, codes::CloseCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::lanes::Lanes;

/// Former sessions at once, at most; a gateway that says Goaway again and again gets no more tunnels.
const MOST: usize = 4;

/// The former sessions of one replica.
#[derive(Debug)]
pub(crate) struct FormerSessions {
    room: Arc<Semaphore>,
}

/// The place of one of them; given back on drop.
pub(crate) struct Place(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

impl Default for FormerSessions {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(MOST)) }
    }
}

impl FormerSessions {
    /// Makes room for one more; `None` when there are too many.
    pub(crate) fn enter(&self) -> Option<Place> {
        Arc::clone(&self.room).try_acquire_owned().ok().map(Place)
    }
}

/// Serves what is left, and Opens that crossed the Goaway, until the last tunnel is over; `scope` ends it earlier.
/// Nothing is asked any more. Run it to its end.
pub(crate) async fn run(mut lanes: Lanes, scope: Scope, _place: Place) {
    let error = tokio::select! {
        biased;
        error = lanes.finish() => Some(error),
        () = scope.cancelled() => None,
    };
    let error = match error {
        Some(error) => error,
        None => {
            lanes.close(CloseCode::Shutdown, "the client is shutting down");
            lanes.finish().await
        }
    };
    tracing::debug!(reason = %error, "former session over");
}

/// The pause before the next session: a random part of what the gateway asks for; `random` is uniform over all of
/// `u64`. It is one of many that were told the same.
pub(crate) fn spread(reconnect_after: Duration, random: u64) -> Duration {
    let longest = reconnect_after.min(Backoff::LONGEST_WISH).as_nanos();
    // At most an hour, 2^42 ns, so the product stays below 2^106.
    let part = longest.saturating_mul(u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_storm_is_spread_evenly_over_what_the_gateway_asks_for() {
        const CLIENTS: u64 = 1000;
        let mut buckets = [0_u32; 10];
        for client in 0..CLIENTS {
            // Evenly over all random numbers; what is tested is the map from them to pauses.
            let random = u64::MAX / CLIENTS * client;
            let pause = spread(5 * SECOND, random);
            assert!(pause < 5 * SECOND);
            buckets[usize::try_from(pause.as_millis() / 500).unwrap()] += 1;
        }
        assert!(buckets.iter().all(|count| (99..=101).contains(count)), "{buckets:?}");
    }

    #[test]
    fn nothing_is_nothing_and_too_much_is_cut() {
        assert_eq!(spread(Duration::ZERO, u64::MAX), Duration::ZERO);
        assert!(spread(Duration::MAX, u64::MAX) <= Backoff::LONGEST_WISH);
    }
}
