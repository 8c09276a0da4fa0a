//! A data stream: one proxied connection inside a tunnel.
//!
//! Dropping an unfinished stream **resets** it. QUIC stacks send FIN on drop, which would make a
//! truncated transfer look complete; here only [`AsyncWrite::poll_shutdown`] ends a direction
//! cleanly.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "what is not expected here is an error, also what a later version adds"
)]

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use anyproxy_runtime::Deadline;
use anyproxy_wire::{
    codes::{OpenCode, StreamCode},
    message::OpenReply,
};
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    budget::{Charge, Eviction},
    error::StreamError,
    flow::Link,
    quic::QuicStream,
    ws::WsStream,
};

/// One data stream.
///
/// Reads give the peer's bytes, then end of file after its FIN or an [`io::Error`] that wraps a
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
        }
    }

    /// Its id, unique in the session.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Waits for the peer's answer to the Open. Cancel safe. Has no limit of its own: bound it.
    ///
    /// # Errors
    /// [`StreamError`] when the stream or tunnel ends first.
    pub async fn reply(&mut self) -> Result<OpenReply, StreamError> {
        poll_fn(|cx| {
            let reply = self.arm.poll_reply(cx);
            if reply.is_pending() {
                // Nothing can be buffered for a target that is not yet connected.
                self.charge.waiting();
            }
            reply
        })
        .await
    }

    /// Lets bytes be sent before the answer has come; reading then waits for it first, at most
    /// until `deadline`, and fails with [`StreamError::Refused`] when it is a no.
    pub fn expect_reply(&mut self, deadline: Deadline) {
        self.reply = Some(Box::pin(deadline.passed()));
    }

    /// Answers the peer's Open. With any code but [`OpenCode::Connected`] both directions end.
    ///
    /// # Errors
    /// [`StreamError`] when the stream or tunnel ended first.
    pub async fn answer(
        &mut self,
        code: OpenCode,
        detail: &str,
        address: Option<SocketAddr>,
    ) -> Result<(), StreamError> {
        let reply = OpenReply { stream: self.id, code, detail: detail.to_owned(), address };
        match &mut self.arm {
            Arm::Quic(stream) => stream.answer(&reply).await?,
            Arm::WebSocket(stream) => stream.answer(reply)?,
        }
        if code != OpenCode::Connected {
            self.finish()?;
            self.stop(StreamCode::OpenFailed);
        }
        Ok(())
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
            }
            Err(error) => {
                self.receiving = Receiving::Ended;
                self.charge.waiting();
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_expected(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let Some(too_late) = &mut self.reply else { return Poll::Ready(Ok(())) };
        let Poll::Ready(reply) = self.arm.poll_reply(cx) else {
            self.charge.waiting();
            return too_late.as_mut().poll(cx).map(|()| Err(StreamError::ReplyTimedOut));
        };
        self.reply = None;
        Poll::Ready(reply.and_then(|reply| match reply.code {
            OpenCode::Connected => Ok(()),
            code => Err(StreamError::Refused { code, detail: reply.detail }),
        }))
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
        match &mut self.arm {
            Arm::Quic(stream) => stream.poll_write(cx, bytes),
            Arm::WebSocket(stream) => stream.poll_write(cx, bytes),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reset(StreamCode::Cancelled);
    }
}

impl AsyncBufRead for Stream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let stream = self.get_mut();
        ready!(stream.poll_chunk(cx))?;
        Poll::Ready(Ok(&stream.chunk))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        let stream = self.get_mut();
        stream.chunk.advance(amount.min(stream.chunk.len()));
        stream.charge.progressed();
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let available = ready!(self.as_mut().poll_fill_buf(cx))?;
        let amount = available.len().min(buf.remaining());
        buf.put_slice(available.get(..amount).unwrap_or_default());
        self.consume(amount);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, bytes).map_err(io::Error::from)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.get_mut().finish().map_err(io::Error::from))
    }
}

impl anyproxy_runtime::Side for Stream {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Pin::new(self).poll_fill_buf(cx)
    }

    fn consume(&mut self, amount: usize) {
        AsyncBufRead::consume(Pin::new(self), amount);
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bytes).map_err(io::Error::from)
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.finish().map_err(io::Error::from))
    }

    fn stop_reading(&mut self, _: &io::Error) {
        self.stop(self.stop_code);
    }
}
