//! How long an HTTP user may take.
//!
//! ```text
//! accepted ─▶ head ──▶ busy ──▶ idle ──▶ head ─▶ …
//!             30 s     none     5 min    30 s
//! ```
//!
//! hyper has a limit for reading a head, but its clock starts when the previous response has been
//! handed to hyper, not when the user has taken it: a user who rests near the end of a download
//! would lose the tail. So the clock is kept here, around hyper, and it stands still while bytes
//! wait for the user. Only a reply of our own (an error) has to be taken in time.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// How long a user may keep a connection that carries no request.
const IDLE: Duration = Duration::from_secs(300);

/// Shared by everything that belongs to one user's connection.
#[derive(Debug)]
pub(super) struct Pace {
    head: Duration,
    requests: Requests,
    state: Mutex<State>,
}

/// How requests share a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Requests {
    /// HTTP/1: what is read between two of them begins the next one.
    InTurn,
    /// HTTP/2: what is read may be anything, so there is no head to wait for, only idleness; and
    /// one answer of the target's shows for all that the user is no stranger.
    AtOnce,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    writing: Writing,
    latest: Author,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A request's head is being read.
    Head,
    /// So many parts of requests and responses are alive.
    Busy(usize),
    /// Between two requests.
    Idle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    /// The last write was taken.
    Flowing,
    /// The user does not read.
    Blocked,
}

/// Who wrote a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Author {
    /// The target: the user may take as long as it likes.
    Target,
    /// This gateway: an error, which has to be taken in time.
    Gateway,
}

impl Pace {
    /// The pace of a connection that was accepted at `since`; `head` bounds the reading of a head.
    pub(super) fn since(since: Instant, head: Duration, requests: Requests) -> Arc<Self> {
        let (phase, latest) = match requests {
            Requests::InTurn => (Phase::Head, Author::Target),
            Requests::AtOnce => (Phase::Idle, Author::Gateway),
        };
        let writing = Writing::Flowing;
        let state = State { phase, since, writing, latest, waker: None };
        Arc::new(Self { head, requests, state: Mutex::new(state) })
    }

    /// When the user will have taken too long; `None` while it may take any time. `waker` is woken
    /// when another task changes the answer.
    pub(super) fn limit(&self, waker: &Waker) -> Option<Instant> {
        let mut state = self.lock();
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            None => state.waker = Some(waker.clone()),
        }
        let limit = match (state.phase, state.writing, state.latest) {
            (Phase::Busy(_), _, _) | (_, Writing::Blocked, Author::Target) => return None,
            // Somebody who was only ever turned away is still a stranger.
            (_, Writing::Blocked, Author::Gateway)
            | (Phase::Idle, Writing::Flowing, Author::Gateway)
            | (Phase::Head, Writing::Flowing, _) => self.head,
            (Phase::Idle, Writing::Flowing, Author::Target) => IDLE,
        };
        state.since.checked_add(limit)
    }

    /// Whether a request has begun but its head is not complete.
    pub(super) fn is_in_head(&self) -> bool {
        self.lock().phase == Phase::Head
    }

    /// Whether a request or response is under way.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.lock().phase, Phase::Busy(_))
    }

    /// Whether bytes wait for the user.
    pub(super) fn is_blocked(&self) -> bool {
        self.lock().writing == Writing::Blocked
    }

    /// Whether a response that broke off waits until the user has taken what came before. Over
    /// HTTP/2 it does not: what others have sent may wait for much longer, and nothing would wake
    /// this one.
    pub(super) fn holds_failures(&self) -> bool {
        self.requests == Requests::InTurn && self.is_blocked()
    }

    /// Notes who writes the response.
    pub(super) fn answered_by(&self, author: Author) {
        if self.requests == Requests::InTurn || author == Author::Target {
            self.lock().latest = author;
        }
    }

    pub(super) fn received(&self, bytes: usize) {
        let mut state = self.lock();
        if bytes > 0 && state.phase == Phase::Idle && self.requests == Requests::InTurn {
            state.phase = Phase::Head;
            state.since = Instant::now();
        }
    }

    pub(super) fn wrote(&self, writing: Writing) {
        let mut state = self.lock();
        if state.writing == Writing::Blocked && writing == Writing::Flowing {
            state.since = Instant::now();
        }
        state.writing = writing;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a plain assignment: a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of a request or response that is alive. While there is one, the user's clock stands.
#[derive(Debug)]
pub(super) struct Busy(Arc<Pace>);

impl Busy {
    pub(super) fn new(pace: &Arc<Pace>) -> Self {
        let mut state = pace.lock();
        state.phase = match state.phase {
            Phase::Busy(parts) => Phase::Busy(parts.saturating_add(1)),
            Phase::Head | Phase::Idle => Phase::Busy(1),
        };
        drop(state);
        Self(pace.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.phase = match state.phase {
            Phase::Busy(parts) if parts > 1 => Phase::Busy(parts.saturating_sub(1)),
            Phase::Busy(_) | Phase::Head | Phase::Idle => Phase::Idle,
        };
        if state.phase == Phase::Idle {
            state.since = Instant::now();
            // An upload may end in the task of the target's connection.
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        }
    }
}

/// One timer whose time moves; armed only while there is a limit.
#[derive(Default)]
pub(super) struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, limit: Option<Instant>) -> Poll<()> {
        let Some(limit) = limit else {
            self.timer = None;
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(limit)));
        if timer.deadline() != limit {
            timer.as_mut().reset(limit);
        }
        timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests;
