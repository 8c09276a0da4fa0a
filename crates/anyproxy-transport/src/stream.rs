//! A data stream: one proxied connection inside a tunnel.
//!
//! Dropping an unfinished stream **resets** it. QUIC stacks send FIN on drop, which would make a
//! truncated transfer look complete; here only [`AsyncWrite::poll_shutdown`](tokio::io::AsyncWrite::poll_shutdown) ends a direction
//! cleanly.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "what is not expected here is an error, also what a later version adds"
)]

mod answer;
mod io;
mod pace;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use anyproxy_wire::{codes::StreamCode, message::OpenReply};
use bytes::Bytes;

use crate::{
    budget::{Charge, Eviction},
    error::StreamError,
    figures::{ConnectionId, Pending},
    flow::Link,
    quic::QuicStream,
    ws::WsStream,
};
use pace::Pace;
pub use pace::{Guard, Meters};

/// One data stream.
///
/// Reads give the peer's bytes, then end of file after its FIN or an [`std::io::Error`] that wraps a
/// [`StreamError`]; bytes that arrived before a reset are given first. `shutdown` sends FIN.
pub struct Stream {
    id: u64,
    arm: Arm,
    charge: Charge,
    chunk: Bytes,
    sending: Sending,
    receiving: Receiving,
    /// What the peer is told when the near side can take no more.
    stop_code: StreamCode,
    /// While the answer is still expected: when it is too late.
    reply: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
    /// Counts what the answer is.
    pending: Option<Box<Pending>>,
    pace: Option<Box<Pace>>,
    guard: Option<Guard>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("id", &self.id).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Arm {
    Quic(Box<QuicStream>),
    WebSocket(WsStream),
}

impl Arm {
    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<OpenReply, StreamError>> {
        match self {
            Self::Quic(stream) => stream.poll_reply(cx),
            Self::WebSocket(stream) => stream.poll_reply(cx),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Open,
    Finished,
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receiving {
    Open,
    Ended,
}

impl Stream {
    pub(crate) fn quic(stream: QuicStream, charge: Charge) -> Self {
        Self::new(stream.id(), Arm::Quic(Box::new(stream)), charge)
    }

    pub(crate) fn websocket(stream: WsStream, charge: Charge) -> Self {
        Self::new(stream.id(), Arm::WebSocket(stream), charge)
    }

    fn new(id: u64, arm: Arm, charge: Charge) -> Self {
        Self {
            id,
            arm,
            charge,
            chunk: Bytes::new(),
            sending: Sending::Open,
            receiving: Receiving::Open,
            stop_code: StreamCode::Cancelled,
            reply: None,
            pending: None,
            pace: None,
            guard: None,
        }
    }

    /// Its id, unique in the session.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What logs call it at both ends.
    #[must_use]
    pub fn label(&self) -> ConnectionId {
        let session = match &self.arm {
            Arm::Quic(stream) => stream.shared().settings.session,
            Arm::WebSocket(stream) => stream.shared().settings.session,
        };
        ConnectionId { session, stream: self.id }
    }

    /// Resets the sending direction and stops the receiving one, unless they have ended.
    pub fn reset(&mut self, code: StreamCode) {
        if self.sending == Sending::Open {
            self.sending = Sending::Reset;
            match &mut self.arm {
                Arm::Quic(stream) => stream.reset(code),
                Arm::WebSocket(stream) => stream.reset(code),
            }
        }
        self.stop(code);
    }

    /// Asks the peer to stop sending, and drops what it sent.
    pub fn stop(&mut self, code: StreamCode) {
        if self.receiving == Receiving::Ended {
            return;
        }
        self.receiving = Receiving::Ended;
        self.chunk = Bytes::new();
        self.charge.waiting();
        match &mut self.arm {
            Arm::Quic(stream) => stream.stop(code),
            Arm::WebSocket(stream) => stream.stop(code),
        }
    }

    /// Waits until the peer's transport holds everything that was sent. Call it after `shutdown`.
    /// Cancel safe.
    ///
    /// # Errors
    /// [`StreamError`] when that will never be so.
    pub async fn acked(&mut self) -> Result<(), StreamError> {
        match &mut self.arm {
            Arm::Quic(stream) => stream.acked().await,
            Arm::WebSocket(stream) => stream.acked().await,
        }
    }

    /// What the peer is told when whoever reads this stream can take no more.
    pub(crate) fn set_stop_code(&mut self, code: StreamCode) {
        self.stop_code = code;
    }

    /// A handle that tells when the stall budget wants this stream gone. Whoever holds the stream
    /// drops it then: a stream whose handle nobody watches keeps its share for ever.
    #[must_use]
    pub fn eviction(&self) -> Eviction {
        self.charge.eviction()
    }

    /// Where the datagrams of a flow go.
    pub(crate) fn link(&self) -> Link {
        match &self.arm {
            Arm::Quic(stream) => Link::Quic(Arc::clone(stream.shared())),
            Arm::WebSocket(stream) => Link::WebSocket(Arc::clone(stream.shared())),
        }
    }

    /// A share of the same budget, for what somebody keeps who reads this stream.
    pub(crate) fn another_charge(&self) -> Charge {
        self.charge.another()
    }

    fn finish(&mut self) -> Result<(), StreamError> {
        match self.sending {
            Sending::Finished => return Ok(()),
            Sending::Reset => return Err(StreamError::Ended),
            Sending::Open => self.sending = Sending::Finished,
        }
        match &mut self.arm {
            Arm::Quic(stream) => stream.finish(),
            Arm::WebSocket(stream) => stream.finish(),
        }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        if !self.chunk.is_empty() || self.receiving == Receiving::Ended {
            return Poll::Ready(Ok(()));
        }
        if let Err(error) = ready!(self.poll_expected(cx)) {
            self.receiving = Receiving::Ended;
            self.charge.waiting();
            return Poll::Ready(Err(error));
        }
        let next = match &mut self.arm {
            Arm::Quic(stream) => stream.poll_next(cx),
            Arm::WebSocket(stream) => stream.poll_next(cx),
        };
        let Poll::Ready(next) = next else {
            self.charge.waiting();
            self.rest_receiving();
            return Poll::Pending;
        };
        match next {
            Ok(Some(chunk)) => {
                let in_hand = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                self.chunk = chunk;
                self.charge.holding(in_hand, self.outstanding());
            }
            Ok(None) => {
                self.receiving = Receiving::Ended;
                self.charge.waiting();
                self.rest_receiving();
            }
            Err(error) => {
                self.receiving = Receiving::Ended;
                self.charge.waiting();
                self.rest_receiving();
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn outstanding(&self) -> u64 {
        match &self.arm {
            Arm::Quic(stream) => stream.outstanding(),
            Arm::WebSocket(stream) => stream.outstanding(),
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, StreamError>> {
        if self.sending != Sending::Open {
            return Poll::Ready(Err(StreamError::Ended));
        }
        let bytes = match self.pace() {
            Some(pace) if !bytes.is_empty() => {
                let allowed = ready!(pace.send.poll_take(cx, bytes.len()));
                bytes.get(..allowed).unwrap_or(bytes)
            }
            _ => bytes,
        };
        let written = match &mut self.arm {
            Arm::Quic(stream) => stream.poll_write(cx, bytes),
            Arm::WebSocket(stream) => stream.poll_write(cx, bytes),
        };
        if let Some(pace) = self.pace() {
            pace.sent(&written);
        }
        written
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reset(StreamCode::Cancelled);
    }
}
