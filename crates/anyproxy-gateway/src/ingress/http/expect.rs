//! `Expect: 100-continue` (RFC 9110 section 10.1.1).
//!
//! ```text
//! user ─ head ─▶ target         the body stays with the user …
//!      ◀─ 100 ── target         … until the target asks for it
//!      ◀ 417, 401, 413 … target … or answers without it: then it is never asked for
//! ```
//!
//! Some targets know nothing of this and wait for the body; they are sent it after a second, as
//! user agents do themselves.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{HeaderMap, header::EXPECT};
use tokio::time::{Sleep, sleep};

/// How long a target may take to ask for the body.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether a request's body is to be held back.
pub(super) fn is_expected(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(EXPECT).iter();
    values.any(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Holds a request's body back; shared by the body and those who decide about it.
#[derive(Debug, Clone, Default)]
pub(super) struct Hold(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    /// The target has said nothing.
    #[default]
    Waiting,
    /// The body may go.
    Wanted,
    /// The target has answered without it.
    Unwanted,
    /// And the answer is complete.
    GivenUp,
}

/// The body is not to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the target did not ask for it")]
pub(super) struct Unwanted;

impl Hold {
    /// Lets the body go. `false` when that was decided already.
    pub(super) fn release(&self) -> bool {
        self.change(Stage::Waiting, Stage::Wanted)
    }

    /// The target has answered; `Some` when it never asked for the body.
    pub(super) fn answered(&self) -> Option<Unasked> {
        self.change(Stage::Waiting, Stage::Unwanted).then(|| Unasked(self.clone()))
    }

    fn change(&self, from: Stage, to: Stage) -> bool {
        let mut state = self.lock();
        if state.stage != from {
            return false;
        }
        state.stage = to;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that the target did not ask for. Dropped when the answer is complete or given up: what
/// still waits for the body, which is the target's connection, ends then.
#[derive(Debug)]
pub(super) struct Unasked(Hold);

impl Drop for Unasked {
    fn drop(&mut self) {
        self.0.change(Stage::Unwanted, Stage::GivenUp);
    }
}

/// The body's side of a [`Hold`]. Its clock starts when it is first polled.
pub(super) struct Held {
    hold: Hold,
    patience: Option<Pin<Box<Sleep>>>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.hold).finish()
    }
}

impl Held {
    pub(super) fn new(hold: Hold) -> Self {
        Self { hold, patience: None }
    }

    /// Waits until the body may go, or never will.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unwanted>> {
        let mut state = self.hold.lock();
        match state.stage {
            Stage::Wanted => return Poll::Ready(Ok(())),
            Stage::GivenUp => return Poll::Ready(Err(Unwanted)),
            Stage::Waiting | Stage::Unwanted => {}
        }
        state.waker = Some(cx.waker().clone());
        if state.stage == Stage::Unwanted {
            self.patience = None;
            return Poll::Pending;
        }
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        if patience.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        state.stage = Stage::Wanted;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
