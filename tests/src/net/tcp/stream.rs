//! One end of a connection, as the application holds it.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use anyproxy_transport::net::VirtualConn;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    connection::{End, Found, Held, Phase},
    packet::Packet,
};
use crate::net::state::{Inner, State};

/// Bytes of one segment: Ethernet, IPv4, time stamps.
const SEGMENT: usize = 1_448;

/// How an end goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// FIN, unless bytes are unread.
    Orderly,
    /// RST.
    Reset,
}

impl State {
    fn poll_read(
        &mut self,
        (id, end): (u64, End),
        buf: &mut ReadBuf<'_>,
        cx: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(connection) = self.connections.get_mut(&id) else { return gone() };
        match connection.side_mut(end).read(buf, cx)? {
            Found::Nothing => Poll::Pending,
            Found::End => Poll::Ready(Ok(())),
            Found::Bytes(read) => {
                if read > 0 {
                    self.transmit(id, end, Packet::Room(read));
                }
                Poll::Ready(Ok(()))
            }
        }
    }

    fn poll_write(
        &mut self,
        (id, end): (u64, End),
        buf: &[u8],
        cx: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Some(connection) = self.connections.get(&id) else { return gone() };
        let (from, to) = (connection.side(end).addr.ip(), connection.side(end.other()).addr.ip());
        let window = self.settings(from, to).window;
        let Some(connection) = self.connections.get_mut(&id) else { return gone() };
        let side = connection.side_mut(end);
        let Some(room) = side.room(buf.len(), window, cx)? else { return Poll::Pending };
        side.unread += room;
        for segment in buf[..room].chunks(SEGMENT) {
            let bytes = Bytes::copy_from_slice(segment);
            self.transmit(id, end, Packet::Data(bytes));
        }
        Poll::Ready(Ok(room))
    }

    fn finish(&mut self, id: u64, end: End) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let side = connection.side_mut(end);
        if !side.sent_fin && !side.got_reset {
            side.sent_fin = true;
            self.transmit(id, end, Packet::Fin);
        }
    }

    /// The application lets go of an end.
    pub(super) fn close(&mut self, id: u64, end: End, close: Close) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let side = connection.side_mut(end);
        side.held = Held::Closed;
        side.reader = None;
        side.writer = None;
        let unread = !side.received.is_empty();
        side.received.clear();
        if !side.got_reset && (close == Close::Reset || unread) {
            side.got_reset = true;
            self.held.retain(|(held, from, _)| (*held, *from) != (id, end));
            self.transmit(id, end, Packet::Reset);
        } else {
            self.finish(id, end);
        }
        if self.connections.get(&id).is_some_and(|c| c.side(end.other()).held == Held::Closed) {
            self.forget(id);
        }
    }

    /// The client stops connecting. A server that has answered already sees RST.
    pub(super) fn abandon(&mut self, id: u64) {
        if self.connections.get(&id).is_some_and(|c| c.phase == Phase::Open) {
            self.close(id, End::Client, Close::Reset);
        } else {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: u64) {
        self.connections.remove(&id);
        self.held.retain(|(held, _, _)| *held != id);
    }
}

/// For an end that outlived its connection, which does not happen.
fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

/// One end; dropping closes it.
pub(super) struct Stream {
    inner: Arc<Inner>,
    key: (u64, End),
    local: SocketAddr,
    peer: SocketAddr,
    close: Close,
}

impl Stream {
    pub(super) fn new(
        inner: Arc<Inner>,
        id: u64,
        end: End,
        (local, peer): (SocketAddr, SocketAddr),
    ) -> Self {
        Self { inner, key: (id, end), local, peer, close: Close::Orderly }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.inner.lock().close(self.key.0, self.key.1, self.close);
    }
}

impl VirtualConn for Stream {
    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn abort(&mut self) {
        self.close = Close::Reset;
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner.lock().poll_read(self.key, buf, cx)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.lock().poll_write(self.key, buf, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Sends FIN. After RST there is nothing to do, and tokio reports no error either.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.lock().finish(self.key.0, self.key.1);
        Poll::Ready(Ok(()))
    }
}
