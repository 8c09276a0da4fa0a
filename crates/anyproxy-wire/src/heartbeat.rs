//! Liveness: when to ping, when a peer is suspected, and when it counts as dead
//! (`docs/protocol.md` section 10).
//!
//! ```text
//! last byte ── interval ──▶ Ping ── interval ──▶ Ping ── … ──────────── dead_after ──▶ Dead
//! something sent that is answered at once ── patience ──▶ suspected: Ping ── patience ──▶ Ping ── …
//! ```
//!
//! Any received byte starts over. The caller sleeps until [`Heartbeat::deadline`] and polls.
//!
//! *Suspicion* begins when something has been unanswered for max(3 s, 4 × RTO) without a byte (see
//! [`Heartbeat::set_rtt`]). It closes nothing: networks do pause for seconds (a lift, a handover, a full
//! queue), and what is live on the tunnel is worth more than a quick verdict. What it does: another Ping goes out at once
//! and then again and again, so that a network that heals is noticed within one such time and not after a back-off
//! that doubled all the while; and whoever has another tunnel or session puts what is new there. The verdict
//! is left to `dead_after`.
//!
//! *Who did not listen cannot have heard.* A poll that comes much too late means that this process, or its
//! machine, was stopped; bytes may wait in the kernel. [`Heartbeat::doubt`] tells of silence that the
//! clock of `now` did not count, as Linux's does not in suspend. Either way the peer is asked first and has the time of a suspicion to answer. If it does not,
//! the silence counts in full: a peer that has heard nothing from here for `dead_after` has given the tunnel up itself.

use std::time::{Duration, Instant};

/// Below this a ping interval would keep a core busy.
const SHORTEST: Duration = Duration::from_millis(1);

/// Keeps sums of instants in range, whatever a peer announced.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The least time that an answer is waited for before the peer is suspected.
const LEAST_PATIENCE: Duration = Duration::from_secs(3);

/// Retransmission time-outs without an answer that make a suspicion.
const TIMEOUTS: u32 = 4;

/// What a sender adds to twice the round trip before it sends again: the peer may hold an acknowledgement
/// back for 25 ms (RFC 9000 section 13.2.1), and timers are coarse.
const SLACK: Duration = Duration::from_millis(50);

/// A poll that is later than this was held up by something that held up receiving, too.
const LATE: Duration = Duration::from_secs(2);

/// What a side does about silence. It keeps no clock: the time is an argument.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    interval: Duration,
    dead_after: Duration,
    /// How long an answer may take.
    patience: Duration,
    last_received: Instant,
    /// Silence since then that the clock did not count.
    uncounted: Duration,
    /// Since when an answer is due.
    asked: Option<Instant>,
    suspicion: Suspicion,
    next_ping: Instant,
    /// The peer has until then to show that it lives, whatever the silence.
    grace: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suspicion {
    None,
    Suspected,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Beat {
    /// Nothing yet.
    Idle,
    /// Send a Ping, ahead of all data.
    Ping,
    /// Close the tunnel with [`CloseCode::PeerDead`](crate::codes::CloseCode::PeerDead).
    Dead,
}

impl Heartbeat {
    /// Starts with a life sign at `now`. Both times are kept between a millisecond and a year.
    pub fn new(now: Instant, interval: Duration, dead_after: Duration) -> Self {
        let interval = interval.clamp(SHORTEST, LONGEST);
        Self {
            interval,
            dead_after: dead_after.clamp(SHORTEST, LONGEST),
            patience: LEAST_PATIENCE,
            last_received: now,
            uncounted: Duration::ZERO,
            asked: None,
            suspicion: Suspicion::None,
            next_ping: later(now, interval),
            grace: None,
        }
    }

    /// The smoothed round-trip time. Four retransmission time-outs of it, but at least 3 s, make a suspicion;
    /// neither transport tells its time-out, which is about two round trips (RFC 6298, RFC 9002).
    pub fn set_rtt(&mut self, rtt: Duration) {
        let timeout = rtt.saturating_mul(2).saturating_add(SLACK);
        self.patience = timeout.saturating_mul(TIMEOUTS).clamp(LEAST_PATIENCE, LONGEST);
    }

    /// Bytes came in, of whatever kind. Time never runs backwards: an earlier `now` is ignored.
    pub fn received(&mut self, now: Instant) {
        if now >= self.last_received {
            self.last_received = now;
            self.uncounted = Duration::ZERO;
            self.asked = None;
            self.suspicion = Suspicion::None;
            self.next_ping = later(now, self.interval);
            self.grace = None;
        }
    }

    /// More than life signs came in. When such bytes stop, the peer is asked after the time of a suspicion and not
    /// after a whole interval: who only receives cannot tell a sender that rests from a network that is
    /// gone, nor does it learn that its own address has changed and what is sent to the old one is lost.
    pub fn received_data(&mut self, now: Instant) {
        self.received(now);
        self.next_ping = self.next_ping.min(later(self.last_received, self.patience));
    }

    /// Something went out that the peer, or its transport, answers at once. A Ping that
    /// [`poll`](Self::poll) asked for need not be told.
    pub fn asked(&mut self, now: Instant) {
        self.asked.get_or_insert(now);
    }

    /// There is a reason to ask at once. Unless the peer answers, `silence` counts beside what the clock of `now` has
    /// counted: what the machine slept; zero where nothing is known; [`Duration::MAX`] where no answer is
    /// proof enough.
    pub fn doubt(&mut self, now: Instant, silence: Duration) {
        self.uncounted = self.uncounted.saturating_add(silence).min(LONGEST);
        self.ask_first(now);
    }

    /// What is due at `now`. Each Ping is asked for once; the answer stays [`Beat::Dead`] until bytes
    /// come in.
    pub fn poll(&mut self, now: Instant) -> Beat {
        if now.saturating_duration_since(self.deadline()) > LATE {
            self.ask_first(now);
        }
        if now >= self.death() {
            return Beat::Dead;
        }
        let suspected = self.suspected_at().is_some_and(|at| at <= now);
        if suspected && self.suspicion == Suspicion::None {
            self.suspicion = Suspicion::Suspected;
            self.next_ping = now;
        }
        if now < self.next_ping {
            return Beat::Idle;
        }
        self.asked(now);
        let pause = match self.suspicion {
            Suspicion::None => self.interval,
            Suspicion::Suspected => self.interval.min(self.patience),
        };
        self.next_ping = later(now, pause);
        Beat::Ping
    }

    /// Whether something has been unanswered for so long that the peer may be gone.
    #[must_use]
    pub fn is_suspected(&self) -> bool {
        self.suspicion == Suspicion::Suspected
    }

    /// When to poll next.
    pub fn deadline(&self) -> Instant {
        let suspected = self.suspected_at().filter(|_| self.suspicion == Suspicion::None);
        let next = self.next_ping.min(self.death());
        suspected.map_or(next, |at| at.min(next))
    }

    fn suspected_at(&self) -> Option<Instant> {
        self.asked.map(|asked| later(asked, self.patience))
    }

    fn death(&self) -> Instant {
        let death = later(self.last_received, self.dead_after.saturating_sub(self.uncounted));
        self.grace.map_or(death, |grace| grace.max(death))
    }

    fn ask_first(&mut self, now: Instant) {
        self.next_ping = now;
        // Doubts that come faster than answers may take do not put the verdict off.
        if self.grace.is_none_or(|until| until <= now) {
            self.grace = Some(later(now, self.patience));
            self.asked = None;
        }
    }
}

/// Times are at most a year, so this never overflows on a real clock.
fn later(instant: Instant, by: Duration) -> Instant {
    instant.checked_add(by).unwrap_or(instant)
}

#[cfg(test)]
mod tests;
