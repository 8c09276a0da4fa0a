//! One data stream: its head, its two directions, and where it waits.

use std::collections::VecDeque;

use bytes::Bytes;

use super::recv::RecvHalf;
use super::send::SendHalf;
use crate::message::{Open, OpenReply, Protocol};

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: u64,
    pub(super) protocol: Protocol,
    pub(super) head: Head,
    pub(super) send: SendHalf,
    pub(super) recv: RecvHalf,
    /// Datagrams to send, of a flow.
    pub(super) datagrams: VecDeque<Bytes>,
    pub(super) owner: Owner,
    pub(super) queued: QueuedIn,
    pub(super) told: Told,
}

/// How far opening is.
#[derive(Debug)]
pub(super) enum Head {
    /// Opener: Open is to be sent.
    OpenDue(Box<Open>),
    /// Opener: the peer is to answer.
    Asked,
    /// Opener: reset before any answer; one may still come.
    Forsaken,
    /// Acceptor: the application is to answer.
    Asking,
    /// Acceptor: OpenReply is to be sent.
    ReplyDue(Box<OpenReply>),
    /// Both sides know.
    Settled,
}

/// Whether the application still holds the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Held,
    Released,
}

/// In which queues the stream stands; in each at most once.
#[derive(Debug, Default)]
pub(super) struct QueuedIn {
    pub(super) ready: bool,
    pub(super) ends: bool,
    pub(super) credits: bool,
    pub(super) heads: bool,
    pub(super) flows: bool,
}

/// Which events of the stream wait to be polled.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) readable: bool,
    pub(super) writable: bool,
}

impl Stream {
    pub(super) fn new(
        id: u64,
        protocol: Protocol,
        head: Head,
        halves: (SendHalf, RecvHalf),
    ) -> Self {
        let (send, recv) = halves;
        Self {
            id,
            protocol,
            head,
            send,
            recv,
            datagrams: VecDeque::new(),
            owner: Owner::Held,
            queued: QueuedIn::default(),
            told: Told::default(),
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.owner == Owner::Held
    }

    /// Whether nothing holds the stream any more.
    pub(super) fn is_done(&self) -> bool {
        let QueuedIn { ready, ends, credits, heads, flows } = self.queued;
        !self.is_held()
            && self.send.is_ended()
            && self.recv.is_ended()
            && !(ready || ends || credits || heads || flows)
    }

    /// Whether this side's head is on its way, so that bytes may follow it.
    fn may_follow_head(&self) -> bool {
        match self.head {
            Head::Asked | Head::Settled | Head::Forsaken => true,
            Head::OpenDue(_) | Head::Asking | Head::ReplyDue(_) => false,
        }
    }

    /// Whether a head waits to be sent, behind which the ends belong.
    pub(super) fn head_due(&self) -> bool {
        matches!(self.head, Head::OpenDue(_) | Head::ReplyDue(_))
    }

    /// Whether a turn among the streams would send something. Fin ends a flow, so its datagrams
    /// go first.
    pub(super) fn wants_turn(&self) -> bool {
        self.may_follow_head() && self.datagrams.is_empty() && self.send.wants_turn()
    }

    /// Whether a datagram can be sent.
    pub(super) fn wants_flow_turn(&self) -> bool {
        self.may_follow_head() && !self.datagrams.is_empty()
    }

    /// Whether Stop, FinAck or Reset waits to be sent.
    pub(super) fn ends_due(&self) -> bool {
        self.recv.fin_ack_due || self.recv.stop_due.is_some() || self.send.reset_due.is_some()
    }
}
