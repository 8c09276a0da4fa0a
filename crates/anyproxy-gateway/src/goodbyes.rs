//! The sessions' goodbyes at shutdown: that all are said before a tunnel closes, and when clients may come back.
//!
//! Clients that lost one gateway at the same moment come back at the same moment, to this one when it starts again
//! or to another. So each is told to wait for a random part of a time that grows with their number.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyproxy_runtime::Deadline;
use tokio::sync::watch;

/// Clients that may come back in a second. A handshake costs about a millisecond of one core.
const RETURNS_PER_SECOND: u32 = 200;

/// As many need no spreading.
const FEW: usize = 20;

/// However many they are, nobody waits longer.
const LONGEST: Duration = Duration::from_secs(30);

/// The least pause of a client that came back while this gateway still drains: the next one may listen at any moment,
/// and to be refused costs a handshake of TLS.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How long a goodbye may take to leave, when it was said: closing a QUIC connection discards what is unsent.
const LEAVES: Duration = Duration::from_millis(20);

/// A tunnel that takes nothing, perhaps because its client is dead, does not hold the others up for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Counts the sessions that have not said goodbye.
#[derive(Debug)]
pub(crate) struct Goodbyes {
    unsaid: watch::Sender<usize>,
    /// Settled by the first goodbye.
    reconnect_after: OnceLock<Duration>,
}

/// A session's goodbye, which dropping takes for said.
#[derive(Debug)]
pub(crate) struct Unsaid(Arc<Goodbyes>);

impl Goodbyes {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { unsaid: watch::Sender::new(0), reconnect_after: OnceLock::new() })
    }

    /// One more session.
    pub(crate) fn expect(self: &Arc<Self>) -> Unsaid {
        self.unsaid.send_modify(|unsaid| *unsaid = unsaid.saturating_add(1));
        Unsaid(Arc::clone(self))
    }

    /// Over how long all clients are to spread. The same for all of one shutdown.
    pub(crate) fn reconnect_after(&self) -> Duration {
        *self.reconnect_after.get_or_init(|| reconnect_after(*self.unsaid.borrow()))
    }

    /// How long to wait for those who come while this gateway drains. They were spread by their goodbyes, and stay so.
    pub(crate) fn retry_after(&self) -> Duration {
        self.reconnect_after().max(TRY_AGAIN)
    }

    /// Waits until every session has said goodbye or is over, a second at most, and what was said has had its time
    /// to leave. Cancel safe.
    pub(crate) async fn said(&self) {
        let mut unsaid = self.unsaid.subscribe();
        if *unsaid.borrow_and_update() == 0 {
            return;
        }
        // The sender is ours, so it cannot be gone.
        let all = async { drop(unsaid.wait_for(|unsaid| *unsaid == 0).await) };
        let _late = Deadline::after(LONGEST_WAIT).bound(all).await;
        tokio::time::sleep(LEAVES).await;
    }
}

impl Drop for Unsaid {
    fn drop(&mut self) {
        self.0.unsaid.send_modify(|unsaid| *unsaid = unsaid.saturating_sub(1));
    }
}

fn reconnect_after(sessions: usize) -> Duration {
    if sessions <= FEW {
        return Duration::ZERO;
    }
    let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
    (Duration::from_secs(1).saturating_mul(sessions) / RETURNS_PER_SECOND).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn the_time_to_come_back_grows_with_the_number_of_sessions() {
        for (sessions, seconds) in [(0, 0), (20, 0), (200, 1), (1000, 5), (6000, 30), (100_000, 30)]
        {
            assert_eq!(reconnect_after(sessions), Duration::from_secs(seconds), "{sessions}");
        }
        assert_eq!(reconnect_after(usize::MAX), LONGEST);
    }

    #[test]
    fn it_is_settled_by_the_first_goodbye() {
        let goodbyes = Goodbyes::new();
        let mut sessions: Vec<_> = (0..200).map(|_| goodbyes.expect()).collect();
        for _ in 0..200 {
            assert_eq!(goodbyes.reconnect_after(), Duration::from_secs(1));
            sessions.pop();
        }
    }

    #[test]
    fn who_is_back_too_early_tries_again_as_soon_as_the_number_of_sessions_allows() {
        for (sessions, seconds) in [(0, 1), (20, 1), (200, 1), (1000, 5)] {
            let goodbyes = Goodbyes::new();
            let _sessions: Vec<_> = (0..sessions).map(|_| goodbyes.expect()).collect();
            assert_eq!(goodbyes.retry_after(), Duration::from_secs(seconds), "{sessions}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_goodbye_is_waited_for_but_not_for_ever() {
        let goodbyes = Goodbyes::new();
        let began = Instant::now();
        goodbyes.said().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "nobody to wait for");
        let sessions = [goodbyes.expect(), goodbyes.expect()];
        let saying = async {
            for session in sessions {
                tokio::time::sleep(LEAVES).await;
                drop(session);
            }
        };
        tokio::join!(goodbyes.said(), saying);
        let took = began.elapsed();
        assert!(took >= 3 * LEAVES && took < 4 * LEAVES, "{took:?}");
        let _silent = goodbyes.expect();
        let began = Instant::now();
        goodbyes.said().await;
        assert!(began.elapsed() >= LONGEST_WAIT && began.elapsed() < 2 * LONGEST_WAIT);
    }
}
