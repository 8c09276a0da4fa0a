//! The received bytes of one stream, with a bound on the memory that they pin.
//!
//! A received chunk is a slice of a whole message (up to 256 KiB), and keeps all of it alive. So
//! the bytes that a stream *holds* are within its credit, but what they *pin* could be a thousand
//! times more, on purpose (one byte per message) or by chance (small frames of many streams
//! in one message, and one reader rests). Therefore:
//!
//! - A chunk of at least 2 KiB is kept as it came, without a copy, while the stream pins few
//!   messages: one, or as many as fit its window. Slices that lie next to each other are of one
//!   message, and count once.
//! - Every other chunk is copied behind the last copied bytes, into segments that grow with what
//!   is held.
//!
//! A reader that keeps up thus never meets a copy; one that rests pins at most its window in
//! messages plus twice its copied bytes.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::frame::MAX_MESSAGE;

/// Below this, a copy costs less than keeping track of one more slice.
const MIN_BORROWED: usize = 2048;

/// The type, length and id between the bytes of two neighbouring Data frames.
const MAX_HEADER: usize = 1 + 4 + 8;

/// The largest message, in bytes.
const MESSAGE: u64 = MAX_MESSAGE as u64;

const MIN_SEGMENT: usize = 512;
const MAX_SEGMENT: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Chunks {
    sealed: VecDeque<Chunk>,
    /// Copied bytes, the newest of all; empty or the end of the queue.
    tail: BytesMut,
    bytes: usize,
    /// Runs in `sealed`.
    runs: u64,
    last_run: u64,
}

#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Copied,
    /// One of the neighbouring slices of one message. Chunks of one run stand together.
    Run(u64),
}

impl Chunks {
    /// How many bytes are held.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// Appends received bytes; `window` is the stream's receive window.
    pub(super) fn push(&mut self, bytes: Bytes, window: u64) {
        if bytes.is_empty() {
            return;
        }
        let origin = self.place(&bytes, window);
        let length = bytes.len();
        match origin {
            Origin::Copied => self.copy(&bytes),
            Origin::Run(_) => {
                self.seal();
                self.sealed.push_back(Chunk { bytes, origin });
            }
        }
        self.bytes = self.bytes.saturating_add(length);
    }

    /// Takes the oldest bytes.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let bytes = match self.sealed.pop_front() {
            Some(chunk) => {
                self.end_run(chunk.origin);
                chunk.bytes
            }
            None if self.tail.is_empty() => return None,
            None => std::mem::take(&mut self.tail).freeze(),
        };
        self.bytes = self.bytes.saturating_sub(bytes.len());
        Some(bytes)
    }

    fn place(&mut self, bytes: &Bytes, window: u64) -> Origin {
        if bytes.len() < MIN_BORROWED {
            return Origin::Copied;
        }
        if let Some(run) = self.neighbour(bytes) {
            return run;
        }
        if self.runs >= (window / MESSAGE).max(1) {
            return Origin::Copied;
        }
        self.runs = self.runs.saturating_add(1);
        self.last_run = self.last_run.wrapping_add(1);
        Origin::Run(self.last_run)
    }

    /// The run of the newest chunk, if `bytes` lie right behind it in memory.
    fn neighbour(&self, bytes: &Bytes) -> Option<Origin> {
        if !self.tail.is_empty() {
            return None;
        }
        let last = self.sealed.back().filter(|last| last.origin != Origin::Copied)?;
        // Addresses are only compared. Other allocations are at least 16 bytes apart.
        let end = (last.bytes.as_ptr() as usize).wrapping_add(last.bytes.len());
        let gap = (bytes.as_ptr() as usize).wrapping_sub(end);
        (gap <= MAX_HEADER).then_some(last.origin)
    }

    fn end_run(&mut self, origin: Origin) {
        let next = self.sealed.front().map(|next| next.origin);
        if origin != Origin::Copied && next != Some(origin) {
            self.runs = self.runs.saturating_sub(1);
        }
    }

    fn copy(&mut self, bytes: &[u8]) {
        let room = self.tail.capacity().saturating_sub(self.tail.len());
        let (front, rest) = bytes.split_at(room.min(bytes.len()));
        self.tail.extend_from_slice(front);
        if rest.is_empty() {
            return;
        }
        self.seal();
        let size = self.bytes.clamp(MIN_SEGMENT, MAX_SEGMENT).max(rest.len());
        self.tail = BytesMut::with_capacity(size);
        self.tail.extend_from_slice(rest);
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let bytes = std::mem::take(&mut self.tail).freeze();
            self.sealed.push_back(Chunk { bytes, origin: Origin::Copied });
        }
    }
}
