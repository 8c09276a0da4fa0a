//! A data stream as a QUIC stream: one Open or OpenReply frame, then raw bytes under credit.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "what is not expected here is an error, also what a later version adds"
)]

mod incoming;
mod urgency;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use anyproxy_wire::{
    WireError, codes::StreamCode, credit::RecvCredit, frame::Frame, message::OpenReply,
};
use bytes::{Bytes, BytesMut};
use quinn::{ReadError, RecvStream, SendStream, StoppedError, VarInt, WriteError};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

pub(crate) use self::incoming::QuicIncoming;
use self::{
    incoming::poll_head,
    urgency::{Turn, Urgency},
};
use super::{
    shared::{SendLimit, Shared},
    stream_varint,
};
use crate::{error::StreamError, tunnel::STREAM_WINDOW};

const URGENT: i32 = 1;
const BULK: i32 = 0;

/// Bytes read at a time. quinn's own chunks are single packets; gathering them saves a system call
/// for each on the other side.
const READ: usize = 64 * 1024;

pub(crate) struct QuicStream {
    id: u64,
    shared: Arc<Shared>,
    send: SendStream,
    recv: RecvStream,
    /// Bytes behind the head that were read with it.
    ahead: BytesMut,
    limit: Arc<SendLimit>,
    sent: u64,
    urgency: Urgency,
    credit: RecvCredit,
    stopped: Option<Stopped>,
}

/// The peer's STOP_SENDING, or the last acknowledgement.
type Stopped = Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>> + Send + Sync>>;

impl std::fmt::Debug for QuicStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QuicStream").field("id", &self.id).finish_non_exhaustive()
    }
}

impl QuicStream {
    pub(super) fn new(id: u64, send: SendStream, recv: RecvStream, shared: &Arc<Shared>) -> Self {
        let _ = send.set_priority(URGENT);
        Self {
            id,
            send,
            recv,
            ahead: BytesMut::new(),
            limit: shared.register(id),
            sent: 0,
            urgency: Urgency::new(now()),
            stopped: None,
            credit: RecvCredit::new(
                shared.settings.recv_credit,
                STREAM_WINDOW,
                Arc::clone(shared.settings.budget.pool()),
            ),
            shared: Arc::clone(shared),
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn outstanding(&self) -> u64 {
        self.credit.outstanding()
    }

    /// Heads are outside the credit.
    pub(super) async fn write_head(&mut self, head: &Frame) -> Result<(), StreamError> {
        let mut bytes = BytesMut::new();
        head.encode(&mut bytes);
        self.send.write_all(&bytes).await.map_err(|error| self.write_error(&error))
    }

    pub(crate) async fn answer(&mut self, reply: &OpenReply) -> Result<(), StreamError> {
        self.write_head(&Frame::OpenReply(reply.clone())).await
    }

    /// Bytes read so far are kept between polls.
    pub(crate) fn poll_reply(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<OpenReply, StreamError>> {
        match ready!(poll_head(&self.shared, &mut self.recv, &mut self.ahead, cx))? {
            Frame::OpenReply(reply) if reply.stream == self.id => Poll::Ready(Ok(reply)),
            other => Poll::Ready(Err(WireError::UnexpectedFrame(other.name()).into())),
        }
    }

    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamError>> {
        if !self.ahead.is_empty() {
            let chunk = self.ahead.split().freeze();
            return Poll::Ready(self.consumed(chunk.len()).map(|()| Some(chunk)));
        }
        let mut buffer = BytesMut::with_capacity(READ);
        match poll_read_buf(Pin::new(&mut self.recv), cx, &mut buffer) {
            Poll::Pending => {
                self.credit.starved();
                Poll::Pending
            }
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(None)),
            Poll::Ready(Ok(bytes)) => {
                Poll::Ready(self.consumed(bytes).map(|()| Some(buffer.freeze())))
            }
            Poll::Ready(Err(error)) => {
                let error = error.get_ref().and_then(|error| error.downcast_ref::<ReadError>());
                let error = error.map_or(StreamError::Ended, |e| read_error(&self.shared, e));
                Poll::Ready(Err(error))
            }
        }
    }

    /// Counts what is handed to the reader. What a hostile peer sends beyond its credit is met here at
    /// the latest; until it is read, the stream's window of quinn bounds it.
    fn consumed(&mut self, bytes: usize) -> Result<(), StreamError> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if let Err(error) = self.credit.received(bytes) {
            self.shared.close(&error.clone().into());
            return Err(error.into());
        }
        if let Some(offset) = self.credit.consumed(bytes, now(), self.shared.rtt()) {
            self.shared.grant(self.id, offset);
        }
        Ok(())
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, StreamError>> {
        let available = match self.limit.poll_available(self.sent, cx) {
            Poll::Ready(available) => usize::try_from(available).unwrap_or(usize::MAX),
            Poll::Pending => {
                self.urgency.waits();
                return self.poll_stopped(cx);
            }
        };
        self.stopped = None;
        let allowed = bytes.get(..available).unwrap_or(bytes);
        let Poll::Ready(written) = Pin::new(&mut self.send).poll_write(cx, allowed) else {
            self.urgency.waits();
            return Poll::Pending;
        };
        let written = written.map_err(|error| self.write_error(&error))?;
        let written_bytes = u64::try_from(written).unwrap_or(u64::MAX);
        self.sent = self.sent.saturating_add(written_bytes);
        if let Some(turn) = self.urgency.sent(now(), written_bytes) {
            let _ = self.send.set_priority(match turn {
                Turn::Urgent => URGENT,
                Turn::Bulk => BULK,
            });
        }
        Poll::Ready(Ok(written))
    }

    /// While no credit is left: only the end of the stream or tunnel is news.
    fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        // Kept between polls: dropping it would take its waker along.
        let stopped = self.stopped.get_or_insert_with(|| Box::pin(self.send.stopped()));
        match ready!(stopped.as_mut().poll(cx)) {
            Ok(Some(code)) => {
                Poll::Ready(Err(StreamError::Stopped(StreamCode::from_u64(code.into_inner()))))
            }
            Ok(None) => Poll::Ready(Err(StreamError::Ended)),
            Err(_) => Poll::Ready(Err(self.tunnel_lost())),
        }
    }

    pub(crate) fn finish(&mut self) -> Result<(), StreamError> {
        self.send.finish().map_err(|_| StreamError::Ended)
    }

    pub(crate) async fn acked(&mut self) -> Result<(), StreamError> {
        match self.send.stopped().await {
            Ok(None) => Ok(()),
            Ok(Some(code)) => Err(StreamError::Stopped(StreamCode::from_u64(code.into_inner()))),
            Err(_) => Err(self.tunnel_lost()),
        }
    }

    pub(crate) fn reset(&mut self, code: StreamCode) {
        let _ = self.send.reset(stream_varint(code));
    }

    pub(crate) fn stop(&mut self, code: StreamCode) {
        let _ = self.recv.stop(stream_varint(code));
    }

    fn write_error(&self, error: &WriteError) -> StreamError {
        match error {
            WriteError::Stopped(code) => {
                StreamError::Stopped(StreamCode::from_u64(code.into_inner()))
            }
            WriteError::ConnectionLost(error) => self.shared.explain(error).into(),
            WriteError::ClosedStream | WriteError::ZeroRttRejected => StreamError::Ended,
        }
    }

    fn tunnel_lost(&self) -> StreamError {
        match self.shared.conn.close_reason() {
            Some(error) => self.shared.explain(&error).into(),
            None => StreamError::Ended,
        }
    }
}

impl Drop for QuicStream {
    fn drop(&mut self) {
        self.shared.forget(self.id);
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

fn read_error(shared: &Shared, error: &ReadError) -> StreamError {
    match error {
        ReadError::Reset(code) => StreamError::Reset(StreamCode::from_u64(code.into_inner())),
        ReadError::ConnectionLost(error) => shared.explain(error).into(),
        ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
            StreamError::Ended
        }
    }
}
