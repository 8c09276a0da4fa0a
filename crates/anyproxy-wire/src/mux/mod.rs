//! The WebSocket mux: many data streams in one ordered channel (`docs/protocol.md` section 8).
//!
//! ```text
//! open, reply, write, finish, ... ──▶ ┌─────┐ ──transmit──▶ one binary message of whole frames
//! poll_event, read                ◀── │ Mux │ ◀──receive─── frames of a received message
//!                                     └─────┘
//! ```
//!
//! A state machine without I/O, clock or wakers: the transport puts it behind a lock, calls
//! [`Mux::transmit`] while [`Mux::wants_transmit`], and polls all events after *each*
//! [`Mux::receive`].
//!
//! **Order.** Pong, Ping and Credit leave first, then control messages, then the ends of streams
//! (Stop, FinAck, Reset), then Open and OpenReply, then datagrams, then the streams' bytes in turn,
//! one Data frame each. A stream's own Open or OpenReply stays in front of its other frames.
//!
//! **Bounds.** All memory is bounded by the configuration, whatever the peer sends: received bytes
//! by the credit (and what they pin by about twice of it, see `chunks`), sent ones by the send
//! buffer, and everything else is at most one entry per stream or has a fixed limit. A stream that
//! still stands in a queue counts as a stream until its turn, so the queues are bounded too.
//!
//! **Life of a stream.** It is forgotten, with [`Event::Closed`], when the application has
//! [released](Mux::release) it, both directions have ended, and nothing of it waits to be sent.
//! Until then what it received can be read, also after the tunnel was lost: then nothing more
//! arrives, and [`Read::Blocked`] means that the rest is lost.

mod app;
mod chunks;
mod config;
mod event;
mod queues;
mod receive;
mod recv;
mod send;
mod stream;
mod transmit;

use std::collections::HashMap;

pub use config::{MuxConfig, Side};
pub use event::{Event, FinState, MuxError, Queued, Read, StreamGone, Written};

use crate::WireError;
use event::Events;
use queues::Queues;
use stream::Stream;

/// The state of all data streams of one WebSocket tunnel. See the [module](self).
#[derive(Debug)]
pub struct Mux {
    config: MuxConfig,
    // Ids come from the peer: the default hasher resists chosen keys, and one hash per 16 KiB
    // frame does not show.
    streams: HashMap<u64, Stream>,
    /// The highest id that the gateway opened; all below it were used, here or on a sister tunnel.
    highest: Option<u64>,
    local: Leave,
    peer: Leave,
    queues: Queues,
    events: Events,
    dropped_datagrams: u64,
}

/// Whether a side has said Goaway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    Stays,
    Leaving,
}

impl Mux {
    /// A mux without streams, for a tunnel whose handshake is over.
    pub fn new(config: MuxConfig) -> Self {
        Self {
            config: config.within_limits(),
            streams: HashMap::new(),
            highest: None,
            local: Leave::Stays,
            peer: Leave::Stays,
            queues: Queues::default(),
            events: Events::default(),
            dropped_datagrams: 0,
        }
    }

    /// The next thing that happened. To be polled until `None` after each [`receive`](Self::receive)
    /// and each [`transmit`](Self::transmit).
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop()?;
        match &event {
            Event::Readable(id) => {
                if let Some(stream) = self.streams.get_mut(id) {
                    stream.told.readable = false;
                }
            }
            Event::Writable(id) => {
                if let Some(stream) = self.streams.get_mut(id) {
                    stream.told.writable = false;
                }
            }
            Event::Opened(_)
            | Event::Replied(_)
            | Event::FinAcked(_)
            | Event::Stopped(..)
            | Event::Control(_)
            | Event::Datagram(..)
            | Event::Closed(_) => {}
        }
        Some(event)
    }

    /// How many streams are not yet forgotten.
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// The bytes that the peer may have in flight or in this side's buffer: granted but not read.
    /// Of a direction that has ended, only what is buffered. 0 for an unknown stream.
    pub fn outstanding(&self, stream: u64) -> u64 {
        self.streams.get(&stream).map_or(0, |stream| stream.recv.outstanding())
    }

    /// The bytes that were received and not yet read. 0 for an unknown stream.
    pub fn buffered(&self, stream: u64) -> u64 {
        self.streams.get(&stream).map_or(0, |stream| stream.recv.buffered())
    }

    /// How far the sending direction is towards its end.
    pub fn fin_state(&self, stream: u64) -> FinState {
        self.streams.get(&stream).map_or(FinState::Gone, |stream| stream.send.fin_state())
    }

    /// How many datagrams, of either direction, had no room or no flow since the start.
    pub fn dropped_datagrams(&self) -> u64 {
        self.dropped_datagrams
    }

    /// Forgets the stream if nothing holds it any more.
    fn settle(&mut self, id: u64) {
        if self.streams.get(&id).is_some_and(Stream::is_done) {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: u64) {
        crate::room::remove(&mut self.streams, &id);
        self.events.push(Event::Closed(id));
    }

    /// What a frame for an id without a stream means.
    fn absent(&self, id: u64) -> Result<(), WireError> {
        let opened = Side::Gateway.opens(id) && self.highest.is_some_and(|highest| id <= highest);
        if opened { Ok(()) } else { Err(WireError::UnknownStream(id)) }
    }
}
