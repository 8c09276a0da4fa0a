//! One connection: what both ends know.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    task::{Context, Waker},
};

use bytes::{Buf as _, Bytes};
use tokio::{io::ReadBuf, time::Instant};

/// Which end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum End {
    /// The one that connected.
    Client,
    /// The one that accepted.
    Server,
}

impl End {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// Which end of a host's connections vanishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Vanished {
    ThisEnd,
    FarEnd,
}

/// How far the handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The client asks.
    Syn,
    /// The server has answered.
    SynReceived,
    /// The client has seen the answer: `connect` succeeded.
    Open,
    /// The answer was no.
    Failed(io::ErrorKind),
}

#[derive(Debug)]
pub(in crate::net) struct Connection {
    pub(super) client: Side,
    pub(super) server: Side,
    pub(super) phase: Phase,
    /// Whom to tell that `phase` changed.
    pub(super) connecting: Option<Waker>,
    /// The listener that answered.
    pub(super) listener: u64,
    /// The end that the network has forgotten: what it sends is lost, and what is sent to it is answered
    /// with RST.
    pub(super) vanished: Option<End>,
    /// A middlebox on its way knows nothing of it any more.
    pub(super) forgotten: bool,
}

impl Connection {
    pub(super) fn new(host: usize, from: SocketAddr, to: SocketAddr) -> Self {
        Self {
            client: Side::new(Some(host), from),
            server: Side::new(None, to),
            phase: Phase::Syn,
            connecting: None,
            listener: 0,
            vanished: None,
            forgotten: false,
        }
    }

    pub(super) fn is_between(&self, one: IpAddr, other: IpAddr) -> bool {
        let ends = (self.client.addr.ip(), self.server.addr.ip());
        ends == (one, other) || ends == (other, one)
    }

    pub(super) fn side(&self, end: End) -> &Side {
        match end {
            End::Client => &self.client,
            End::Server => &self.server,
        }
    }

    pub(super) fn side_mut(&mut self, end: End) -> &mut Side {
        match end {
            End::Client => &mut self.client,
            End::Server => &mut self.server,
        }
    }
}

/// Whether the application holds an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Yes,
    Closed,
}

/// One end.
#[derive(Debug)]
pub(super) struct Side {
    /// None until a host has answered.
    pub(super) host: Option<usize>,
    pub(super) addr: SocketAddr,
    pub(super) held: Held,
    /// Bytes written that the other end has not read, as far as this end knows.
    pub(super) unread: usize,
    pub(super) sent_fin: bool,
    /// Nothing sent later may arrive earlier.
    pub(super) last_arrival: Option<Instant>,
    pub(super) received: VecDeque<Bytes>,
    pub(super) got_fin: bool,
    pub(super) got_reset: bool,
    /// What the next call fails with, once.
    error: Option<io::ErrorKind>,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

/// What a read finds.
pub(super) enum Found {
    /// This many bytes.
    Bytes(usize),
    End,
    Nothing,
}

impl Side {
    fn new(host: Option<usize>, addr: SocketAddr) -> Self {
        Self {
            host,
            addr,
            held: Held::Yes,
            unread: 0,
            sent_fin: false,
            last_arrival: None,
            received: VecDeque::new(),
            got_fin: false,
            got_reset: false,
            error: None,
            reader: None,
            writer: None,
        }
    }

    /// RST came.
    pub(super) fn reset(&mut self) {
        if self.got_reset {
            return;
        }
        self.got_reset = true;
        // tcp_reset() of Linux: EPIPE in CLOSE-WAIT, ECONNRESET otherwise.
        self.error = Some(if self.got_fin && !self.sent_fin {
            io::ErrorKind::BrokenPipe
        } else {
            io::ErrorKind::ConnectionReset
        });
    }

    pub(super) fn wakers(&mut self) -> [Option<Waker>; 2] {
        [self.reader.take(), self.writer.take()]
    }

    pub(super) fn read(&mut self, buf: &mut ReadBuf<'_>, cx: &Context<'_>) -> io::Result<Found> {
        let before = buf.remaining();
        while buf.remaining() > 0
            && let Some(first) = self.received.front_mut()
        {
            let len = first.len().min(buf.remaining());
            buf.put_slice(&first[..len]);
            first.advance(len);
            if first.is_empty() {
                self.received.pop_front();
            }
        }
        let read = before - buf.remaining();
        if read > 0 || before == 0 {
            return Ok(Found::Bytes(read));
        }
        if self.got_fin {
            return Ok(Found::End);
        }
        if let Some(error) = self.error.take() {
            return Err(error.into());
        }
        if self.got_reset {
            return Ok(Found::End);
        }
        self.reader = Some(cx.waker().clone());
        Ok(Found::Nothing)
    }

    /// How many of `wanted` bytes may be written with a window of `window` bytes; none: no room.
    pub(super) fn room(
        &mut self,
        wanted: usize,
        window: usize,
        cx: &Context<'_>,
    ) -> io::Result<Option<usize>> {
        if let Some(error) = self.error.take() {
            return Err(error.into());
        }
        if self.got_reset || self.sent_fin {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = window.saturating_sub(self.unread).min(wanted);
        if room == 0 && wanted > 0 {
            self.writer = Some(cx.waker().clone());
            return Ok(None);
        }
        Ok(Some(room))
    }
}
