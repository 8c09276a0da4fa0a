//! What a gateway hangs on a stream: its group's bandwidth, and whatever is to live as long.
//!
//! ```text
//! tunnel ─ poll_next ─▶ chunk ─ Line (receiving) ─▶ reader     waits with at most one chunk in hand,
//!                                                              so no further credit is granted
//! writer ─ Line (sending) ─▶ poll_write ─▶ tunnel              the writer's source is not read
//! ```
//!
//! A reader that waits here is not one that rests: the stall budget still counts what its peer may
//! send meanwhile, but does not take it for stalled, see [`Charge::paced`](crate::budget::Charge).

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use anyproxy_runtime::{Line, Meter};

use super::Stream;
use crate::error::StreamError;

/// Something that is dropped with the stream, such as a permit.
pub type Guard = Box<dyn Send + Sync>;

/// A group's bandwidth in both directions of its tunnels.
#[derive(Debug, Clone)]
pub struct Meters {
    /// Bytes into the tunnel.
    pub send: Arc<Meter>,
    /// Bytes out of the tunnel.
    pub recv: Arc<Meter>,
}

/// A stream's places at its group's meters.
#[derive(Debug)]
pub(super) struct Pace {
    pub(super) meters: Meters,
    pub(super) send: Line,
    pub(super) recv: Line,
}

impl Pace {
    /// Counts what was sent. Who cannot send keeps nothing from the others.
    pub(super) fn sent(&mut self, written: &Poll<Result<usize, StreamError>>) {
        match written {
            Poll::Ready(Ok(bytes)) => self.send.used(*bytes),
            Poll::Ready(Err(_)) | Poll::Pending => self.send.release(),
        }
    }

    fn is_limited(&self) -> bool {
        self.meters.send.is_limited() || self.meters.recv.is_limited()
    }
}

impl Stream {
    /// Keeps `guard` for as long as the stream lives, whoever holds it.
    pub fn keep(&mut self, guard: Guard) {
        self.guard = Some(guard);
    }

    /// Lets bytes pass only as `meters` allow. Heads and answers are not counted.
    pub fn set_meters(&mut self, meters: Meters) {
        let (send, recv) =
            (Line::new(Arc::clone(&meters.send)), Line::new(Arc::clone(&meters.recv)));
        self.charge.paced(recv.watch());
        self.pace = Some(Box::new(Pace { meters, send, recv }));
    }

    /// The bandwidth that the stream takes part of, where one was set. A flow asks these about its
    /// datagrams, which do not pass through the stream: [`Meter::try_take`].
    #[must_use]
    pub fn meters(&self) -> Option<&Meters> {
        self.pace.as_ref().map(|pace| &pace.meters)
    }

    /// While something bounds the stream's bandwidth.
    pub(super) fn pace(&mut self) -> Option<&mut Pace> {
        self.pace.as_deref_mut().filter(|pace| pace.is_limited())
    }

    /// There is nothing to read: others may have what was set aside for it.
    pub(super) fn rest_receiving(&mut self) {
        if let Some(pace) = self.pace() {
            pace.recv.release();
        }
    }

    /// There is nothing more to send.
    pub(super) fn rest_sending(&mut self) {
        if let Some(pace) = self.pace() {
            pace.send.release();
        }
    }

    /// How much of the chunk may be read now.
    pub(super) fn poll_allowed(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let there = self.chunk.len();
        match self.pace() {
            Some(pace) if there > 0 => {
                Poll::Ready(ready!(pace.recv.poll_take(cx, there)).min(there))
            }
            _ => Poll::Ready(there),
        }
    }
}
