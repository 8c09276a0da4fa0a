//! A [`Side`] made of anything that reads and writes.
//!
//! The read buffer exists only while there are bytes to hand on: it is allocated for a read and
//! freed when that read finds nothing. A thousand idle connections hold no buffers.
//!
//! A TCP socket tells of a reset once: to the write that comes first, and then the next read finds nothing, as
//! at EOF. So that a cut never passes for an end, a side remembers what its write was told.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use crate::Side;

/// Bytes that an [`IoSide`] reads at most at once, and so holds at most: 64 KiB.
///
/// Four tunnel data frames; below the size from which allocators go to the kernel each time.
pub const READ_BUFFER: usize = 64 * 1024;

/// One end of a relayed connection on top of `T`, such as a TCP connection.
pub struct IoSide<T> {
    io: T,
    prefix: Bytes,
    buffer: Vec<u8>,
    /// How much of `buffer` has been consumed.
    start: usize,
    peer: Peer,
}

/// What is known of the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    There,
    /// A write was told that it has reset the connection before it ended its own direction: Linux calls a reset
    /// after that a broken pipe.
    Reset,
}

impl<T> IoSide<T> {
    /// A side that reads from and writes to `io`.
    pub const fn new(io: T) -> Self {
        Self { io, prefix: Bytes::new(), buffer: Vec::new(), start: 0, peer: Peer::There }
    }

    /// As [`IoSide::new`], for an `io` from which bytes have been taken already: they come first.
    pub const fn with_prefix(io: T, prefix: Bytes) -> Self {
        Self { io, prefix, buffer: Vec::new(), start: 0, peer: Peer::There }
    }

    /// The connection below.
    pub const fn get_ref(&self) -> &T {
        &self.io
    }

    /// The connection below; what is read from it past this side is missing from the relay.
    pub const fn get_mut(&mut self) -> &mut T {
        &mut self.io
    }

    /// Takes the side apart: the connection, and the bytes that were read but not consumed.
    #[must_use]
    pub fn into_inner(mut self) -> (T, Bytes) {
        // The connection is not read while a prefix is left, so at most one of both has bytes.
        let unread = if self.prefix.is_empty() {
            self.buffer.drain(..self.start);
            Bytes::from(self.buffer)
        } else {
            self.prefix
        };
        (self.io, unread)
    }

    /// Remembers a reset.
    fn heed<R>(&mut self, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if matches!(&result, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset)
        {
            self.peer = Peer::Reset;
        }
        result
    }

    fn free_buffer(&mut self) {
        self.buffer = Vec::new();
        self.start = 0;
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Side for IoSide<T> {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if !self.prefix.is_empty() {
            return Poll::Ready(Ok(&self.prefix));
        }
        if self.start == self.buffer.len() {
            self.start = 0;
            self.buffer.clear();
            self.buffer.reserve_exact(READ_BUFFER);
            let read = poll_read_buf(Pin::new(&mut self.io), cx, &mut self.buffer);
            if self.buffer.is_empty() {
                self.free_buffer();
            }
            if ready!(read)? == 0 && self.peer == Peer::Reset {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
        }
        Poll::Ready(Ok(&self.buffer[self.start..]))
    }

    fn consume(&mut self, n: usize) {
        if self.prefix.is_empty() {
            self.start = self.buffer.len().min(self.start + n);
        } else if n < self.prefix.len() {
            self.prefix.advance(n);
        } else {
            // An emptied slice would keep its memory.
            self.prefix = Bytes::new();
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.heed(written)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.heed(flushed)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<T: fmt::Debug> fmt::Debug for IoSide<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Lengths only: the bytes are the users'.
        f.debug_struct("IoSide")
            .field("io", &self.io)
            .field("unread", &(self.prefix.len() + self.buffer.len() - self.start))
            .finish()
    }
}

#[cfg(test)]
mod tests;
