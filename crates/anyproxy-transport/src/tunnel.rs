//! One live connection between a gateway and a client, after its handshake.
//!
//! ```text
//! Tunnel ─┬─ Quic       one QUIC stream for each data stream; control has its own
//!         └─ WebSocket  the same frames in binary messages, through the mux
//! ```
//!
//! Both arms give the same: open or accept streams, control messages, datagrams (by `Flow`), close with a
//! code, statistics. The arm is chosen once, at dial or accept.

mod opening;
mod stats;
mod transport;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_runtime::Deadline;
use anyproxy_wire::{codes::CloseCode, frame::Frame, message::Open};

use crate::{
    budget::{Admission, StallBudget},
    error::{StreamError, TunnelError},
    figures::SessionId,
    quic::QuicTunnel,
    stream::Stream,
    ws::WsTunnel,
};

pub use anyproxy_wire::mux::Side;
pub use opening::{OpenError, Opening, StreamIds};
pub use stats::Stats;
pub use transport::Transport;

/// What both ends agreed on in the handshake, and what this end allows itself.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Which end this is.
    pub(crate) side: Side,
    /// The session, as logs name it.
    pub(crate) session: SessionId,
    /// Bytes that this end may send on a new stream before the first Credit.
    pub(crate) send_credit: u64,
    /// Bytes that the peer may send on a new stream before the first Credit.
    pub(crate) recv_credit: u64,
    /// Live data streams at most.
    pub(crate) max_streams: usize,
    /// Silence after which a Ping goes out.
    pub(crate) ping_interval: Duration,
    /// Silence after which the peer is dead.
    pub(crate) dead_after: Duration,
    /// The session's bound for stalled streams.
    pub(crate) budget: Arc<StallBudget>,
    /// The session's stream ids.
    pub(crate) ids: Arc<StreamIds>,
}

/// Largest window of one stream, in bytes; see `docs/protocol.md`, 7.
pub const STREAM_WINDOW: u64 = 16 * 1024 * 1024;

/// Whether a datagram was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Datagram {
    /// It is queued; it may still be lost on the way, as datagrams are.
    Queued,
    /// It is over the path's limit; it may go on the flow's own stream.
    TooLarge,
    /// There was no room, or the tunnel is over. It is counted for the tunnel.
    Dropped,
}

/// A live tunnel; clones share it. When the last clone is dropped the tunnel closes as abandoned.
#[derive(Debug, Clone)]
pub struct Tunnel {
    arm: Arc<Arm>,
}

#[derive(Debug)]
enum Arm {
    Quic(QuicTunnel),
    WebSocket(WsTunnel),
}

/// A stream that the peer opened, before its Open was read.
pub struct Incoming {
    arm: IncomingArm,
}

enum IncomingArm {
    Quic(Box<crate::quic::QuicIncoming>),
    WebSocket(Box<(Open, Stream)>),
}

impl Incoming {
    /// Reads the Open. Not cancel safe: dropping the future resets the stream.
    ///
    /// # Errors
    /// [`StreamError`] when the stream or tunnel fails, the head is malformed, or `deadline` is over
    /// first.
    pub async fn head(self, deadline: Deadline) -> Result<(Open, Stream), StreamError> {
        match self.arm {
            IncomingArm::Quic(incoming) => {
                deadline.bound(incoming.head()).await.unwrap_or(Err(StreamError::Unanswered))
            }
            IncomingArm::WebSocket(ready) => Ok(*ready),
        }
    }
}

impl Tunnel {
    pub(crate) fn quic(tunnel: QuicTunnel) -> Self {
        Self { arm: Arc::new(Arm::Quic(tunnel)) }
    }

    pub(crate) fn websocket(tunnel: WsTunnel) -> Self {
        Self { arm: Arc::new(Arm::WebSocket(tunnel)) }
    }

    /// What carries it.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match &*self.arm {
            Arm::Quic(_) => Transport::Quic,
            Arm::WebSocket(_) => Transport::WebSocket,
        }
    }

    /// Opens a data stream: its Open is on the way when this returns, the reply is not yet there.
    /// Cancel safe: a dropped attempt leaves no stream.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(&self, opening: &Opening) -> Result<Stream, OpenError> {
        let settings = self.settings();
        if self.streams() >= settings.max_streams
            || settings.budget.admit(settings.recv_credit) == Admission::Overloaded
        {
            return Err(OpenError::Overloaded);
        }
        match &*self.arm {
            Arm::Quic(tunnel) => Ok(tunnel.open(&opening.with_id(settings.ids.next())).await?),
            Arm::WebSocket(tunnel) => tunnel.open(opening),
        }
    }

    /// Waits for the next stream that the peer opens. Cancel safe.
    ///
    /// # Errors
    /// [`TunnelError`] when the tunnel is over.
    pub async fn accept(&self) -> Result<Incoming, TunnelError> {
        let arm = match &*self.arm {
            Arm::Quic(tunnel) => IncomingArm::Quic(Box::new(tunnel.accept().await?)),
            Arm::WebSocket(tunnel) => IncomingArm::WebSocket(Box::new(tunnel.accept().await?)),
        };
        Ok(Incoming { arm })
    }

    /// Whether stalled streams leave room for one that the peer opened.
    #[must_use]
    pub fn admit(&self) -> Admission {
        let settings = self.settings();
        // The stream itself is charged already.
        settings.budget.admit(0)
    }

    /// Sends a control message. Waits when many are queued. Cancel safe.
    ///
    /// # Errors
    /// [`TunnelError`] when the tunnel is over.
    pub async fn send_control(&self, frame: Frame) -> Result<(), TunnelError> {
        match &*self.arm {
            Arm::Quic(tunnel) => tunnel.send_control(frame).await,
            Arm::WebSocket(tunnel) => tunnel.send_control(frame).await,
        }
    }

    /// Waits for the next Goaway, ForwardRequest, ForwardReply or ForwardRelease. Cancel safe; one
    /// caller at a time.
    ///
    /// # Errors
    /// [`TunnelError`] when the tunnel is over.
    pub async fn recv_control(&self) -> Result<Frame, TunnelError> {
        match &*self.arm {
            Arm::Quic(tunnel) => tunnel.recv_control().await,
            Arm::WebSocket(tunnel) => tunnel.recv_control().await,
        }
    }

    /// Closes the tunnel at once; the first close decides code and reason.
    pub fn close(&self, code: CloseCode, reason: &str) {
        match &*self.arm {
            Arm::Quic(tunnel) => tunnel.close(code, reason),
            Arm::WebSocket(tunnel) => tunnel.close(code, reason),
        }
    }

    /// Waits until the tunnel is over and says why. Cancel safe.
    pub async fn closed(&self) -> TunnelError {
        match &*self.arm {
            Arm::Quic(tunnel) => tunnel.closed().await,
            Arm::WebSocket(tunnel) => tunnel.closed().await,
        }
    }

    /// Whether the tunnel is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &*self.arm {
            Arm::Quic(tunnel) => tunnel.is_closed(),
            Arm::WebSocket(tunnel) => tunnel.is_closed(),
        }
    }

    /// After [`Tunnel::close`]: waits until the close has left, at most 20 ms. (A WebSocket's own
    /// task does that.)
    pub async fn farewell(&self) {
        match &*self.arm {
            Arm::Quic(tunnel) => tunnel.farewell().await,
            Arm::WebSocket(_) => {}
        }
    }

    /// The peer's address now; on QUIC it may change.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        match &*self.arm {
            Arm::Quic(tunnel) => tunnel.peer(),
            Arm::WebSocket(tunnel) => tunnel.peer(),
        }
    }

    /// Asks the peer's transport for a sign of life, to be had within a round trip. (QUIC acknowledges
    /// all that is sent, so there it is asked already by whatever was sent.)
    pub fn probe(&self) {
        match &*self.arm {
            Arm::Quic(_) => {}
            Arm::WebSocket(tunnel) => tunnel.probe(),
        }
    }

    /// Whether something that went out has been unanswered for so long that the peer may be gone: nothing has come
    /// for max(3 s, 4 retransmission time-outs). What is live may well go on; what is new is better put elsewhere.
    #[must_use]
    pub fn is_suspected(&self) -> bool {
        match &*self.arm {
            Arm::Quic(tunnel) => tunnel.is_suspected(),
            Arm::WebSocket(tunnel) => tunnel.is_suspected(),
        }
    }

    /// Asks the peer for a sign of life at once. If it gives none within max(3 s, 4 retransmission time-outs), `silence`
    /// counts as silence before now: what the machine slept, for which the runtime's clock stood still; zero, if nothing is
    /// known; [`Duration::MAX`], if no answer shall end the tunnel.
    pub fn doubt(&self, silence: Duration) {
        match &*self.arm {
            Arm::Quic(tunnel) => tunnel.doubt(silence),
            Arm::WebSocket(tunnel) => tunnel.doubt(silence),
        }
    }

    /// Sends a Ping, whatever else was sent: its answer is a sign of life also where nothing was, and without one the
    /// peer is [suspected](Self::is_suspected).
    pub fn ping(&self) {
        match &*self.arm {
            Arm::Quic(tunnel) => tunnel.ping(),
            Arm::WebSocket(tunnel) => tunnel.ping(),
        }
    }

    /// The peer may send so many control messages at once, beside the few that are usual. Those of a WebSocket
    /// wait in memory, as what waits must not hold its streams up, and more of them are a flood that ends the tunnel;
    /// those of QUIC wait at the peer.
    pub fn expect_control(&self, more: usize) {
        match &*self.arm {
            Arm::Quic(_) => {}
            Arm::WebSocket(tunnel) => tunnel.expect_control(more),
        }
    }

    /// Live data streams that the gateway allows.
    #[must_use]
    pub fn max_streams(&self) -> usize {
        self.settings().max_streams
    }

    /// Of these, how many may be UDP flows: half, so that a flood of datagrams from many places
    /// leaves room for connections.
    #[must_use]
    pub fn max_flows(&self) -> usize {
        self.max_streams().div_ceil(2)
    }

    /// Its session, as logs name it at both ends.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.settings().session
    }

    /// Figures of this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        match &*self.arm {
            Arm::Quic(tunnel) => tunnel.stats(),
            Arm::WebSocket(tunnel) => tunnel.stats(),
        }
    }

    /// Live data streams.
    #[must_use]
    pub fn streams(&self) -> usize {
        match &*self.arm {
            Arm::Quic(tunnel) => tunnel.streams(),
            Arm::WebSocket(tunnel) => tunnel.streams(),
        }
    }

    fn settings(&self) -> &Settings {
        match &*self.arm {
            Arm::Quic(tunnel) => tunnel.settings(),
            Arm::WebSocket(tunnel) => tunnel.settings(),
        }
    }
}
