//! The queue between a socket's task and a flow's.
//!
//! ```text
//! Opening ─▶ Open ──────────▶ Closed
//!    └────────┴──▶ Resting ──────┘        refused: nothing is taken for a while
//!    └────────┴──▶ Evicted                another flow has its place
//! ```

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    time::Instant,
};

use crate::figures::Reason;

/// Datagrams that may wait while their flow is being opened.
const WHILE_OPENING: usize = 8;
/// Datagrams that may wait for an open flow's task.
const WHILE_OPEN: usize = 64;
/// Bytes that may wait. The largest datagram fits four times.
const BYTES: usize = 256 * 1024;

/// One flow as its socket sees it.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: Notify,
    /// The flow's task is over, and its stream with it.
    left: Notify,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    queue: VecDeque<Bytes>,
    bytes: usize,
    /// When a datagram last went either way.
    touched: Instant,
    /// The flow's share of the gateway's bound.
    permit: Option<OwnedSemaphorePermit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Open,
    Resting,
    Evicted,
    Closed,
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It waits for the flow's task.
    Taken,
    /// It is dropped.
    Dropped(Reason),
    /// The flow has ended; a new one may take it.
    Ended,
}

impl Inbox {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        let state = State {
            phase: Phase::Opening,
            queue: VecDeque::new(),
            bytes: 0,
            touched: Instant::now(),
            permit: Some(permit),
        };
        Self { state: Mutex::new(state), changed: Notify::new(), left: Notify::new() }
    }

    /// Takes a datagram of the user's, if there is room.
    pub(super) fn push(&self, payload: &Bytes) -> Pushed {
        let mut state = self.state();
        let (most, full) = match state.phase {
            Phase::Opening => (WHILE_OPENING, Reason::NotReady),
            Phase::Open => (WHILE_OPEN, Reason::QueueFull),
            Phase::Resting => return Pushed::Dropped(Reason::Refused),
            Phase::Evicted | Phase::Closed => return Pushed::Ended,
        };
        if state.queue.len() >= most || state.bytes + payload.len() > BYTES {
            return Pushed::Dropped(full);
        }
        state.bytes += payload.len();
        state.queue.push_back(payload.clone());
        state.touched = Instant::now();
        drop(state);
        self.changed.notify_one();
        Pushed::Taken
    }

    /// Waits for the next datagram; `None` when the flow has to give way. Cancel safe; for the
    /// flow's task alone.
    pub(super) async fn next(&self) -> Option<Bytes> {
        loop {
            {
                let mut state = self.state();
                if state.phase == Phase::Evicted {
                    return None;
                }
                if let Some(payload) = state.queue.pop_front() {
                    state.bytes -= payload.len();
                    return Some(payload);
                }
            }
            self.changed.notified().await;
        }
    }

    /// Waits until the flow has to give way. Cancel safe; for the flow's task alone.
    pub(super) async fn evicted(&self) {
        while self.state().phase != Phase::Evicted {
            self.changed.notified().await;
        }
    }

    /// The flow is open: more may wait from now on.
    pub(super) fn open(&self) {
        self.turn(Phase::Open);
    }

    /// The flow was refused. Returns how many datagrams waited in vain.
    pub(super) fn rest(&self) -> u64 {
        self.turn(Phase::Resting)
    }

    /// The flow has ended. Returns how many datagrams waited in vain.
    pub(super) fn close(&self) -> u64 {
        self.turn(Phase::Closed)
    }

    /// Ends the flow in favour of another, which gets its permit. Also returns how many datagrams
    /// waited in vain.
    pub(super) fn evict(&self) -> (Option<OwnedSemaphorePermit>, u64) {
        let lost = self.turn(Phase::Evicted);
        let permit = self.state().permit.take();
        self.changed.notify_one();
        (permit, lost)
    }

    /// The flow's task is over.
    pub(super) fn leave(&self) {
        self.left.notify_one();
    }

    /// Waits until the flow's task is over. Cancel safe; for one caller.
    pub(super) async fn left(&self) {
        self.left.notified().await;
    }

    fn turn(&self, phase: Phase) -> u64 {
        let mut state = self.state();
        if state.phase == Phase::Evicted {
            return 0;
        }
        state.phase = phase;
        if phase == Phase::Open {
            return 0;
        }
        state.bytes = 0;
        let lost = std::mem::take(&mut state.queue).len();
        u64::try_from(lost).unwrap_or(u64::MAX)
    }

    /// A datagram went to the user.
    pub(super) fn touch(&self) {
        self.state().touched = Instant::now();
    }

    /// When a datagram last went either way.
    pub(super) fn touched(&self) -> Instant {
        self.state().touched
    }

    /// The state stays whole whatever panics, so poisoning says nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
