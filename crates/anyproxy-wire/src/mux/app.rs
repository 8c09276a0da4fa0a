//! The application's side of the mux.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::event::{FinState, MuxError, Queued, Read, StreamGone, Written};
use super::recv::{Grant, RecvHalf};
use super::send::{Ended, SendHalf};
use super::stream::{Head, Owner, Stream};
use super::{Leave, Mux, Side};
use crate::codes::{OpenCode, StreamCode};
use crate::credit::RecvCredit;
use crate::frame::{Frame, MAX_DATAGRAM};
use crate::message::{Open, OpenReply, Protocol};
use crate::varint;

impl Mux {
    /// Opens a stream; only the gateway does. Bytes may be written at once, and are lost if the
    /// open fails. The caller owns the stream until it [releases](Self::release) it.
    ///
    /// # Errors
    ///
    /// A [`MuxError`]; then there is no stream.
    pub fn open(&mut self, open: Open) -> Result<(), MuxError> {
        let id = open.stream;
        if self.config.side != Side::Gateway || !Side::Gateway.opens(id) || id > varint::MAX {
            return Err(MuxError::WrongSide);
        }
        if self.local == Leave::Leaving || self.peer == Leave::Leaving {
            return Err(MuxError::Draining);
        }
        if self.highest.is_some_and(|highest| id <= highest) {
            return Err(MuxError::IdInUse);
        }
        if self.streams.len() >= self.config.max_streams {
            return Err(MuxError::TooManyStreams);
        }
        self.highest = Some(id);
        let protocol = open.protocol;
        self.insert(id, protocol, Head::OpenDue(Box::new(open)));
        if let Some(stream) = self.streams.get_mut(&id) {
            self.queues.head(stream);
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, id: u64, protocol: Protocol, head: Head) {
        let config = &self.config;
        let send = SendHalf::new(config.send_credit);
        let credit = RecvCredit::new(config.recv_credit, config.recv_ceiling, config.pool.clone());
        let stream = Stream::new(id, protocol, head, (send, RecvHalf::new(credit)));
        self.streams.insert(id, stream);
    }

    /// Answers an [`Event::Opened`](super::Event::Opened). With a code other than `Connected`
    /// the sending direction ends too.
    ///
    /// # Errors
    ///
    /// [`StreamGone`] if no such stream waits for a reply: the peer has given up.
    pub fn reply(&mut self, reply: OpenReply) -> Result<(), StreamGone> {
        let stream = self.streams.get_mut(&reply.stream).ok_or(StreamGone)?;
        if !matches!(stream.head, Head::Asking) {
            return Err(StreamGone);
        }
        let id = stream.id;
        let code = reply.code;
        stream.head = Head::ReplyDue(Box::new(reply));
        self.queues.head(stream);
        if code != OpenCode::Connected {
            self.reset(id, StreamCode::OpenFailed);
        }
        Ok(())
    }

    /// Copies as many `bytes` as there is room for into the stream's send buffer.
    pub fn write(&mut self, stream: u64, bytes: &[u8]) -> Written {
        let Some(stream) = held(&mut self.streams, stream) else { return Written::Gone };
        let limit = self.config.send_buffer;
        let written = stream.send.write(bytes, limit, &mut self.queues.spares);
        self.queues.ready(stream);
        written
    }

    /// Ends the sending direction cleanly, behind all written bytes.
    pub fn finish(&mut self, stream: u64) {
        if let Some(stream) = held(&mut self.streams, stream) {
            stream.send.finish();
            self.queues.ready(stream);
        }
    }

    /// Ends the sending direction early and drops what is not yet sent. An acceptor that has not
    /// replied answers `Abandoned`. Nothing happens if the direction has ended.
    pub fn reset(&mut self, stream: u64, code: StreamCode) {
        let Some(stream) = self.streams.get_mut(&stream) else { return };
        if stream.send.reset(code, &mut self.queues.spares) == Ended::Now {
            let dropped = self.queues.clear_datagrams(stream);
            self.dropped_datagrams = self.dropped_datagrams.saturating_add(dropped);
            self.queues.answer_abandoned(stream);
            self.queues.ends(stream);
            self.events.tell_writer(stream, self.config.send_buffer);
        }
    }

    /// Wants no more of the receiving direction: drops what was received, and asks the peer to
    /// stop unless it has ended.
    pub fn stop(&mut self, stream: u64, code: StreamCode) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.recv.stop(code);
            self.queues.ends(stream);
        }
    }

    /// Takes the next received bytes. They count as consumed: the peer is granted more. `rtt` is
    /// the tunnel's current round-trip time.
    pub fn read(&mut self, stream: u64, now: Instant, rtt: Duration) -> Read {
        let Some(stream) = held(&mut self.streams, stream) else { return Read::Gone };
        let (read, grant) = stream.recv.read(now, rtt);
        if grant == Grant::More && stream.recv.grant().is_some() {
            self.queues.credit(stream);
        }
        read
    }

    /// Sends a datagram of a flow, behind its Open or OpenReply but in front of stream bytes.
    /// Dropped, and counted, if it is too large, the flow's or the tunnel's queue is full, or the
    /// stream is no flow whose sending direction is open.
    pub fn datagram(&mut self, stream: u64, payload: &[u8]) -> Queued {
        let queued = self.queue_datagram(stream, payload);
        if queued == Queued::Dropped {
            self.dropped_datagrams = self.dropped_datagrams.saturating_add(1);
        }
        queued
    }

    fn queue_datagram(&mut self, stream: u64, payload: &[u8]) -> Queued {
        match held(&mut self.streams, stream) {
            Some(stream)
                if payload.len() <= MAX_DATAGRAM
                    && stream.protocol == Protocol::Udp
                    && stream.send.is_open() =>
            {
                self.queues.datagram(stream, payload)
            }
            Some(_) | None => Queued::Dropped,
        }
    }

    /// Sends a Goaway or a message about a forward; any other frame, and one without room (64
    /// wait at most), is dropped. After a Goaway no stream can be opened, and each Open of the
    /// peer is answered with `Draining`.
    pub fn control(&mut self, frame: Frame) -> Queued {
        let allowed = match &frame {
            Frame::Goaway(_)
            | Frame::ForwardRequest(_)
            | Frame::ForwardReply(_)
            | Frame::ForwardRelease(_) => true,
            Frame::Hello(_)
            | Frame::Challenge(_)
            | Frame::Auth(_)
            | Frame::Welcome(_)
            | Frame::Refuse(_)
            | Frame::Ping(_)
            | Frame::Pong(_)
            | Frame::Credit(_)
            | Frame::Open(_)
            | Frame::OpenReply(_)
            | Frame::Data { .. }
            | Frame::Fin { .. }
            | Frame::FinAck { .. }
            | Frame::Reset { .. }
            | Frame::Stop { .. }
            | Frame::Datagram { .. }
            | Frame::Strain => false,
        };
        if !allowed {
            return Queued::Dropped;
        }
        let leaves = matches!(frame, Frame::Goaway(_));
        let queued = self.queues.control(frame);
        if leaves && queued == Queued::Queued {
            self.local = Leave::Leaving;
        }
        queued
    }

    /// Sends a Ping; a newer one takes the place of one that was not yet sent.
    pub fn ping(&mut self, token: [u8; 8]) {
        self.queues.ping = Some(token);
    }

    /// Gives the stream up: no method finds it afterwards, and of its events only
    /// [`Closed`](super::Event::Closed) still comes. A sending direction that was not finished is
    /// reset, a receiving one that has not ended is stopped, both with `Cancelled`. One that was
    /// finished still sends all its bytes.
    pub fn release(&mut self, stream: u64) {
        let Some(stream) = held(&mut self.streams, stream) else { return };
        let id = stream.id;
        stream.owner = Owner::Released;
        let unsent = matches!(stream.head, Head::OpenDue(_));
        self.queues.answer_abandoned(stream);
        if unsent && stream.send.fin_state() != FinState::Pending {
            self.take_back(id);
        } else if stream.send.is_open() {
            self.reset(id, StreamCode::Cancelled);
        }
        self.stop(id, StreamCode::Cancelled);
        self.settle(id);
    }

    /// The Open was not yet sent, so the peer need not hear of the stream at all.
    fn take_back(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.head = Head::Settled;
        stream.send.reset(StreamCode::Cancelled, &mut self.queues.spares);
        stream.send.reset_due = None;
        stream.recv.cancel();
        let dropped = self.queues.clear_datagrams(stream);
        self.dropped_datagrams = self.dropped_datagrams.saturating_add(dropped);
    }
}

fn held(streams: &mut HashMap<u64, Stream>, id: u64) -> Option<&mut Stream> {
    streams.get_mut(&id).filter(|stream| stream.is_held())
}
