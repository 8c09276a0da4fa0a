//! What went over a link: counters and recorded payloads.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::time::Instant;

/// Counters since the world began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Datagrams that entered.
    pub datagrams: u64,
    /// Their payload bytes.
    pub datagram_bytes: u64,
    /// Datagrams put into a socket's receive queue, duplicates included.
    pub delivered: u64,
    /// Extra copies made.
    pub duplicated: u64,
    /// Datagrams lost by [`LinkSettings::loss`](super::LinkSettings::loss).
    pub lost: u64,
    /// Datagrams that fell into a black hole.
    pub black_holed: u64,
    /// Datagrams over [`LinkSettings::mtu`](super::LinkSettings::mtu).
    pub over_mtu: u64,
    /// Datagrams that found [`LinkSettings::queue`](super::LinkSettings::queue) full.
    pub queue_full: u64,
    /// Datagrams for an address or port where nobody is, or from an address that is gone.
    pub unreachable: u64,
    /// Datagrams that found the receiving socket's queue full.
    pub overflown: u64,
    /// TCP segments with data that entered.
    pub segments: u64,
    /// Their payload bytes.
    pub segment_bytes: u64,
    /// Retransmissions of TCP segments caused by [`LinkSettings::loss`](super::LinkSettings::loss).
    pub retransmitted: u64,
}

impl std::ops::AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.datagram_bytes += other.datagram_bytes;
        self.delivered += other.delivered;
        self.duplicated += other.duplicated;
        self.lost += other.lost;
        self.black_holed += other.black_holed;
        self.over_mtu += other.over_mtu;
        self.queue_full += other.queue_full;
        self.unreachable += other.unreachable;
        self.overflown += other.overflown;
        self.segments += other.segments;
        self.segment_bytes += other.segment_bytes;
        self.retransmitted += other.retransmitted;
    }
}

/// What carried a recorded payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// One UDP datagram.
    Udp,
    /// One TCP segment.
    Tcp,
}

/// One payload that entered a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub at: Instant,
    /// Datagram or segment.
    pub carrier: Carrier,
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// The payload.
    pub bytes: Bytes,
}

/// Records that a tap keeps; later ones are only counted.
const TAP_RECORDS: usize = 65_536;

/// A tap on a link: what entered it, whether or not it arrived. TCP handshakes and retransmissions
/// are not recorded.
#[derive(Debug, Clone, Default)]
pub struct Capture(Arc<Mutex<Vec<Record>>>);

impl Capture {
    /// Takes what was recorded since the last call; 65,536 records at most are kept in between.
    #[must_use]
    pub fn take(&self) -> Vec<Record> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn record(&self, record: Record) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() < TAP_RECORDS {
            records.push(record);
        }
    }
}
