//! What waits to be sent, in the order of [`super::transmit`].
//!
//! Queues hold ids, and a stream knows in which it stands: nothing is queued twice, and what is
//! sent is what holds at the stream's turn (the newest credit, no Stop for a direction that has
//! ended meanwhile).

use std::collections::VecDeque;

use bytes::Bytes;

use super::event::Queued;
use super::send::Spares;
use super::stream::{Head, Stream};
use crate::codes::OpenCode;
use crate::frame::Frame;
use crate::message::OpenReply;

/// Control messages that may wait.
const MAX_CONTROL: usize = 64;
/// Datagrams that may wait, of one flow.
const MAX_FLOW_DATAGRAMS: usize = 64;
/// Datagrams of one flow that may wait however many others do, and the largest of them, in bytes.
const FLOW_SHARE: usize = 2;
const FLOW_SHARE_PAYLOAD: usize = 2 * 1024;
/// Datagrams that may wait, of all flows.
const MAX_DATAGRAMS: usize = 256;
/// Bytes of datagrams that may wait, of all flows.
const MAX_DATAGRAM_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Queues {
    /// The newest token only: an older Ping needs no answer of its own.
    pub(super) pong: Option<[u8; 8]>,
    pub(super) ping: Option<[u8; 8]>,
    pub(super) credits: VecDeque<u64>,
    pub(super) control: VecDeque<Frame>,
    pub(super) ends: VecDeque<u64>,
    pub(super) heads: VecDeque<u64>,
    /// Opens that became no stream.
    pub(super) refused: VecDeque<(u64, OpenCode)>,
    pub(super) flows: VecDeque<u64>,
    pub(super) ready: VecDeque<u64>,
    pub(super) spares: Spares,
    datagrams: usize,
    datagram_bytes: usize,
}

impl Queues {
    pub(super) fn is_empty(&self) -> bool {
        self.pong.is_none() && self.ping.is_none() && self.is_only_liveness()
    }

    /// Whether there is nothing but perhaps Ping and Pong.
    pub(super) fn is_only_liveness(&self) -> bool {
        self.credits.is_empty()
            && self.control.is_empty()
            && self.ends.is_empty()
            && self.heads.is_empty()
            && self.refused.is_empty()
            && self.flows.is_empty()
            && self.ready.is_empty()
    }

    pub(super) fn control(&mut self, frame: Frame) -> Queued {
        if self.control.len() >= MAX_CONTROL {
            return Queued::Dropped;
        }
        self.control.push_back(frame);
        Queued::Queued
    }

    pub(super) fn credit(&mut self, stream: &mut Stream) {
        if !stream.queued.credits {
            stream.queued.credits = true;
            self.credits.push_back(stream.id);
        }
    }

    /// Queues the stream's Stop, FinAck and Reset; those of a stream whose head waits go with it.
    pub(super) fn ends(&mut self, stream: &mut Stream) {
        if stream.ends_due() && !stream.head_due() && !stream.queued.ends {
            stream.queued.ends = true;
            self.ends.push_back(stream.id);
        }
    }

    pub(super) fn head(&mut self, stream: &mut Stream) {
        if !stream.queued.heads {
            stream.queued.heads = true;
            self.heads.push_back(stream.id);
        }
    }

    /// Puts the stream behind all that are ready, if it has something to send.
    pub(super) fn ready(&mut self, stream: &mut Stream) {
        if !stream.queued.ready && stream.wants_turn() {
            stream.queued.ready = true;
            self.ready.push_back(stream.id);
        }
    }

    pub(super) fn flow(&mut self, stream: &mut Stream) {
        if !stream.queued.flows && stream.wants_flow_turn() {
            stream.queued.flows = true;
            self.flows.push_back(stream.id);
        }
    }

    pub(super) fn datagram(&mut self, stream: &mut Stream, payload: &[u8]) -> Queued {
        let waiting = stream.datagrams.len();
        let total = self.datagram_bytes.saturating_add(payload.len());
        let full = self.datagrams >= MAX_DATAGRAMS || total > MAX_DATAGRAM_BYTES;
        // A flood of some flows must not take every place from the others.
        let shared = waiting >= FLOW_SHARE || payload.len() > FLOW_SHARE_PAYLOAD;
        if waiting >= MAX_FLOW_DATAGRAMS || (full && shared) {
            return Queued::Dropped;
        }
        self.datagrams = self.datagrams.saturating_add(1);
        self.datagram_bytes = total;
        stream.datagrams.push_back(Bytes::copy_from_slice(payload));
        self.flow(stream);
        Queued::Queued
    }

    pub(super) fn next_datagram(&mut self, stream: &mut Stream) -> Option<Bytes> {
        let datagram = stream.datagrams.pop_front()?;
        self.datagrams = self.datagrams.saturating_sub(1);
        self.datagram_bytes = self.datagram_bytes.saturating_sub(datagram.len());
        Some(datagram)
    }

    /// Drops the datagrams of a flow that has ended; how many.
    pub(super) fn clear_datagrams(&mut self, stream: &mut Stream) -> u64 {
        let mut dropped = 0_u64;
        while self.next_datagram(stream).is_some() {
            dropped = dropped.saturating_add(1);
        }
        stream.datagrams = VecDeque::new();
        dropped
    }

    /// An acceptor that goes before it answered says so: the opener waits for an answer.
    pub(super) fn answer_abandoned(&mut self, stream: &mut Stream) {
        if matches!(stream.head, Head::Asking) {
            let reply = OpenReply {
                stream: stream.id,
                code: OpenCode::Abandoned,
                detail: String::new(),
                address: None,
            };
            stream.head = Head::ReplyDue(Box::new(reply));
            self.head(stream);
        }
    }
}
