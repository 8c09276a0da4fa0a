//! A UDP flow: datagrams of one association inside a tunnel (`docs/protocol.md`, 9).
//!
//! ```text
//! send ─┬─ fits ──▶ Outbox (QUIC) or the mux's queue ──▶ DATAGRAM     ──▶ Inboxes ─┬─▶ recv
//!       └─ large ─▶ Framed ──▶ length | payload on the flow's own stream ─▶ Framed ┘
//! ```
//!
//! Every queue has a bound in datagrams and in bytes, what finds no room is dropped, and every drop
//! is counted. No task belongs to a flow: what goes over its stream moves while it is received from.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod framed;
mod inbox;
mod outbox;
mod pace;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use anyproxy_runtime::Side as _;
use anyproxy_wire::{codes::StreamCode, datagram::MAX_DATAGRAM};
use bytes::Bytes;

use crate::{
    budget::Charge, error::StreamError, figures::ConnectionId, quic, stream::Stream,
    tunnel::Datagram, ws,
};

use framed::{Framed, Moved};
use inbox::Inbox;
pub(crate) use inbox::Inboxes;
pub(crate) use outbox::Outbox;

/// What every datagram in a queue counts for beyond its payload, in bytes: an empty one costs too.
const OVERHEAD: usize = 64;

fn cost(payload: &[u8]) -> usize {
    payload.len().saturating_add(OVERHEAD)
}

/// One flow, at either end. Dropping it resets its stream, which ends the flow at the other end.
pub struct Flow {
    stream: Stream,
    link: Link,
    inbox: Arc<Inbox>,
    framed: Framed,
    /// What `framed` holds, as a share of the stall budget.
    charge: Charge,
    evicted: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    /// How the stream ended, once it has.
    over: Option<Result<(), StreamError>>,
    turn: Turn,
    dropped: u64,
}

/// Where the next datagram is looked for first, so that neither way starves the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Inbox,
    Stream,
}

/// Whether a datagram was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is queued; it may still be lost on the way, as datagrams are.
    Queued,
    /// There was no room; it is counted.
    Dropped,
}

/// The tunnel of a flow.
#[derive(Debug, Clone)]
pub(crate) enum Link {
    Quic(Arc<quic::Shared>),
    WebSocket(Arc<ws::Shared>),
}

impl Link {
    fn inboxes(&self) -> &Inboxes {
        match self {
            Self::Quic(shared) => &shared.inboxes,
            Self::WebSocket(shared) => &shared.inboxes,
        }
    }

    fn send(&self, flow: u64, payload: &[u8]) -> Datagram {
        match self {
            Self::Quic(shared) => shared.send_datagram(flow, payload),
            Self::WebSocket(shared) => shared.send_datagram(flow, payload),
        }
    }

    /// Counts drops that only the flow knows of.
    fn count(&self, drops: u64) {
        self.inboxes().count(drops);
    }
}

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flow").field("id", &self.stream.id()).finish_non_exhaustive()
    }
}

impl Flow {
    /// Makes a flow of a stream that was opened with protocol UDP. At the opener before or after the
    /// reply (a stream that still [expects](Stream::expect_reply) it gives the refusal at
    /// [`Flow::recv`]), at the acceptor after a positive answer. Datagrams that came before are
    /// received first.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        let link = stream.link();
        let inbox = link.inboxes().join(stream.id());
        let charge = stream.another_charge();
        let eviction = charge.eviction();
        Self {
            link,
            inbox,
            framed: Framed::default(),
            charge,
            evicted: Box::pin(async move { eviction.wait().await }),
            over: None,
            turn: Turn::Inbox,
            dropped: 0,
            stream,
        }
    }

    /// What logs call it at both ends.
    #[must_use]
    pub fn label(&self) -> ConnectionId {
        self.stream.label()
    }

    /// The id of its stream, unique in the session.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.stream.id()
    }

    /// Sends a datagram of at most 65,507 bytes; never waits. What is too large for the path waits
    /// for the flow's own stream, which [`Flow::recv`] moves.
    pub fn send(&mut self, payload: &[u8]) -> Sent {
        let tried = match &self.over {
            None if payload.len() <= MAX_DATAGRAM => self.send_paced(payload),
            None | Some(_) => return self.drop_one(),
        };
        match tried {
            Datagram::Queued => Sent::Queued,
            // Counted for the tunnel already.
            Datagram::Dropped => {
                self.dropped = self.dropped.saturating_add(1);
                Sent::Dropped
            }
            Datagram::TooLarge => match self.framed.queue(payload) {
                Sent::Queued => Sent::Queued,
                Sent::Dropped => self.drop_one(),
            },
        }
    }

    fn drop_one(&mut self) -> Sent {
        self.count(1);
        Sent::Dropped
    }

    fn count(&mut self, drops: u64) {
        self.dropped = self.dropped.saturating_add(drops);
        self.link.count(drops);
    }

    /// Waits for the next datagram; `None` when the peer has ended the flow. Also moves what
    /// [`Flow::send`] has queued, so it must be polled for as long as the flow lives. Cancel safe.
    ///
    /// # Errors
    /// [`StreamError`] when the stream or the tunnel failed, the open was refused, or the flow's
    /// stream rested for so long that the stall budget wants its share back. Datagrams that had
    /// arrived are given first. The same error follows at every later call.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, StreamError> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamError>> {
        if self.over.is_none() && self.evicted.as_mut().poll(cx).is_ready() {
            self.finish(Err(StreamError::Reset(StreamCode::Stalled)));
            self.stream.reset(StreamCode::Stalled);
        }
        self.write(cx);
        let next = self.poll_next(cx);
        self.charge.exactly(self.framed.held());
        next
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamError>> {
        if self.turn == Turn::Inbox
            && let Some(payload) = self.inbox.take()
            && self.admit(&payload) == Sent::Queued
        {
            self.turn = Turn::Stream;
            return Poll::Ready(Ok(Some(payload)));
        }
        self.turn = Turn::Inbox;
        if let Poll::Ready(Some(payload)) = self.poll_stream(cx) {
            return Poll::Ready(Ok(Some(payload)));
        }
        // Also after the end: what arrived before it comes first.
        while let Poll::Ready(payload) = self.inbox.poll_take(cx) {
            if self.admit(&payload) == Sent::Queued {
                return Poll::Ready(Ok(Some(payload)));
            }
        }
        match &self.over {
            None => Poll::Pending,
            Some(Ok(())) => Poll::Ready(Ok(None)),
            Some(Err(error)) => Poll::Ready(Err(error.clone())),
        }
    }

    /// The next datagram of the flow's stream; `None` when the stream is over.
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while self.over.is_none() {
            match self.framed.next() {
                Ok(Some(payload)) => {
                    self.charge.progressed();
                    return Poll::Ready(Some(payload));
                }
                Ok(None) => {}
                Err(error) => {
                    self.finish(Err(error.into()));
                    self.stream.reset(StreamCode::Protocol);
                    break;
                }
            }
            let taken = match ready!(self.stream.poll_fill(cx)) {
                Ok([]) => {
                    self.finish(Ok(()));
                    break;
                }
                Ok(bytes) => self.framed.take_in(bytes),
                Err(error) => {
                    let error = StreamError::from_io(&error).cloned();
                    self.finish(Err(error.unwrap_or(StreamError::Ended)));
                    break;
                }
            };
            anyproxy_runtime::Side::consume(&mut self.stream, taken);
        }
        Poll::Ready(None)
    }

    /// Moves large datagrams to the stream. A stream that takes none any more is met by reading.
    fn write(&mut self, cx: &mut Context<'_>) {
        while let Some(bytes) = self.framed.front() {
            match anyproxy_runtime::Side::poll_write(&mut self.stream, cx, bytes) {
                Poll::Pending => return,
                Poll::Ready(Ok(0) | Err(_)) => {
                    let lost = self.framed.discard_outgoing();
                    return self.count(lost);
                }
                Poll::Ready(Ok(written)) => {
                    if self.framed.written(written) == Moved::Whole {
                        self.charge.progressed();
                    }
                }
            }
        }
    }

    fn finish(&mut self, how: Result<(), StreamError>) {
        self.over = Some(how);
        let lost = self.framed.discard_incoming();
        self.count(lost);
    }

    /// Datagrams of this flow that were dropped at this end, sent and received.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.saturating_add(self.inbox.dropped())
    }

    /// Ends the flow cleanly; what is queued on its stream and within credit is still sent. Smaller
    /// datagrams that still wait leave too, but on QUIC the end may overtake them. If not everything
    /// is within credit, the flow is reset instead.
    pub fn end(mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        self.write(cx);
        if self.framed.front().is_none() {
            let _ = self.stream.poll_finish(cx);
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        let lost = self.framed.discard_outgoing();
        self.count(lost);
        self.link.inboxes().leave(self.stream.id());
    }
}
