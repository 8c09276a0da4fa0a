//! Figures of a tunnel.

use std::time::Duration;

/// Figures of a tunnel at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Smoothed round-trip time; zero until measured.
    pub rtt: Duration,
    /// Bytes handed to the network (QUIC: UDP payload; WebSocket: TCP payload, TLS and all).
    pub sent: u64,
    /// Bytes from the network, likewise. Any that comes counts at once, also within a message that is not whole yet, so
    /// as long as these do not grow the peer is silent.
    pub received: u64,
    /// Packets sent (QUIC only).
    pub sent_packets: u64,
    /// Packets found lost (QUIC only; TCP hides its own).
    pub lost_packets: u64,
    /// How often this end found, or was told by the other, that far less gets through than before although there is
    /// more to send (QUIC only).
    pub strains: u64,
    /// Live data streams.
    pub streams: usize,
    /// Bytes that stalled streams of the session may hold, as an upper bound.
    pub stalled: u64,
    /// Datagrams of flows, sent or received, that found no room or no flow at this end.
    pub dropped_datagrams: u64,
}
