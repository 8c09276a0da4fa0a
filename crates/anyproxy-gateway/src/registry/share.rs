//! What one group takes of the gateway: counted streams and bandwidth.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyproxy_transport::Meters;
use anyproxy_wire::message::Protocol;
use tokio::sync::{Mutex, MutexGuard};

use super::Bandwidth;
use crate::config::GroupLimits;

/// A group's streams and bandwidth. Streams of a group that was removed keep its share alive.
#[derive(Debug)]
pub(crate) struct Share {
    connections: Count,
    flows: Count,
    meters: Meters,
    /// Whose turn it is to have others give way.
    turn: Mutex<()>,
}

/// Live streams of one protocol.
#[derive(Debug)]
struct Count {
    live: AtomicUsize,
    /// [`usize::MAX`]: no bound.
    at_most: AtomicUsize,
}

/// The limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    /// `max_connections`.
    #[error("this group has all the {0} connections it may have (max_connections)")]
    Connections(usize),
    /// `max_flows`.
    #[error("this group has all the {0} UDP flows it may have (max_flows)")]
    Flows(usize),
}

/// One live stream's place; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Permit {
    share: Arc<Share>,
    protocol: Protocol,
}

impl Share {
    pub(super) fn new(limits: &GroupLimits, bandwidth: &Bandwidth) -> Arc<Self> {
        let share = Self {
            connections: Count::default(),
            flows: Count::default(),
            meters: Meters {
                send: bandwidth.to_targets.meter(limits.bandwidth),
                recv: bandwidth.to_users.meter(limits.bandwidth),
            },
            turn: Mutex::default(),
        };
        share.set_limits(limits);
        Arc::new(share)
    }

    /// Limits of numbers apply to what is opened from now on, bandwidth to everything.
    pub(super) fn set_limits(&self, limits: &GroupLimits) {
        self.connections.set(limits.max_connections);
        self.flows.set(limits.max_flows);
        self.meters.send.set_rate(limits.bandwidth);
        self.meters.recv.set_rate(limits.bandwidth);
    }

    /// Holds nothing up any more: the group is gone.
    pub(super) fn lift(&self) {
        self.set_limits(&GroupLimits::default());
    }

    pub(super) fn permit(self: &Arc<Self>, protocol: Protocol) -> Result<Permit, Full> {
        self.count(protocol).enter().map_err(|at_most| match protocol {
            Protocol::Tcp => Full::Connections(at_most),
            Protocol::Udp => Full::Flows(at_most),
        })?;
        Ok(Permit { share: Arc::clone(self), protocol })
    }

    /// Waits for its turn to have others give way. Only the holder that finds some takes time, and that
    /// is [`MAKE_ROOM`](super::MAKE_ROOM) at most.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Live connections and flows.
    pub(super) fn live(&self) -> (usize, usize) {
        let of = |count: &Count| count.live.load(Ordering::Relaxed);
        (of(&self.connections), of(&self.flows))
    }

    pub(super) fn meters(&self) -> &Meters {
        &self.meters
    }

    fn count(&self, protocol: Protocol) -> &Count {
        match protocol {
            Protocol::Tcp => &self.connections,
            Protocol::Udp => &self.flows,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.share.count(self.protocol).live.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Count {
    fn default() -> Self {
        Self { live: AtomicUsize::new(0), at_most: AtomicUsize::new(usize::MAX) }
    }
}

impl Count {
    fn set(&self, at_most: Option<usize>) {
        self.at_most.store(at_most.unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// One more; or how many there may be.
    fn enter(&self) -> Result<(), usize> {
        let at_most = self.at_most.load(Ordering::Relaxed);
        let more = |live: usize| live.checked_add(1).filter(|live| *live <= at_most);
        let entered = self.live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        entered.map(drop).map_err(|_| at_most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_protocol_has_its_own_limit_and_a_change_is_for_new_ones() {
        let limits =
            GroupLimits { max_connections: Some(2), max_flows: Some(1), ..GroupLimits::default() };
        let share = Share::new(&limits, &Bandwidth::new(None));
        let first = share.permit(Protocol::Tcp).unwrap();
        let _second = share.permit(Protocol::Tcp).unwrap();
        let full = share.permit(Protocol::Tcp).unwrap_err();
        assert!(
            full.to_string().contains("2 connections") && full.to_string().contains("max_conn")
        );
        let flow = share.permit(Protocol::Udp).unwrap();
        assert_eq!(share.permit(Protocol::Udp).unwrap_err(), Full::Flows(1));
        drop(first);
        let _third = share.permit(Protocol::Tcp).unwrap();
        share.set_limits(&GroupLimits { max_connections: Some(1), ..limits });
        assert_eq!(share.permit(Protocol::Tcp).unwrap_err(), Full::Connections(1));
        share.set_limits(&GroupLimits::default());
        let _many = (0..100).map(|_| share.permit(Protocol::Tcp).unwrap()).collect::<Vec<_>>();
        drop(flow);
        share.permit(Protocol::Udp).unwrap();
    }
}
