//! Liveness: when to ping, and when a peer counts as dead (`docs/protocol.md` section 10).
//!
//! ```text
//! last byte ── interval ──▶ Ping ── interval ──▶ Ping ── … ── dead_after ──▶ Dead
//! ```
//!
//! Any received byte starts over. The caller sleeps until [`Heartbeat::deadline`] and polls; a
//! late poll (a laptop that slept) is plain silence: one Ping, or death, never a burst.

use std::time::{Duration, Instant};

/// Below this a ping interval would keep a core busy.
const SHORTEST: Duration = Duration::from_millis(1);

/// Keeps sums of instants in range, whatever a peer announced.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What a side does about silence. It keeps no clock: the time is an argument.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    interval: Duration,
    dead_after: Duration,
    last_received: Instant,
    /// The silence at which the next Ping is due.
    next_ping: Duration,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Beat {
    /// Nothing yet.
    Idle,
    /// Send a Ping.
    Ping,
    /// Close the tunnel with [`CloseCode::PeerDead`](crate::codes::CloseCode::PeerDead).
    Dead,
}

impl Heartbeat {
    /// Starts with a life sign at `now`. Both times are kept between a millisecond and a year.
    pub fn new(now: Instant, interval: Duration, dead_after: Duration) -> Self {
        let interval = interval.clamp(SHORTEST, LONGEST);
        let dead_after = dead_after.clamp(SHORTEST, LONGEST);
        Self { interval, dead_after, last_received: now, next_ping: interval }
    }

    /// Bytes came in, of whatever kind. Time never runs backwards: an earlier `now` is ignored.
    pub fn received(&mut self, now: Instant) {
        if now >= self.last_received {
            self.last_received = now;
            self.next_ping = self.interval;
        }
    }

    /// What is due at `now`. Each Ping is asked for once, one per interval of silence; the answer
    /// stays [`Beat::Dead`] until bytes come in.
    pub fn poll(&mut self, now: Instant) -> Beat {
        let silence = now.saturating_duration_since(self.last_received);
        if silence >= self.dead_after {
            return Beat::Dead;
        }
        if silence < self.next_ping {
            return Beat::Idle;
        }
        let intervals =
            silence.as_nanos().checked_div(self.interval.as_nanos()).unwrap_or_default();
        let passed = u32::try_from(intervals).unwrap_or(u32::MAX);
        self.next_ping = self.interval.saturating_mul(passed.saturating_add(1));
        Beat::Ping
    }

    /// When to poll next.
    pub fn deadline(&self) -> Instant {
        let silence = self.next_ping.min(self.dead_after);
        self.last_received.checked_add(silence).unwrap_or(self.last_received)
    }
}

#[cfg(test)]
mod tests;
