//! A user's connection as hyper and h2 see it.
//!
//! It tells the [`Pace`] what moves, and it carries what hyper's server cannot send: informational
//! responses. Those go out in [`AsyncWrite::poll_flush`], which hyper calls only when all that it
//! has written before is gone, so that none lands within another response; the response that they
//! belong to is held back until they are gone ([`Desk::send`]).
//!
//! Dropped in the middle of a request it resets the connection: a task that is cancelled must not
//! make a truncated response look complete.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use anyproxy_transport::net::Conn;
use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pace::{Pace, Writing};

/// The first byte of a TLS handshake (RFC 8446 section 5.1).
pub(super) const TLS: u8 = 0x16;

/// Where informational responses wait to be written.
#[derive(Debug, Default)]
pub(super) struct Desk(Mutex<Tray>);

#[derive(Debug, Default)]
struct Tray {
    bytes: Bytes,
    progress: Progress,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// Not a byte is written.
    #[default]
    Waiting,
    /// Nothing else may be written before the rest.
    Begun,
}

impl Desk {
    /// Has `bytes`, which are whole messages, written before anything else. To be called when no
    /// response is under way, by the task that drives the connection. Cancel safe: once begun,
    /// they are written to the end.
    pub(super) async fn send(&self, bytes: Bytes) {
        let mut bytes = Some(bytes);
        poll_fn(|cx| {
            let mut tray = self.tray();
            if let Some(bytes) = bytes.take() {
                tray.bytes = bytes;
                tray.progress = Progress::Waiting;
            } else if tray.bytes.is_empty() {
                return Poll::Ready(());
            }
            tray.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn tray(&self) -> MutexGuard<'_, Tray> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A user's connection.
#[derive(Debug)]
pub(super) struct UserIo {
    conn: Option<Conn>,
    /// Read before, and first to be read again.
    early: BytesMut,
    pace: Arc<Pace>,
    desk: Arc<Desk>,
    behind: Behind,
    seen: Seen,
}

/// Takes the connection when the [`UserIo`] is dropped with nothing under way.
pub(super) type Behind = Arc<Mutex<Option<Conn>>>;

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Something,
}

impl UserIo {
    pub(super) fn new(conn: Conn, early: BytesMut, pace: Arc<Pace>) -> Self {
        let (desk, behind, seen) = (Arc::default(), Arc::default(), Seen::Nothing);
        Self { conn: Some(conn), early, pace, desk, behind, seen }
    }

    pub(super) fn desk(&self) -> Arc<Desk> {
        self.desk.clone()
    }

    pub(super) fn behind(&self) -> Behind {
        self.behind.clone()
    }

    /// Takes the connection out, with what was read early and not read again; `None` never happens,
    /// since this is the only way to empty it.
    pub(super) fn into_conn(mut self) -> Option<(Conn, BytesMut)> {
        Some((self.conn.take()?, std::mem::take(&mut self.early)))
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

    /// Writes informational responses: those that are begun, or all when nothing else is.
    fn poll_desk(&mut self, cx: &mut Context<'_>, least: Progress) -> Poll<io::Result<()>> {
        let desk = self.desk.clone();
        let mut tray = desk.tray();
        if tray.bytes.is_empty() || tray.progress < least {
            return Poll::Ready(Ok(()));
        }
        while !tray.bytes.is_empty() {
            let written = self.poll_conn(|conn| conn.poll_write(cx, &tray.bytes));
            let written = ready!(self.noted(written))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            tray.bytes.advance(written);
            tray.progress = Progress::Begun;
        }
        tray.bytes = Bytes::new();
        if let Some(waker) = tray.waker.take() {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn look_at(&mut self, bytes: &[u8]) {
        if let (Seen::Nothing, Some(first)) = (&self.seen, bytes.first()) {
            self.seen = Seen::Something;
            if *first == TLS {
                let peer = self.conn.as_ref().and_then(|conn| conn.peer_addr().ok());
                tracing::debug!(?peer, "a user speaks TLS at a port without TLS");
            }
        }
    }
}

impl Drop for UserIo {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        if self.pace.is_busy() || self.pace.is_blocked() {
            // Under way, or with bytes that the user has not taken: no clean end.
            return conn.abort();
        }
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = Some(conn);
    }
}

impl AsyncRead for UserIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = if self.early.is_empty() {
            self.poll_conn(|conn| conn.poll_read(cx, buf))
        } else {
            let some = self.early.len().min(buf.remaining());
            buf.put_slice(&self.early.split_to(some));
            Poll::Ready(Ok(()))
        };
        let new = buf.filled().get(before..).unwrap_or_default();
        self.look_at(new);
        self.pace.received(new.len());
        read
    }
}

impl AsyncWrite for UserIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_desk(cx, Progress::Begun))?;
        let written = self.poll_conn(|conn| conn.poll_write(cx, bytes));
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_desk(cx, Progress::Begun))?;
        let written = self.poll_conn(|conn| conn.poll_write_vectored(cx, bytes));
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.conn.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_desk(cx, Progress::Waiting))?;
        // Behind TLS the last bytes may wait here.
        let flushed = self.poll_conn(|conn| conn.poll_flush(cx));
        self.noted(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_conn(|conn| conn.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests;
