//! Sessions that take no new connections any more (Goaway), beside the one that takes them.
//!
//! ```text
//! session ─ Goaway ─┬─ former: its tunnel stays until the gateway closes it, so that live connections finish
//!                   └─ pause: a random part of "reconnect after" ─ next session, perhaps at another gateway
//! ```

use std::{sync::Arc, time::Duration};

use anyproxy_runtime::Scope;
use anyproxy_transport::{ClosedBy, Tunnel};
use anyproxy_wire::{backoff::Backoff, codes::CloseCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connection::Exit;

/// Former sessions at once, at most; a gateway that says Goaway again and again gets no more tunnels.
const MOST: usize = 4;

/// The former sessions of one replica.
#[derive(Debug)]
pub(crate) struct FormerSessions {
    room: Arc<Semaphore>,
}

/// A session on its way out.
pub(crate) struct Former {
    tunnel: Tunnel,
    exit: Arc<Exit>,
    /// Where its connections run.
    connections: Scope,
    _room: OwnedSemaphorePermit,
}

impl Default for FormerSessions {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(MOST)) }
    }
}

impl FormerSessions {
    /// Makes room for one more; `None` when there are too many.
    pub(crate) fn add(
        &self,
        tunnel: Tunnel,
        exit: &Arc<Exit>,
        connections: &Scope,
    ) -> Option<Former> {
        let room = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let (exit, connections) = (Arc::clone(exit), connections.clone());
        Some(Former { tunnel, exit, connections, _room: room })
    }
}

impl Former {
    /// Serves what is left until the tunnel is over; `scope` ends it earlier. Run it to its end.
    pub(crate) async fn run(self, scope: Scope) {
        // For flows that crossed the Goaway; those from before have their own share.
        let flows = Arc::new(Semaphore::new(self.tunnel.max_flows().min(Semaphore::MAX_PERMITS)));
        let error = loop {
            tokio::select! {
                biased;
                error = self.tunnel.closed() => break error,
                () = scope.cancelled() => {
                    self.tunnel.close(CloseCode::Shutdown, "the client is shutting down");
                }
                // Answers to what was asked before; nothing is asked any more.
                frame = self.tunnel.recv_control() => if let Err(error) = frame { break error },
                // Opens that crossed the Goaway.
                incoming = self.tunnel.accept() => match incoming {
                    Ok(incoming) => {
                        let (exit, flows) = (Arc::clone(&self.exit), Arc::clone(&flows));
                        let serving = exit.serve(self.tunnel.clone(), flows, incoming);
                        self.connections.spawn("connection", serving);
                    }
                    Err(error) => break error,
                },
            }
        };
        if matches!(error, anyproxy_transport::TunnelError::Closed { by: ClosedBy::Us, .. }) {
            self.tunnel.farewell().await;
        }
        tracing::debug!(reason = %error, "former session over");
    }
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
