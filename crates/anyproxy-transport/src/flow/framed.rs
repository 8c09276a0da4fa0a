//! Datagrams too large for the path, length-prefixed on the flow's own stream.

use std::collections::VecDeque;

use anyproxy_wire::{
    WireError,
    datagram::{MAX_DATAGRAM, get_framed, put_framed},
};
use bytes::{Buf as _, Bytes, BytesMut};

use super::Sent;

/// Bytes of a length: 65,507 takes a varint of four.
const LENGTH: usize = 4;

/// Bytes that may wait for the stream: four of the largest datagrams. They wait for credit or the
/// network, so more would only make them older.
const OUTGOING: usize = 4 * (MAX_DATAGRAM + LENGTH);

/// Both directions of a flow's stream.
#[derive(Debug, Default)]
pub(super) struct Framed {
    outgoing: VecDeque<BytesMut>,
    outgoing_bytes: usize,
    /// Never more than one whole datagram with its length.
    incoming: BytesMut,
}

/// Whether a datagram has left as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    Whole,
    Part,
}

impl Framed {
    /// Queues a datagram for the stream, if there is room.
    pub(super) fn queue(&mut self, payload: &[u8]) -> Sent {
        let size = payload.len().saturating_add(LENGTH);
        if self.outgoing_bytes.saturating_add(size) > OUTGOING {
            return Sent::Dropped;
        }
        let mut frame = BytesMut::with_capacity(size);
        put_framed(&mut frame, payload);
        self.outgoing_bytes = self.outgoing_bytes.saturating_add(frame.len());
        self.outgoing.push_back(frame);
        Sent::Queued
    }

    /// What is to be written next.
    pub(super) fn front(&self) -> Option<&[u8]> {
        self.outgoing.front().map(|frame| &frame[..])
    }

    /// So much of the front was written.
    pub(super) fn written(&mut self, bytes: usize) -> Moved {
        let Some(frame) = self.outgoing.front_mut() else { return Moved::Part };
        let bytes = bytes.min(frame.len());
        frame.advance(bytes);
        self.outgoing_bytes = self.outgoing_bytes.saturating_sub(bytes);
        if !frame.is_empty() {
            return Moved::Part;
        }
        self.outgoing.pop_front();
        Moved::Whole
    }

    /// Gives up what waits for the stream; how many datagrams.
    pub(super) fn discard_outgoing(&mut self) -> u64 {
        let lost = u64::try_from(self.outgoing.len()).unwrap_or(u64::MAX);
        self.outgoing.clear();
        self.outgoing_bytes = 0;
        lost
    }

    /// Takes in as much as belongs to one datagram at most, and says how much.
    pub(super) fn take_in(&mut self, bytes: &[u8]) -> usize {
        let room = (MAX_DATAGRAM + LENGTH).saturating_sub(self.incoming.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.incoming.extend_from_slice(taken);
        taken.len()
    }

    /// The next whole datagram that came in.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        get_framed(&mut self.incoming)
    }

    /// Gives up what came in incomplete; how many datagrams.
    pub(super) fn discard_incoming(&mut self) -> u64 {
        let lost = u64::from(!self.incoming.is_empty());
        self.incoming = BytesMut::new();
        lost
    }

    /// Bytes held, both ways.
    pub(super) fn held(&self) -> u64 {
        u64::try_from(self.outgoing_bytes.saturating_add(self.incoming.len())).unwrap_or(u64::MAX)
    }
}
