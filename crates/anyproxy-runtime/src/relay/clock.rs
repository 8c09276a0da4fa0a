//! The timeouts of a relay.
//!
//! One timer serves both directions, set to whichever limit comes first. Progress does not move
//! it, which would cost a timer operation per write: it fires early then, once per limit, and is
//! set to what is left.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::RelayTimeouts;
use super::half::{Progress, Turn, Wait};

pub(super) struct Clock {
    timeouts: RelayTimeouts,
    /// When a byte last moved, in either direction.
    moved: Instant,
    /// Since when each direction has waited for its sink: A to B, then B to A.
    blocked: [Option<Instant>; 2],
    timer: Option<Pin<Box<Sleep>>>,
}

/// A limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expired {
    /// Nothing moved.
    Idle,
    /// The sink of the direction from A to B stalled.
    AToB,
    /// The sink of the direction from B to A stalled.
    BToA,
}

impl Clock {
    /// `None` if no timeout is set: such a relay neither reads the time nor owns a timer.
    pub(super) fn new(timeouts: RelayTimeouts) -> Option<Self> {
        timeouts.idle.or(timeouts.stall)?;
        Some(Self { timeouts, moved: Instant::now(), blocked: [None, None], timer: None })
    }

    /// Takes note of how far both directions got, and waits for the next limit.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, turns: [Turn; 2]) -> Poll<Expired> {
        let now = Instant::now();
        self.note(now, turns);
        let Some((limit, expired)) = self.next_limit(turns) else {
            return Poll::Pending;
        };
        if limit <= now {
            return Poll::Ready(expired);
        }
        self.arm(cx, limit);
        Poll::Pending
    }

    fn note(&mut self, now: Instant, turns: [Turn; 2]) {
        for (blocked, turn) in self.blocked.iter_mut().zip(turns) {
            let before = blocked.take();
            *blocked = match (turn.wait, turn.progress) {
                (Wait::Sink, Progress::None) => before.or(Some(now)),
                (Wait::Sink, Progress::Some) => Some(now),
                (Wait::Source | Wait::Budget | Wait::Ended, _) => None,
            };
            // A flush that went through is progress too.
            if turn.progress == Progress::Some || (before.is_some() && blocked.is_none()) {
                self.moved = now;
            }
        }
    }

    fn next_limit(&self, turns: [Turn; 2]) -> Option<(Instant, Expired)> {
        let stall = |at: Option<Instant>| at?.checked_add(self.timeouts.stall?);
        let rests = turns.iter().all(|turn| matches!(turn.wait, Wait::Source | Wait::Ended));
        let idle = if rests { self.timeouts.idle } else { None };
        let limits = [
            (stall(self.blocked[0]), Expired::AToB),
            (stall(self.blocked[1]), Expired::BToA),
            (idle.and_then(|idle: Duration| self.moved.checked_add(idle)), Expired::Idle),
        ];
        limits
            .into_iter()
            .filter_map(|(limit, expired)| Some((limit?, expired)))
            .min_by_key(|(limit, _)| *limit)
    }

    /// Makes sure that the task is woken at `limit`, which is ahead, or before.
    fn arm(&mut self, cx: &mut Context<'_>, limit: Instant) {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(limit)));
        if timer.deadline() > limit {
            timer.as_mut().reset(limit);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return;
        }
        // Set for a limit that progress has moved since.
        timer.as_mut().reset(limit);
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}
