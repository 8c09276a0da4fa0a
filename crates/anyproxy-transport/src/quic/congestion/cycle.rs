//! The cycle of a connection that knows its path (draft-ietf-ccwg-bbr, 4.3.3).
//!
//! ```text
//! Down ──a round trip below the path's volume──▶ Cruise ──some rounds──▶ Up ──no gain──▶ Down
//! ```
//!
//! Down empties the queue that Up made, and shows what the path is like without us pressing: its own
//! delay, its own loss, and whether somebody else keeps a queue. Cruise spends its time at the rate
//! found; how long is drawn by lot, so that flows do not probe in step. Up asks for more.

use std::time::{Duration, Instant};

use super::units::Rate;

/// Growth during Up that makes it worth going on.
const GAIN: f64 = 1.1;

/// Longest Down, in rounds; in flight may stay high when the estimates are wrong.
const LONGEST_DOWN: u32 = 4;

/// Of this many cycles beside a foreign queue one empties our own share of it, to see whether the
/// queue still is foreign.
const DEEP_EVERY: u32 = 4;

/// Where the cycle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Below the path's volume.
    Down,
    /// At it.
    Cruise,
    /// Above it.
    Up,
}

/// What the cycle looks at when a round ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs {
    /// Best rate of the last rounds.
    pub(super) bw: Rate,
    /// There is a queue, or congestion loss: no room.
    pub(super) pressed: bool,
}

/// The state of the cycle.
#[derive(Debug, Clone)]
pub(super) struct Cycle {
    phase: Phase,
    rounds: u32,
    cruise: u32,
    count: u32,
    settled: Option<Instant>,
    bw: Rate,
    lot: u64,
}

impl Cycle {
    /// Starts with Down. `seed` is for the lots.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            phase: Phase::Down,
            rounds: 0,
            cruise: 0,
            count: 0,
            settled: None,
            bw: Rate::default(),
            lot: seed | 1,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether this Down gives way for good, even beside a foreign queue.
    pub(super) fn is_deep(&self) -> bool {
        self.count.is_multiple_of(DEEP_EVERY)
    }

    /// Goes to Down, from wherever it is.
    pub(super) fn go_down(&mut self) {
        self.enter(Phase::Down);
        self.count = self.count.wrapping_add(1);
        self.settled = None;
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.rounds = 0;
    }

    /// What is in flight has come down to the window.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.phase == Phase::Down && self.settled.is_none() {
            self.settled = Some(now);
        }
    }

    /// Acknowledgements came in: Down ends `rtt`, the path's own time, after it settled.
    pub(super) fn on_acks(&mut self, now: Instant, rtt: Duration) {
        let calm = self.settled.is_some_and(|at| now.saturating_duration_since(at) >= rtt);
        if self.phase == Phase::Down && (calm || self.rounds >= LONGEST_DOWN) {
            self.cruise_on();
        }
    }

    /// Goes to Cruise, from wherever it is.
    pub(super) fn cruise_on(&mut self) {
        self.enter(Phase::Cruise);
        self.cruise = 3 + self.draw(4);
    }

    /// A round is over. Returns the phase that begins, if one does.
    pub(super) fn end_round(&mut self, signs: Signs) -> Option<Phase> {
        self.rounds = self.rounds.saturating_add(1);
        match self.phase {
            Phase::Down => return None,
            Phase::Cruise if self.rounds < self.cruise => return None,
            Phase::Cruise => {
                self.enter(Phase::Up);
                self.bw = signs.bw;
            }
            Phase::Up if signs.pressed => self.go_down(),
            Phase::Up if self.rounds < 2 => return None,
            Phase::Up if signs.bw >= self.bw.times(GAIN) => {
                self.bw = signs.bw;
                return None;
            }
            Phase::Up => self.go_down(),
        }
        Some(self.phase)
    }

    /// A number below `n` (xorshift; good enough to keep flows apart).
    fn draw(&mut self, n: u32) -> u32 {
        self.lot ^= self.lot << 13;
        self.lot ^= self.lot >> 7;
        self.lot ^= self.lot << 17;
        u32::try_from((self.lot >> 33) % u64::from(n.max(1))).unwrap_or(0)
    }
}
