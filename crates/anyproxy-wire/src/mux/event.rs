//! What a mux tells the application: events, and the answers of its methods.

use std::collections::VecDeque;

use bytes::Bytes;
use thiserror::Error;

use super::send::Room;
use super::stream::Stream;
use crate::WireError;
use crate::codes::StreamCode;
use crate::frame::Frame;
use crate::message::{Open, OpenReply};

/// Something that happened at the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The peer opened a stream: answer with [`Mux::reply`](super::Mux::reply).
    Opened(Open),
    /// The peer answered an open. With a code other than `Connected` the sending direction is
    /// already reset. `Abandoned` also stands for a stream that was reset before any answer.
    Replied(OpenReply),
    /// A reader that was blocked finds bytes or an end.
    Readable(u64),
    /// A writer that was blocked finds room, or the end of its direction.
    Writable(u64),
    /// The peer holds all bytes of a direction that was finished.
    FinAcked(u64),
    /// The peer asked to stop; the sending direction is reset with the same code.
    Stopped(u64, StreamCode),
    /// A Goaway, Pong, or message about a forward.
    Control(Frame),
    /// A datagram of a flow.
    Datagram(u64, Bytes),
    /// The stream is forgotten. Always its last event.
    Closed(u64),
}

/// What [`Mux::write`](super::Mux::write) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Took this many bytes from the front, at least one unless none were given.
    Some(usize),
    /// No room; [`Event::Writable`] will tell.
    Blocked,
    /// The peer asked to stop.
    Stopped(StreamCode),
    /// The direction was finished or reset here, or there is no such stream.
    Gone,
}

/// What [`Mux::read`](super::Mux::read) found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// The next bytes, never empty.
    Chunk(Bytes),
    /// Nothing yet; [`Event::Readable`] will tell. On a lost tunnel: the rest is lost.
    Blocked,
    /// All bytes were read, and the peer finished. Stays so.
    Finished,
    /// The peer reset the direction; what came before was read. Stays so.
    Reset(StreamCode),
    /// The direction was stopped here, or there is no such stream.
    Gone,
}

/// How far a sending direction is towards its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinState {
    /// Not finished.
    Open,
    /// Finished here; the peer has not yet acknowledged.
    Pending,
    /// The peer holds everything.
    Acked,
    /// The peer asked to stop, so some bytes may not have arrived.
    Stopped(StreamCode),
    /// Reset here, or no such stream.
    Gone,
}

/// Whether a message found room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// It will be sent.
    Queued,
    /// It will not.
    Dropped,
}

/// Why a stream cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MuxError {
    /// The limit of streams is reached.
    #[error("too many streams")]
    TooManyStreams,
    /// One side has said Goaway.
    #[error("the tunnel is draining")]
    Draining,
    /// The id is not above all earlier ones.
    #[error("the stream id was used, or passed over, before")]
    IdInUse,
    /// This side opens no streams, or none with such an id.
    #[error("this side cannot open a stream with this id")]
    WrongSide,
}

/// There is no stream with this id that waits for a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no such stream waits for a reply")]
pub struct StreamGone;

/// Control messages that may wait in the event queue.
const MAX_CONTROL_EVENTS: usize = 1024;

/// Pongs and datagrams that may wait in the event queue: more are dropped.
const MAX_LOSSY_EVENTS: usize = 64;

/// The event queue. The events of streams are bounded by their number; the others are counted.
#[derive(Debug, Default)]
pub(super) struct Events {
    queue: VecDeque<Event>,
    control: usize,
    lossy: usize,
}

impl Events {
    pub(super) fn push(&mut self, event: Event) {
        self.queue.push_back(event);
    }

    /// Tells the application that it can read.
    pub(super) fn tell_reader(&mut self, stream: &mut Stream) {
        if stream.is_held() && !stream.told.readable {
            stream.told.readable = true;
            self.push(Event::Readable(stream.id));
        }
    }

    /// Tells a writer that waits, if there is room again or nothing can be written any more.
    pub(super) fn tell_writer(&mut self, stream: &mut Stream, send_buffer: usize) {
        let made = stream.send.room(send_buffer) == Room::Made;
        if made && stream.is_held() && !stream.told.writable {
            stream.told.writable = true;
            self.push(Event::Writable(stream.id));
        }
    }

    pub(super) fn push_control(&mut self, frame: Frame) -> Result<(), WireError> {
        if self.control >= MAX_CONTROL_EVENTS {
            let limit = MAX_CONTROL_EVENTS as u64;
            return Err(WireError::TooLarge {
                what: "control queue",
                length: limit.saturating_add(1),
                limit,
            });
        }
        self.control = self.control.saturating_add(1);
        self.push(Event::Control(frame));
        Ok(())
    }

    pub(super) fn push_lossy(&mut self, event: Event) -> Queued {
        if self.lossy >= MAX_LOSSY_EVENTS {
            return Queued::Dropped;
        }
        self.lossy = self.lossy.saturating_add(1);
        self.push(event);
        Queued::Queued
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        let event = self.queue.pop_front()?;
        match &event {
            Event::Control(Frame::Pong(_)) | Event::Datagram(..) => {
                self.lossy = self.lossy.saturating_sub(1);
            }
            Event::Control(_) => self.control = self.control.saturating_sub(1),
            Event::Opened(_)
            | Event::Replied(_)
            | Event::Readable(_)
            | Event::Writable(_)
            | Event::FinAcked(_)
            | Event::Stopped(..)
            | Event::Closed(_) => {}
        }
        Some(event)
    }
}
