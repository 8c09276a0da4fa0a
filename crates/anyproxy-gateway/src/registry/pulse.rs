//! Whether a session's client still answers.
//!
//! A client that is killed, or whose host loses its power, says nothing. QUIC notices after its idle
//! time-out, a WebSocket whose TCP connection vanished too. Until then the session looks as good as
//! any, and connections that go there wait. So whoever opens one watches, or sends a request over one
//! that was kept: the client's transport answers within a round trip, whatever the target does (QUIC
//! acknowledges all that is sent; over a WebSocket a Ping goes along). When nothing at all has come
//! for several, the session counts as silent until something comes: others are asked first, and what
//! waits there is tried elsewhere too.
//!
//! Beside that, a tunnel suspects its peer by itself when something has been unanswered for seconds
//! ([`Tunnel::is_suspected`]): nobody need have asked lately for the session to be a last resort.
//!
//! A flow has no answers to wait for, and moving one to another session changes the address that its
//! target sees. So who sends into one looks at the session alone, and takes more time.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyproxy_transport::{Stats, Tunnel};

/// The shortest silence that says something: acknowledgements may be held back for 25 ms
/// (RFC 9000 section 13.2.1), and a busy host is slow.
const LEAST: Duration = Duration::from_millis(250);

/// Round trips of silence that say something.
const ROUND_TRIPS: u32 = 4;

/// The shortest silence that says something to a flow.
pub(super) const LEAST_OF_FLOWS: Duration = Duration::from_secs(1);

/// How often it is looked whether something has come.
const LOOKS: u32 = 16;

/// What was last seen of a session's client.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// One more than the bytes that had come when it was found silent; 0: it never was.
    silent_at: AtomicU64,
}

impl Pulse {
    /// Whether it was found silent, and nothing has come since.
    pub(super) fn is_silent(&self, tunnel: &Tunnel) -> bool {
        let silent_at = self.silent_at.load(Ordering::Relaxed);
        silent_at != 0 && silent_at == mark(&tunnel.stats())
    }

    /// See [`Lane::silent`](super::Lane::silent).
    pub(super) async fn silent(&self, tunnel: &Tunnel) {
        if !self.stays_silent(tunnel, LEAST).await {
            std::future::pending::<()>().await;
        }
    }

    /// See [`Lane::stays_silent`](super::Lane::stays_silent).
    pub(super) async fn stays_silent(&self, tunnel: &Tunnel, least: Duration) -> bool {
        let stats = tunnel.stats();
        let before = mark(&stats);
        // Without it the only answer may be that of the target, which may take its time.
        tunnel.probe();
        tokio::time::sleep(least.max(patience(&stats))).await;
        let silent = mark(&tunnel.stats()) == before;
        if silent {
            self.silent_at.store(before, Ordering::Relaxed);
        }
        silent
    }

    /// See [`Lane::heard`](super::Lane::heard).
    pub(super) async fn heard(&self, tunnel: &Tunnel) {
        let mut stats = tunnel.stats();
        let before = mark(&stats);
        while mark(&stats) == before {
            tokio::time::sleep(patience(&stats) / LOOKS).await;
            stats = tunnel.stats();
        }
    }
}

fn mark(stats: &Stats) -> u64 {
    stats.received.saturating_add(1)
}

/// How long a silence has to be.
fn patience(stats: &Stats) -> Duration {
    LEAST.max(stats.rtt.saturating_mul(ROUND_TRIPS))
}
