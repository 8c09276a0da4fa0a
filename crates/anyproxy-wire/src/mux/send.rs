//! The sending direction of a stream.
//!
//! The queue is a ring of bytes: one copy in, one copy out into the message, however the
//! application cuts its writes, and no allocation per write. (Queued `Bytes` would save the first
//! copy only for a caller that owns its buffer, cost an allocation for one that does not, and
//! make the held memory depend on the caller's slices.) A ring that runs empty goes to a few
//! [`Spares`], so an idle stream holds none, and busy ones reuse warm memory.

use std::collections::VecDeque;

use bytes::BytesMut;

use super::event::{FinState, Written};
use crate::codes::StreamCode;
use crate::credit::{Raised, SendCredit};
use crate::frame::{Frame, encode_data_header};

#[derive(Debug)]
pub(super) struct SendHalf {
    queue: VecDeque<u8>,
    credit: SendCredit,
    state: State,
    writer: Writer,
    /// Reset is to be sent.
    pub(super) reset_due: Option<StreamCode>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Finished here; bytes or Fin wait to be sent.
    Finishing,
    FinSent,
    Acked,
    /// Reset by this side's own will.
    Reset,
    /// Reset because the peer asked to stop.
    Stopped(StreamCode),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// It found no room, and is to be told.
    Waiting,
    Writing,
}

/// Whether a reset ended a live direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Now,
    Before,
}

/// Whether a waiting writer is to be told of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Made,
    Unchanged,
}

/// What a FinAck means in the current state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acked {
    Now,
    Before,
    /// There was no Fin.
    TooEarly,
}

impl SendHalf {
    pub(super) fn new(credit: u64) -> Self {
        Self {
            queue: VecDeque::new(),
            credit: SendCredit::new(credit),
            state: State::Open,
            writer: Writer::Writing,
            reset_due: None,
        }
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(self.state, State::Acked | State::Reset | State::Stopped(_))
    }

    /// Whether the application has not yet ended it.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(super) fn fin_state(&self) -> FinState {
        match self.state {
            State::Open => FinState::Open,
            State::Finishing | State::FinSent => FinState::Pending,
            State::Acked => FinState::Acked,
            State::Stopped(code) => FinState::Stopped(code),
            State::Reset => FinState::Gone,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8], limit: usize, spares: &mut Spares) -> Written {
        match self.state {
            State::Open => {}
            State::Stopped(code) => return Written::Stopped(code),
            State::Finishing | State::FinSent | State::Acked | State::Reset => {
                return Written::Gone;
            }
        }
        let free = limit.saturating_sub(self.queue.len());
        let taken = bytes.get(..free).unwrap_or(bytes);
        if taken.is_empty() && !bytes.is_empty() {
            self.writer = Writer::Waiting;
            return Written::Blocked;
        }
        if self.queue.capacity() == 0 {
            self.queue = spares.take();
        }
        self.reserve(taken.len(), limit);
        self.queue.extend(taken);
        Written::Some(taken.len())
    }

    pub(super) fn finish(&mut self) {
        if self.state == State::Open {
            self.state = State::Finishing;
        }
    }

    /// Drops what is queued and sends Reset instead.
    pub(super) fn reset(&mut self, code: StreamCode, spares: &mut Spares) -> Ended {
        self.end(State::Reset, code, spares)
    }

    /// The peer wants no more: answers with Reset.
    pub(super) fn stopped(&mut self, code: StreamCode, spares: &mut Spares) -> Ended {
        self.end(State::Stopped(code), code, spares)
    }

    fn end(&mut self, state: State, code: StreamCode, spares: &mut Spares) -> Ended {
        if self.is_ended() {
            return Ended::Before;
        }
        self.state = state;
        self.reset_due = Some(code);
        spares.give(&mut self.queue);
        Ended::Now
    }

    pub(super) fn fin_acked(&mut self) -> Acked {
        match self.state {
            State::Open | State::Finishing => Acked::TooEarly,
            State::Acked | State::Reset | State::Stopped(_) => Acked::Before,
            State::FinSent => {
                self.state = State::Acked;
                Acked::Now
            }
        }
    }

    pub(super) fn raise(&mut self, offset: u64) -> Raised {
        self.credit.raise(offset)
    }

    /// Whether a turn would send something.
    pub(super) fn wants_turn(&self) -> bool {
        match self.state {
            State::Open => self.sendable() > 0,
            State::Finishing => self.queue.is_empty() || self.sendable() > 0,
            State::FinSent | State::Acked | State::Reset | State::Stopped(_) => false,
        }
    }

    /// Sends one Data of at most `frame` bytes, and Fin behind the last. Gives an empty ring away.
    pub(super) fn turn(&mut self, id: u64, frame: usize, out: &mut BytesMut, spares: &mut Spares) {
        let count = self.sendable().min(frame);
        if count > 0 {
            encode_data_header(out, id, count);
            let (front, back) = self.queue.as_slices();
            let (front, back) = first(count, front, back);
            out.extend_from_slice(front);
            out.extend_from_slice(back);
            self.queue.drain(..count);
            self.credit.take(count as u64);
        }
        if !self.queue.is_empty() {
            return;
        }
        spares.give(&mut self.queue);
        if self.state == State::Finishing {
            Frame::Fin { stream: id, offset: self.credit.sent() }.encode(out);
            self.state = State::FinSent;
        }
    }

    /// After a turn: whether a waiting writer has room again. Only at half the limit, so that
    /// writers are not woken for every frame.
    pub(super) fn room(&mut self, limit: usize) -> Room {
        if self.writer == Writer::Writing || self.queue.len() > limit / 2 {
            return Room::Unchanged;
        }
        self.writer = Writer::Writing;
        Room::Made
    }

    /// How many bytes may be sent now.
    fn sendable(&self) -> usize {
        let credit = usize::try_from(self.credit.available()).unwrap_or(usize::MAX);
        self.queue.len().min(credit)
    }

    /// Doubles like the ring itself would, but not beyond `limit`.
    fn reserve(&mut self, more: usize, limit: usize) {
        let needed = self.queue.len().saturating_add(more);
        let capacity = self.queue.capacity();
        if needed > capacity {
            let size = needed.max(capacity.saturating_mul(2).min(limit));
            self.queue.reserve_exact(size.saturating_sub(self.queue.len()));
        }
    }
}

/// The first `count` bytes of two slices, or all of them.
fn first<'a>(count: usize, front: &'a [u8], back: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let rest = count.saturating_sub(front.len());
    (front.get(..count).unwrap_or(front), back.get(..rest).unwrap_or(back))
}

/// Rings that ran empty, for the next streams that write.
#[derive(Debug, Default)]
pub(super) struct Spares(Vec<VecDeque<u8>>);

/// How many rings are kept.
const MAX_SPARES: usize = 4;

impl Spares {
    fn take(&mut self) -> VecDeque<u8> {
        self.0.pop().unwrap_or_default()
    }

    fn give(&mut self, ring: &mut VecDeque<u8>) {
        let mut ring = std::mem::take(ring);
        if ring.capacity() > 0 && self.0.len() < MAX_SPARES {
            ring.clear();
            self.0.push(ring);
        }
    }
}

#[cfg(test)]
mod tests;
