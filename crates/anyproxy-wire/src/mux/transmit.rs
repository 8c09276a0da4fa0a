//! What is sent next.

use bytes::BytesMut;

use super::Mux;
use super::stream::{Head, Stream};
use crate::codes::StreamCode;
use crate::frame::{Frame, MAX_CREDITS};
use crate::message::OpenReply;

impl Mux {
    /// Whether [`transmit`](Self::transmit) may have something to send. True at most once in
    /// vain.
    pub fn wants_transmit(&self) -> bool {
        !self.queues.is_empty()
    }

    /// Whether that is more than Ping and Pong.
    pub fn wants_more_than_liveness(&self) -> bool {
        !self.queues.is_only_liveness()
    }

    /// Appends whole frames to `out` until about `budget` bytes were appended, and returns how
    /// many. The last frame begins within the budget and may end beyond it, by up to a frame of
    /// 16 KiB, a configured Data frame or a datagram: with 64 KiB less than the largest message
    /// (262,144 bytes) the message stays legal.
    ///
    /// Events may follow: writers find room, streams are forgotten.
    pub fn transmit(&mut self, out: &mut BytesMut, budget: usize) -> usize {
        let start = out.len();
        let end = start.saturating_add(budget);
        self.put_liveness(out, end);
        self.put_credits(out, end);
        self.put_control(out, end);
        self.put_ends(out, end);
        self.put_heads(out, end);
        // A Goaway that waited for the last Open.
        self.put_control(out, end);
        self.put_datagrams(out, end);
        self.put_data(out, end);
        out.len().saturating_sub(start)
    }

    fn put_liveness(&mut self, out: &mut BytesMut, end: usize) {
        if out.len() < end
            && let Some(token) = self.queues.pong.take()
        {
            Frame::Pong(token).encode(out);
        }
        if out.len() < end
            && let Some(token) = self.queues.ping.take()
        {
            Frame::Ping(token).encode(out);
        }
    }

    fn put_credits(&mut self, out: &mut BytesMut, end: usize) {
        while out.len() < end && !self.queues.credits.is_empty() {
            let count = self.queues.credits.len().min(MAX_CREDITS);
            let ids: Vec<u64> = self.queues.credits.drain(..count).collect();
            let mut pairs = Vec::with_capacity(count);
            for id in ids {
                let Some(stream) = self.streams.get_mut(&id) else { continue };
                stream.queued.credits = false;
                pairs.extend(stream.recv.grant().map(|offset| (id, offset)));
                self.settle(id);
            }
            if !pairs.is_empty() {
                Frame::Credit(pairs).encode(out);
            }
        }
    }

    /// Stops in front of a Goaway while an Open waits: none may follow it.
    fn put_control(&mut self, out: &mut BytesMut, end: usize) {
        while out.len() < end
            && let Some(frame) = self.queues.control.pop_front()
        {
            if matches!(frame, Frame::Goaway(_)) && !self.queues.heads.is_empty() {
                self.queues.control.push_front(frame);
                break;
            }
            frame.encode(out);
        }
    }

    fn put_ends(&mut self, out: &mut BytesMut, end: usize) {
        while out.len() < end
            && let Some(id) = self.queues.ends.pop_front()
        {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            stream.queued.ends = false;
            // A reply may have come since: then they go behind it.
            if !stream.head_due() {
                put_ends_of(stream, out);
            }
            self.settle(id);
        }
    }

    fn put_heads(&mut self, out: &mut BytesMut, end: usize) {
        while out.len() < end
            && let Some((stream, code)) = self.queues.refused.pop_front()
        {
            let reply = OpenReply { stream, code, detail: String::new(), address: None };
            Frame::OpenReply(reply).encode(out);
            Frame::Reset { stream, code: StreamCode::OpenFailed }.encode(out);
        }
        while out.len() < end
            && let Some(id) = self.queues.heads.pop_front()
        {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            stream.queued.heads = false;
            put_head_of(stream, out);
            put_ends_of(stream, out);
            self.queues.flow(stream);
            self.queues.ready(stream);
            self.settle(id);
        }
    }

    /// Leaves half of the room to streams that wait, so that a flood of datagrams does not
    /// starve them.
    fn put_datagrams(&mut self, out: &mut BytesMut, end: usize) {
        let room = end.saturating_sub(out.len());
        let end = if self.queues.ready.is_empty() { end } else { end.saturating_sub(room / 2) };
        while out.len() < end
            && let Some(id) = self.queues.flows.pop_front()
        {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            stream.queued.flows = false;
            if let Some(bytes) = self.queues.next_datagram(stream) {
                Frame::Datagram { stream: id, bytes }.encode(out);
            }
            self.queues.flow(stream);
            self.queues.ready(stream);
            self.settle(id);
        }
    }

    fn put_data(&mut self, out: &mut BytesMut, end: usize) {
        while out.len() < end
            && let Some(id) = self.queues.ready.pop_front()
        {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            stream.queued.ready = false;
            if stream.wants_turn() {
                stream.send.turn(id, self.config.data_frame, out, &mut self.queues.spares);
            }
            self.queues.ready(stream);
            self.events.tell_writer(stream, self.config.send_buffer);
            if stream.is_done() {
                self.forget(id);
            }
        }
    }
}

fn put_head_of(stream: &mut Stream, out: &mut BytesMut) {
    stream.head = match std::mem::replace(&mut stream.head, Head::Settled) {
        Head::OpenDue(open) => {
            Frame::Open(*open).encode(out);
            Head::Asked
        }
        Head::ReplyDue(reply) => {
            Frame::OpenReply(*reply).encode(out);
            Head::Settled
        }
        // Taken back.
        head @ (Head::Asked | Head::Forsaken | Head::Asking | Head::Settled) => head,
    };
}

fn put_ends_of(stream: &mut Stream, out: &mut BytesMut) {
    let id = stream.id;
    if let Some(code) = stream.recv.stop_due.take() {
        Frame::Stop { stream: id, code }.encode(out);
    }
    if std::mem::take(&mut stream.recv.fin_ack_due) {
        Frame::FinAck { stream: id }.encode(out);
    }
    if let Some(code) = stream.send.reset_due.take() {
        Frame::Reset { stream: id, code }.encode(out);
    }
}
