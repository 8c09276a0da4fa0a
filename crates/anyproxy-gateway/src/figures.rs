//! What the gateway counts about flows.
//!
//! Every datagram that a user sent is passed on or counted under exactly one reason, so
//! `from_users` less the drops of that direction is what went into tunnels. Counting is a relaxed
//! addition: a snapshot is not a single moment, but every number in it only grows, except `live`.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Flows and their datagrams, since the gateway started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowFigures {
    /// Flows that are open now.
    pub live: usize,
    /// Flows that were opened.
    pub opened: u64,
    /// Datagrams that came in from users, whatever became of them.
    pub from_users: u64,
    /// Datagrams that were sent to users.
    pub to_users: u64,
    /// Datagrams that were dropped here.
    pub dropped: DroppedDatagrams,
}

/// Dropped datagrams by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DroppedDatagrams {
    /// A flow's queue in front of the tunnel, or behind it, had no room.
    pub queue_full: u64,
    /// There were as many flows as are allowed.
    pub too_many_flows: u64,
    /// More came than may wait while their flow is being opened.
    pub not_ready: u64,
    /// A fragment at the SOCKS5 proxy.
    pub fragment: u64,
    /// Not a datagram of SOCKS5, or for something that is no target.
    pub malformed: u64,
    /// The flow could not be opened, or could not a moment ago.
    pub refused: u64,
    /// From somebody else than the user of the SOCKS5 association.
    pub wrong_peer: u64,
    /// The flow ended before they were passed on.
    pub ended: u64,
    /// The system did not take a reply to a user: no room, or too long with its SOCKS5 header.
    pub unsent: u64,
}

impl DroppedDatagrams {
    /// All reasons together.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self {
            queue_full,
            too_many_flows,
            not_ready,
            fragment,
            malformed,
            refused,
            wrong_peer,
            ended,
            unsent,
        } = *self;
        [queue_full, too_many_flows, not_ready, fragment, malformed, refused, wrong_peer]
            .iter()
            .sum::<u64>()
            + ended
            + unsent
    }
}

/// Why a datagram was dropped; see [`DroppedDatagrams`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    QueueFull,
    TooManyFlows,
    NotReady,
    Fragment,
    Malformed,
    Refused,
    WrongPeer,
    Ended,
    Unsent,
}

/// The counters behind [`FlowFigures`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    live: AtomicUsize,
    opened: AtomicU64,
    from_users: AtomicU64,
    to_users: AtomicU64,
    queue_full: AtomicU64,
    too_many_flows: AtomicU64,
    not_ready: AtomicU64,
    fragment: AtomicU64,
    malformed: AtomicU64,
    refused: AtomicU64,
    wrong_peer: AtomicU64,
    ended: AtomicU64,
    unsent: AtomicU64,
}

impl Counters {
    /// A datagram came from a user.
    pub(crate) fn came(&self) {
        self.from_users.fetch_add(1, Ordering::Relaxed);
    }

    /// A datagram was sent to a user.
    pub(crate) fn answered(&self) {
        self.to_users.fetch_add(1, Ordering::Relaxed);
    }

    /// So many datagrams were dropped.
    pub(crate) fn dropped(&self, reason: Reason, datagrams: u64) {
        self.of(reason).fetch_add(datagrams, Ordering::Relaxed);
    }

    /// A flow is open for as long as the answer is kept.
    pub(crate) fn open(&self) -> Open<'_> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.live.fetch_add(1, Ordering::Relaxed);
        Open(self)
    }

    fn of(&self, reason: Reason) -> &AtomicU64 {
        match reason {
            Reason::QueueFull => &self.queue_full,
            Reason::TooManyFlows => &self.too_many_flows,
            Reason::NotReady => &self.not_ready,
            Reason::Fragment => &self.fragment,
            Reason::Malformed => &self.malformed,
            Reason::Refused => &self.refused,
            Reason::WrongPeer => &self.wrong_peer,
            Reason::Ended => &self.ended,
            Reason::Unsent => &self.unsent,
        }
    }

    /// The figures now.
    pub(crate) fn snapshot(&self) -> FlowFigures {
        let of = |reason| self.of(reason).load(Ordering::Relaxed);
        FlowFigures {
            live: self.live.load(Ordering::Relaxed),
            opened: self.opened.load(Ordering::Relaxed),
            from_users: self.from_users.load(Ordering::Relaxed),
            to_users: self.to_users.load(Ordering::Relaxed),
            dropped: DroppedDatagrams {
                queue_full: of(Reason::QueueFull),
                too_many_flows: of(Reason::TooManyFlows),
                not_ready: of(Reason::NotReady),
                fragment: of(Reason::Fragment),
                malformed: of(Reason::Malformed),
                refused: of(Reason::Refused),
                wrong_peer: of(Reason::WrongPeer),
                ended: of(Reason::Ended),
                unsent: of(Reason::Unsent),
            },
        }
    }
}

/// A live flow, for the count of them.
#[derive(Debug)]
pub(crate) struct Open<'a>(&'a Counters);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}
