//! Datagrams that wait for QUIC, flow by flow in turn.
//!
//! quinn has one queue for all flows and drops from it in silence. So little is put into it at a time,
//! and what waits, waits here, where each flow has its own bound and its own turn.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{Sent, cost};

/// Datagrams of one flow that wait to be sent. Each fits into a packet.
pub(super) const FLOW_DATAGRAMS: usize = 64;

/// Bytes of all flows of a tunnel that wait to be sent, beyond [`FLOW_SHARE`] of each.
pub(super) const TUNNEL_BYTES: usize = 1024 * 1024;

/// Bytes that each flow may have waiting, whatever the others have.
pub(super) const FLOW_SHARE: usize = 4 * 1024;

/// The queues of all flows of a tunnel.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Only flows that have something waiting.
    flows: HashMap<u64, Queue>,
    turns: VecDeque<u64>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Queue {
    /// As they go out, with the flow's id in front.
    datagrams: VecDeque<Bytes>,
    bytes: usize,
}

impl Outbox {
    /// Queues a datagram, if there is room.
    pub(crate) fn push(&self, flow: u64, datagram: Bytes) -> Sent {
        let size = cost(&datagram);
        let mut state = self.state();
        let waiting = state.flows.get(&flow);
        let (count, bytes) = waiting.map_or((0, 0), |queue| (queue.datagrams.len(), queue.bytes));
        let (bytes, total) = (bytes.saturating_add(size), state.bytes.saturating_add(size));
        if count >= FLOW_DATAGRAMS || (bytes > FLOW_SHARE && total > TUNNEL_BYTES) {
            return Sent::Dropped;
        }
        state.bytes = total;
        let queue = state.flows.entry(flow).or_default();
        queue.bytes = bytes;
        queue.datagrams.push_back(datagram);
        if count == 0 {
            state.turns.push_back(flow);
        }
        drop(state);
        self.news.notify_one();
        Sent::Queued
    }

    /// The next datagram and its flow: one of each flow in turn.
    pub(crate) fn pop(&self) -> Option<(u64, Bytes)> {
        let mut state = self.state();
        let flow = state.turns.pop_front()?;
        let queue = state.flows.get_mut(&flow)?;
        let datagram = queue.datagrams.pop_front()?;
        let size = cost(&datagram);
        queue.bytes = queue.bytes.saturating_sub(size);
        let more = !queue.datagrams.is_empty();
        state.bytes = state.bytes.saturating_sub(size);
        if more {
            state.turns.push_back(flow);
        } else {
            state.flows.remove(&flow);
        }
        Some((flow, datagram))
    }

    /// Waits until something was queued. Cancel safe.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// A panic while holding the lock leaves the queues whole, so poisoning says nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(size: usize) -> Bytes {
        vec![0; size].into()
    }

    #[test]
    fn flows_take_turns_whatever_one_of_them_has_waiting() {
        let outbox = Outbox::default();
        for _ in 0..FLOW_DATAGRAMS {
            assert_eq!(outbox.push(1, datagram(10)), Sent::Queued);
        }
        assert_eq!(outbox.push(1, datagram(10)), Sent::Dropped);
        assert_eq!(outbox.push(3, datagram(10)), Sent::Queued);
        let order = std::iter::from_fn(|| outbox.pop()).map(|(flow, _)| flow).collect::<Vec<_>>();
        assert_eq!(order[..3], [1, 3, 1]);
        assert_eq!(order.len(), FLOW_DATAGRAMS + 1);
        assert!(outbox.state().flows.is_empty() && outbox.state().bytes == 0);
    }

    #[test]
    fn a_full_tunnel_still_leaves_each_flow_its_share() {
        let outbox = Outbox::default();
        let mut flow = 0;
        while outbox.state().bytes < TUNNEL_BYTES - 2000 {
            flow += 1;
            while outbox.push(flow, datagram(1200)) == Sent::Queued {}
        }
        let before = outbox.state().bytes;
        let mut taken = 0;
        while outbox.push(flow + 1, datagram(1200)) == Sent::Queued {
            taken += 1;
        }
        assert_eq!(taken, FLOW_SHARE / (1200 + super::super::OVERHEAD));
        assert!(before <= TUNNEL_BYTES);
    }
}
