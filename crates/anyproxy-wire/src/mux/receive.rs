//! The frames of the peer.

use bytes::Bytes;

use super::event::{Event, Queued};
use super::recv::Wake;
use super::send::{Acked, Ended};
use super::stream::{Head, Stream};
use super::{Leave, Mux, Side};
use crate::WireError;
use crate::codes::{OpenCode, StreamCode};
use crate::credit::Raised;
use crate::frame::Frame;
use crate::message::{Open, OpenReply, Protocol};

/// Refusals that may wait to be sent, whatever the limit of streams: a peer that keeps opening
/// and does not read the answers is not a slow one.
const MIN_REFUSED: usize = 64;

impl Mux {
    /// Takes in a frame of the peer. All [events](Mux::poll_event) are to be polled before the
    /// next one.
    ///
    /// # Errors
    ///
    /// A [`WireError`] if the peer broke the protocol: the tunnel is to be closed.
    pub fn receive(&mut self, frame: Frame) -> Result<(), WireError> {
        match frame {
            Frame::Data { stream, bytes } => self.on_data(stream, bytes),
            Frame::Credit(pairs) => {
                pairs.into_iter().for_each(|(stream, offset)| self.on_credit(stream, offset));
                Ok(())
            }
            Frame::Open(open) => self.on_open(open),
            Frame::OpenReply(reply) => self.on_reply(reply),
            Frame::Fin { stream, offset } => self.on_fin(stream, offset),
            Frame::FinAck { stream } => self.on_fin_ack(stream),
            Frame::Reset { stream, code } => self.on_reset(stream, code),
            Frame::Stop { stream, code } => self.on_stop(stream, code),
            Frame::Datagram { stream, bytes } => {
                self.on_datagram(stream, &bytes);
                Ok(())
            }
            Frame::Ping(token) => {
                self.queues.pong = Some(token);
                Ok(())
            }
            // What TCP gets through, the kernel knows: nobody asks.
            Frame::Strain => Ok(()),
            Frame::Pong(_) => {
                self.events.push_lossy(Event::Control(frame));
                Ok(())
            }
            Frame::Goaway(_) => {
                self.peer = Leave::Leaving;
                self.events.push_control(frame)
            }
            Frame::ForwardRequest(_) | Frame::ForwardReply(_) | Frame::ForwardRelease(_) => {
                self.events.push_control(frame)
            }
            Frame::Hello(_)
            | Frame::Challenge(_)
            | Frame::Auth(_)
            | Frame::Welcome(_)
            | Frame::Refuse(_) => Err(WireError::UnexpectedFrame(frame.name())),
        }
    }

    fn on_data(&mut self, id: u64, bytes: Bytes) -> Result<(), WireError> {
        let Some(stream) = self.streams.get_mut(&id) else { return self.absent(id) };
        check_answered(stream, "Data")?;
        if stream.recv.data(id, bytes)? == Wake::Reader {
            self.events.tell_reader(stream);
        }
        Ok(())
    }

    /// Unknown streams are left out even if they were never opened: a credit is only advice.
    fn on_credit(&mut self, id: u64, offset: u64) {
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.send.raise(offset) == Raised::Higher
        {
            self.queues.ready(stream);
        }
    }

    fn on_open(&mut self, open: Open) -> Result<(), WireError> {
        let id = open.stream;
        if self.config.side != Side::Client {
            return Err(WireError::UnexpectedFrame("Open"));
        }
        if !Side::Gateway.opens(id) || self.highest.is_some_and(|highest| id <= highest) {
            return Err(WireError::BadStreamId(id));
        }
        self.highest = Some(id);
        if self.local == Leave::Leaving {
            return self.refuse(id, OpenCode::Draining);
        }
        if self.streams.len() >= self.config.max_streams {
            return self.refuse(id, OpenCode::Overloaded);
        }
        self.insert(id, open.protocol, Head::Asking);
        self.events.push(Event::Opened(open));
        Ok(())
    }

    fn refuse(&mut self, id: u64, code: OpenCode) -> Result<(), WireError> {
        let limit = self.config.max_streams.max(MIN_REFUSED);
        if self.queues.refused.len() >= limit {
            let limit = limit as u64;
            return Err(WireError::TooLarge {
                what: "refused opens",
                length: limit.saturating_add(1),
                limit,
            });
        }
        self.queues.refused.push_back((id, code));
        Ok(())
    }

    fn on_reply(&mut self, reply: OpenReply) -> Result<(), WireError> {
        let id = reply.stream;
        let Some(stream) = self.streams.get_mut(&id) else { return self.absent(id) };
        match stream.head {
            Head::Asked => {}
            Head::Forsaken => {
                stream.head = Head::Settled;
                return Ok(());
            }
            Head::OpenDue(_) | Head::Asking | Head::ReplyDue(_) | Head::Settled => {
                return Err(WireError::UnexpectedFrame("OpenReply"));
            }
        }
        stream.head = Head::Settled;
        self.replied(reply);
        Ok(())
    }

    fn replied(&mut self, reply: OpenReply) {
        if reply.code != OpenCode::Connected {
            self.reset(reply.stream, StreamCode::OpenFailed);
        }
        if self.streams.get(&reply.stream).is_some_and(Stream::is_held) {
            self.events.push(Event::Replied(reply));
        }
    }

    fn on_fin(&mut self, id: u64, offset: u64) -> Result<(), WireError> {
        let Some(stream) = self.streams.get_mut(&id) else { return self.absent(id) };
        check_answered(stream, "Fin")?;
        let wake = stream.recv.fin(id, offset)?;
        self.queues.ends(stream);
        if wake == Wake::Reader {
            self.events.tell_reader(stream);
        }
        self.settle(id);
        Ok(())
    }

    fn on_fin_ack(&mut self, id: u64) -> Result<(), WireError> {
        let Some(stream) = self.streams.get_mut(&id) else { return self.absent(id) };
        match stream.send.fin_acked() {
            Acked::TooEarly => return Err(WireError::UnexpectedFrame("FinAck")),
            Acked::Before => {}
            Acked::Now => {
                if stream.is_held() {
                    self.events.push(Event::FinAcked(id));
                }
                self.settle(id);
            }
        }
        Ok(())
    }

    fn on_reset(&mut self, id: u64, code: StreamCode) -> Result<(), WireError> {
        let Some(stream) = self.streams.get_mut(&id) else { return self.absent(id) };
        if stream.recv.reset(code) == Wake::Reader {
            self.events.tell_reader(stream);
        }
        if matches!(stream.head, Head::Asked) {
            stream.head = Head::Forsaken;
            let code = OpenCode::Abandoned;
            self.replied(OpenReply { stream: id, code, detail: String::new(), address: None });
        }
        self.settle(id);
        Ok(())
    }

    fn on_stop(&mut self, id: u64, code: StreamCode) -> Result<(), WireError> {
        let Some(stream) = self.streams.get_mut(&id) else { return self.absent(id) };
        if stream.send.stopped(code, &mut self.queues.spares) == Ended::Now {
            let dropped = self.queues.clear_datagrams(stream);
            self.dropped_datagrams = self.dropped_datagrams.saturating_add(dropped);
            self.queues.answer_abandoned(stream);
            self.queues.ends(stream);
            self.events.tell_writer(stream, self.config.send_buffer);
            if stream.is_held() {
                self.events.push(Event::Stopped(id, code));
            }
        }
        Ok(())
    }

    /// A datagram without a flow is no error: the flow may have ended, and datagrams may overtake
    /// their Open. Those that wait are copies, so that they do not pin whole messages.
    fn on_datagram(&mut self, id: u64, bytes: &Bytes) {
        let flow = self.streams.get(&id).filter(|stream| {
            stream.is_held() && stream.protocol == Protocol::Udp && stream.recv.takes_datagrams()
        });
        let queued = match flow {
            Some(_) => self.events.push_lossy(Event::Datagram(id, Bytes::copy_from_slice(bytes))),
            None => Queued::Dropped,
        };
        if queued == Queued::Dropped {
            self.dropped_datagrams = self.dropped_datagrams.saturating_add(1);
        }
    }
}

/// The acceptor's bytes come behind its reply.
fn check_answered(stream: &Stream, frame: &'static str) -> Result<(), WireError> {
    match stream.head {
        Head::OpenDue(_) | Head::Asked => Err(WireError::UnexpectedFrame(frame)),
        Head::Forsaken | Head::Asking | Head::ReplyDue(_) | Head::Settled => Ok(()),
    }
}
