//! How long an HTTP user may take, and the connection that is watched for it.
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
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use anyproxy_transport::net::Conn;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// How long a user may keep a connection that carries no request.
const IDLE: Duration = Duration::from_secs(300);

/// Shared by everything that belongs to one user's connection.
#[derive(Debug)]
pub(super) struct Pace {
    head: Duration,
    state: Mutex<State>,
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
enum Writing {
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
    /// The pace of a connection that was accepted just now; `head` bounds the reading of a head.
    pub(super) fn new(head: Duration) -> Arc<Self> {
        let state = State {
            phase: Phase::Head,
            since: Instant::now(),
            writing: Writing::Flowing,
            latest: Author::Target,
            waker: None,
        };
        Arc::new(Self { head, state: Mutex::new(state) })
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

    /// Notes who writes the response.
    pub(super) fn answered_by(&self, author: Author) {
        self.lock().latest = author;
    }

    fn received(&self, bytes: usize) {
        let mut state = self.lock();
        if bytes > 0 && state.phase == Phase::Idle {
            state.phase = Phase::Head;
            state.since = Instant::now();
        }
    }

    fn wrote(&self, writing: Writing) {
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
            Phase::Busy(parts) if parts > 1 => Phase::Busy(parts - 1),
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

/// A user's connection as hyper sees it.
///
/// Dropped in the middle of a request it resets the connection: a task that is cancelled must not
/// make a truncated response look complete.
#[derive(Debug)]
pub(super) struct UserIo {
    conn: Option<Conn>,
    pace: Arc<Pace>,
}

impl UserIo {
    pub(super) fn new(conn: Conn, pace: Arc<Pace>) -> Self {
        Self { conn: Some(conn), pace }
    }

    /// Takes the connection out; `None` never happens, since this is the only way to empty it.
    pub(super) fn into_conn(mut self) -> Option<Conn> {
        self.conn.take()
    }

    fn poll_conn<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut Conn>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.conn {
            Some(conn) => poll(Pin::new(conn)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn noted<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.pace.wrote(if written.is_pending() { Writing::Blocked } else { Writing::Flowing });
        written
    }
}

impl Drop for UserIo {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take()
            && (self.pace.is_busy() || self.pace.is_blocked())
        {
            // Under way, or with bytes that the user has not taken: no clean end.
            conn.abort();
        }
    }
}

impl AsyncRead for UserIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = self.poll_conn(|conn| conn.poll_read(cx, buf));
        self.pace.received(buf.filled().len().saturating_sub(before));
        read
    }
}

impl AsyncWrite for UserIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.poll_conn(|conn| conn.poll_write(cx, bytes));
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.poll_conn(|conn| conn.poll_write_vectored(cx, bytes));
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.conn.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_conn(|conn| conn.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_conn(|conn| conn.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests;
