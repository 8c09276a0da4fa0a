//! All tunnels of a process: those that live, and what those that are over have moved.
//!
//! What was moved only ever grows, as a counter must: a tunnel's figures are taken over in the same
//! moment in which it leaves. The lock is taken when a tunnel comes or goes and when somebody asks,
//! never for a byte.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    error::{ClosedBy, TunnelError},
    tunnel::{Stats, Transport, Tunnel},
};

type Key = (Arc<str>, Transport);

/// Keeps account of tunnels, by group and transport.
#[derive(Debug, Default)]
pub struct Ledger {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    next: u64,
    live: HashMap<u64, (Key, Tunnel)>,
    past: HashMap<Key, Totals>,
    losses: HashMap<(Transport, Loss), u64>,
}

/// What a snapshot is made of.
struct Copied {
    totals: HashMap<Key, Totals>,
    live: Vec<(Key, Tunnel)>,
    losses: HashMap<(Transport, Loss), u64>,
}

/// What tunnels of one group and transport came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Those that are up.
    pub live: usize,
    /// Those that were ever up.
    pub made: u64,
    /// Bytes sent, with what the transport needs itself.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// Packets sent (QUIC only).
    pub sent_packets: u64,
    /// Packets found lost (QUIC only).
    pub lost_packets: u64,
    /// Datagrams of flows that found no room or no flow.
    pub dropped_datagrams: u64,
}

impl Totals {
    fn add(&mut self, stats: &Stats) {
        for (sum, more) in [
            (&mut self.sent, stats.sent),
            (&mut self.received, stats.received),
            (&mut self.sent_packets, stats.sent_packets),
            (&mut self.lost_packets, stats.lost_packets),
            (&mut self.dropped_datagrams, stats.dropped_datagrams),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// Why a tunnel ended: who ended it, and the reason as one word.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Loss {
    /// `here`, `peer` or `network`.
    pub by: &'static str,
    /// The close code in lower case, with `_` for spaces; or `peer_is_dead`, `peer_restarted`, `transport`.
    pub reason: String,
}

impl Loss {
    fn of(error: &TunnelError) -> Self {
        let word = |text: &dyn fmt::Display| text.to_string().replace(' ', "_");
        let (by, reason) = match error {
            TunnelError::Closed { by: ClosedBy::Us, code, .. } => ("here", word(code)),
            TunnelError::Closed { by: ClosedBy::Peer, code, .. } => ("peer", word(code)),
            TunnelError::PeerDead => ("network", "peer_is_dead".into()),
            TunnelError::Reset => ("network", "peer_restarted".into()),
            TunnelError::Transport(_) => ("network", "transport".into()),
        };
        Self { by, reason }
    }
}

/// A [`Ledger`] at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LedgerFigures {
    /// By group and transport, in this order.
    pub totals: Vec<(Arc<str>, Transport, Totals)>,
    /// Tunnels that ended, by transport and reason.
    pub losses: Vec<(Transport, Loss, u64)>,
}

/// A tunnel in the book; dropping it takes the tunnel out.
#[derive(Debug)]
pub struct Entry {
    ledger: Arc<Ledger>,
    number: u64,
}

impl Ledger {
    /// A tunnel came up. It is kept until the entry is dropped.
    #[must_use]
    pub fn enter(self: &Arc<Self>, group: &Arc<str>, tunnel: &Tunnel) -> Entry {
        let mut book = self.book();
        let number = book.next;
        book.next = number.wrapping_add(1);
        let key = (Arc::clone(group), tunnel.transport());
        let totals = book.past.entry(key.clone()).or_default();
        totals.made = totals.made.saturating_add(1);
        book.live.insert(number, (key, tunnel.clone()));
        Entry { ledger: Arc::clone(self), number }
    }

    /// What is in it now. What `keeps` no group is forgotten unless a tunnel of it lives, so that groups that come
    /// and go do not add up. `keeps` is asked once for each group and transport, and must be quick.
    ///
    /// Tunnels that come and go wait only for a copy; each tunnel is asked afterwards.
    #[must_use]
    pub fn snapshot(&self, keeps: impl Fn(&str) -> bool) -> LedgerFigures {
        let Copied { mut totals, live, losses } = self.copied(keeps);
        for (key, tunnel) in &live {
            let sum = totals.entry(key.clone()).or_default();
            sum.live = sum.live.saturating_add(1);
            sum.add(&tunnel.stats());
        }
        let totals = totals.into_iter().map(|((group, transport), sum)| (group, transport, sum));
        let mut totals = totals.collect::<Vec<_>>();
        totals.sort_by_key(|(group, transport, _)| (Arc::clone(group), transport.to_string()));
        let losses = losses.into_iter().map(|((transport, loss), count)| (transport, loss, count));
        let mut losses = losses.collect::<Vec<_>>();
        losses.sort_by_key(|(transport, loss, _)| (transport.to_string(), loss.clone()));
        LedgerFigures { totals, losses }
    }

    /// All of one moment: what has left is in the sums, and what has not is alive, never both.
    fn copied(&self, keeps: impl Fn(&str) -> bool) -> Copied {
        let mut book = self.book();
        let Book { live, past, losses, .. } = &mut *book;
        let alive = live.values().map(|(key, _)| key).collect::<HashSet<_>>();
        past.retain(|key, _| keeps(&key.0) || alive.contains(key));
        Copied {
            totals: past.clone(),
            live: live.values().cloned().collect(),
            losses: losses.clone(),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// The tunnel is over, for this reason.
    pub fn over(self, error: &TunnelError) {
        let loss = Loss::of(error);
        let mut book = self.ledger.book();
        let Some((_, transport)) = book.live.get(&self.number).map(|(key, _)| key.clone()) else {
            return;
        };
        let count = book.losses.entry((transport, loss)).or_default();
        *count = count.saturating_add(1);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut book = self.ledger.book();
        let left = book.live.remove(&self.number);
        if let Some((key, tunnel)) = &left {
            let stats = tunnel.stats();
            book.past.entry(key.clone()).or_default().add(&stats);
        }
        // Not under the lock: the last handle of a tunnel closes it.
        drop(book);
        drop(left);
    }
}
