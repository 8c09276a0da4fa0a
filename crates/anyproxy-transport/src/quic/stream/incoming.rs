//! The head of a data stream: the one frame in front of its raw bytes.
//!
//! A stream that the peer opened is not a [`QuicStream`] before its Open is read: until then its id is
//! not known, and nothing is charged for it.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "what is not expected here is an error, also what a later version adds"
)]

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use anyproxy_wire::{
    WireError,
    codes::StreamCode,
    frame::{self, Frame, Stage},
    message::Open,
};
use bytes::BytesMut;
use quinn::{RecvStream, SendStream};

use super::{QuicStream, read_error};
use crate::{
    error::StreamError,
    quic::{shared::Shared, stream_varint},
    stream::Stream,
};

/// Bytes of a head read at a time; a head is one frame.
const HEAD_READ: usize = 2 * 1024;

/// A stream that the peer opened and whose Open was not read yet.
pub(crate) struct QuicIncoming {
    send: SendStream,
    recv: RecvStream,
    shared: Arc<Shared>,
}

impl QuicIncoming {
    pub(in crate::quic) fn new(send: SendStream, recv: RecvStream, shared: Arc<Shared>) -> Self {
        Self { send, recv, shared }
    }

    /// Reads the Open. Not cancel safe.
    pub(crate) async fn head(mut self) -> Result<(Open, Stream), StreamError> {
        let mut ahead = BytesMut::new();
        let shared = Arc::clone(&self.shared);
        match poll_fn(|cx| poll_head(&shared, &mut self.recv, &mut ahead, cx)).await {
            Ok(Frame::Open(open)) => {
                let budget = &self.shared.settings.budget;
                let charge = budget.charge(self.shared.settings.recv_credit);
                let mut stream = QuicStream::new(open.stream, self.send, self.recv, &self.shared);
                stream.ahead = ahead;
                Ok((open, Stream::quic(stream, charge)))
            }
            Ok(other) => Err(self.refuse(WireError::UnexpectedFrame(other.name()).into())),
            Err(error) => Err(self.refuse(error)),
        }
    }

    fn refuse(&mut self, error: StreamError) -> StreamError {
        let _ = self.send.reset(stream_varint(StreamCode::Protocol));
        let _ = self.recv.stop(stream_varint(StreamCode::Protocol));
        error
    }
}

/// Reads one frame off the front of a stream; what follows it stays in `buffer`.
pub(super) fn poll_head(
    shared: &Shared,
    recv: &mut RecvStream,
    buffer: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<Result<Frame, StreamError>> {
    loop {
        if let Some(frame) = frame::decode(buffer, Stage::Established)? {
            return Poll::Ready(Ok(frame));
        }
        // The future holds no state of its own, so a new one for each poll loses nothing.
        match ready!(pin!(recv.read_chunk(HEAD_READ, true)).poll(cx)) {
            Ok(Some(chunk)) => buffer.extend_from_slice(&chunk.bytes),
            Ok(None) => return Poll::Ready(Err(StreamError::Unanswered)),
            Err(error) => return Poll::Ready(Err(read_error(shared, &error))),
        }
    }
}
