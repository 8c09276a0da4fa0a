//! Whether the sender gets far less through than it did, whoever controls the congestion.
//!
//! ```text
//! window.rs ── bytes acknowledged, acks while there was nothing to send ──▶ pulse.rs ── a look now and then ──▶ Meter
//! ```
//!
//! A controller that follows the rate fits itself to a throttle: it loses nothing and fills no queue, so neither shows.
//! What shows is that it sends all the time and gets little through. *All the time* is quinn's word: it calls a
//! connection limited by its application when the last thing it could send was sent, and neither the window nor the
//! pacer held anything back. Stream data counts only within the peer's limits and ours, so a reader who rests and
//! credit that is used up count as the application. Where credit keeps less on the way than the queue of a
//! throttle takes, the window never binds; then the round trips show it.
//!
//! Without acknowledgements nothing is judged: that is silence, and somebody else's matter.

use std::time::{Duration, Instant};

use crate::rates::{Rates, rate};

/// The least time over which a rate is measured.
const WINDOW: Duration = Duration::from_secs(1);

/// Such windows in a row make a strain: what passes by itself (a restart of the controller, a burst of losses,
/// the start of a stream) takes less.
const WINDOWS: u32 = 5;

/// A rate of so much less than the best. Where many users come and go, or a radio link gets worse, it is less
/// than that; throttles are far more.
const FRACTION: u64 = 16;

/// A link that never had so many bytes in a second is not judged: a sixteenth of it is three packets.
const LEAST_BEST: u64 = 64 * 1024;

/// Round trips of a full queue, if they are also so much longer than the session's least.
const SLOW: Duration = Duration::from_secs(1);
const SLOWER_THAN_LEAST: u32 = 8;

/// What a sender's controller counts on the path that it has; both only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reading {
    /// Bytes of packets that were acknowledged.
    pub(super) acked: u64,
    /// Acknowledgements that came while there was nothing more to send.
    pub(super) idle: u64,
    /// The round-trip time.
    pub(super) rtt: Duration,
}

/// Judges the readings of one path.
#[derive(Debug)]
pub(super) struct Meter {
    began: Instant,
    last: Reading,
    slow: bool,
    /// Windows in a row in which little passed.
    poor: u32,
}

impl Meter {
    pub(super) fn new(now: Instant, reading: Reading) -> Self {
        Self { began: now, last: reading, slow: true, poor: 0 }
    }

    /// Takes a reading, and notes among the session's rates what it makes. Says whether a window has ended and
    /// the tunnel is strained.
    pub(super) fn look(&mut self, now: Instant, reading: Reading, rates: &Rates) -> bool {
        let least = rates.least_rtt(now, reading.rtt);
        self.slow &= reading.rtt >= SLOW.max(least.saturating_mul(SLOWER_THAN_LEAST));
        let time = now.saturating_duration_since(self.began);
        let acked = reading.acked.saturating_sub(self.last.acked);
        if time < WINDOW || acked == 0 {
            return false;
        }
        let held_back = self.slow || reading.idle == self.last.idle;
        let rate = rate(acked, time);
        let best = rates.note(now, rate);
        let poor = held_back && best >= LEAST_BEST && rate <= best / FRACTION;
        self.poor = if poor { self.poor.saturating_add(1) } else { 0 };
        (self.began, self.last, self.slow) = (now, reading, true);
        self.poor >= WINDOWS
    }
}

#[cfg(test)]
mod tests;
