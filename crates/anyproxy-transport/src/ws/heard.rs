//! Counts the bytes that come and go, below TLS.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection with a count of what was read from it, and of what it took.
#[derive(Debug)]
pub(crate) struct Heard<C> {
    conn: C,
    bytes: u64,
    sent: u64,
}

impl<C> Heard<C> {
    pub(crate) fn new(conn: C) -> Self {
        Self { conn, bytes: 0, sent: 0 }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    fn wrote(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &result {
            self.sent = self.sent.saturating_add(u64::try_from(*bytes).unwrap_or(u64::MAX));
        }
        result
    }

    pub(super) fn get_ref(&self) -> &C {
        &self.conn
    }

    pub(super) fn into_inner(self) -> C {
        self.conn
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Heard<C> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let result = Pin::new(&mut this.conn).poll_read(cx, buf);
        let read = buf.filled().len().saturating_sub(before);
        this.bytes = this.bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        result
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Heard<C> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.conn).poll_write(cx, bytes);
        this.wrote(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.conn).poll_write_vectored(cx, bytes);
        this.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.conn.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().conn).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().conn).poll_shutdown(cx)
    }
}
