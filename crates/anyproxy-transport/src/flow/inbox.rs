//! Received datagrams on their way to their flows.
//!
//! Each flow has a queue of its own. Beyond a small share that each is guaranteed, all queues of a
//! tunnel share one bound, so flows that nobody reads cannot hold much together, nor keep others
//! from being served. A datagram without a flow may have overtaken its Open, or come before whoever
//! opened or accepted the flow has taken it up: a few wait, for a short while, and the oldest goes
//! first. One that is late for a flow that has ended here does not wait.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use anyproxy_wire::{datagram::MAX_DATAGRAM, room};
use bytes::Bytes;
use tokio::time::Instant;

use super::{OVERHEAD, cost};

/// Datagrams that wait for one flow's reader.
pub(super) const FLOW_DATAGRAMS: usize = 128;

/// Bytes that wait for one flow's reader: four of the largest datagrams.
pub(super) const FLOW_BYTES: usize = 4 * (MAX_DATAGRAM + OVERHEAD);

/// Bytes that a flow's queue may have whatever the others hold.
pub(super) const FLOW_SHARE: usize = 16 * 1024;

/// Bytes that wait for all flows of a tunnel, beyond their shares.
pub(super) const TUNNEL_BYTES: usize = 16 * 1024 * 1024;

/// Datagrams that wait for one flow, and for all, that are not there yet.
pub(super) const EARLY_FLOW: usize = 8;
pub(super) const EARLY_TUNNEL: usize = 64;

/// Bytes that wait for flows that are not there yet.
const EARLY_BYTES: usize = 4 * (MAX_DATAGRAM + OVERHEAD);

/// How long a datagram waits for its flow. A resolver asks again after five seconds (resolv.conf(5)).
pub(super) const EARLY_AGE: Duration = Duration::from_secs(5);

/// Ended flows that are remembered, so that what comes late for them takes no early one's place.
const REMEMBERED: usize = 64;

/// The queues of all flows of a tunnel.
#[derive(Debug, Default)]
pub(crate) struct Inboxes {
    state: Mutex<State>,
    totals: Arc<Totals>,
}

#[derive(Debug, Default)]
struct State {
    flows: HashMap<u64, Arc<Inbox>>,
    early: VecDeque<Early>,
    early_bytes: usize,
    ended: VecDeque<u64>,
}

#[derive(Debug)]
struct Early {
    flow: u64,
    at: Instant,
    payload: Bytes,
}

/// What the queues of a tunnel have in common.
#[derive(Debug, Default)]
struct Totals {
    bytes: AtomicUsize,
    dropped: AtomicU64,
}

/// The queue of one flow.
#[derive(Debug)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    dropped: AtomicU64,
    totals: Arc<Totals>,
}

#[derive(Debug, Default)]
struct Queue {
    payloads: VecDeque<Bytes>,
    bytes: usize,
    reader: Option<Waker>,
}

impl Inboxes {
    /// Hands a received datagram to its flow. It is copied: a small one must not hold on to the
    /// buffer of a whole batch. The waker is to be called when no lock is held.
    #[must_use]
    pub(crate) fn push(&self, flow: u64, payload: &[u8]) -> Option<Waker> {
        let mut state = lock(&self.state);
        if let Some(inbox) = state.flows.get(&flow) {
            let inbox = Arc::clone(inbox);
            drop(state);
            return inbox.push(Bytes::copy_from_slice(payload));
        }
        let dropped = state.wait(flow, payload);
        drop(state);
        self.count(dropped);
        None
    }

    /// Counts dropped datagrams.
    pub(crate) fn count(&self, dropped: u64) {
        self.totals.dropped.fetch_add(dropped, Ordering::Relaxed);
    }

    /// Counts one as the flow's too, if it is still there.
    pub(crate) fn count_for(&self, flow: u64) {
        self.count(1);
        if let Some(inbox) = lock(&self.state).flows.get(&flow) {
            inbox.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Datagrams dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.totals.dropped.load(Ordering::Relaxed)
    }

    /// Datagrams for this flow are queued for it from now on, early ones in front.
    pub(super) fn join(&self, flow: u64) -> Arc<Inbox> {
        let inbox = Arc::new(Inbox {
            queue: Mutex::default(),
            dropped: AtomicU64::new(0),
            totals: Arc::clone(&self.totals),
        });
        let mut state = lock(&self.state);
        self.count(state.expire());
        for payload in state.take_early(flow) {
            // There is no reader yet.
            let _ = inbox.push(payload);
        }
        state.flows.insert(flow, Arc::clone(&inbox));
        inbox
    }

    /// The flow is over: what it did not take is dropped.
    pub(super) fn leave(&self, flow: u64) {
        let mut state = lock(&self.state);
        let inbox = room::remove(&mut state.flows, &flow);
        if state.ended.len() >= REMEMBERED {
            state.ended.pop_front();
        }
        state.ended.push_back(flow);
        drop(state);
        while let Some(true) = inbox.as_ref().map(|inbox| inbox.take().is_some()) {
            self.count(1);
        }
    }

    /// No flow will take what has come for this stream.
    pub(crate) fn forget(&self, stream: u64) {
        let mut state = lock(&self.state);
        if !state.early.is_empty() {
            let lost = state.take_early(stream).len();
            self.count(u64::try_from(lost).unwrap_or(u64::MAX));
        }
    }
}

impl State {
    /// Keeps a datagram without a flow; how many were dropped for it, itself perhaps.
    fn wait(&mut self, flow: u64, payload: &[u8]) -> u64 {
        let mut dropped = self.expire();
        let waiting = self.early.iter().filter(|early| early.flow == flow).count();
        if self.ended.contains(&flow) || waiting >= EARLY_FLOW {
            return dropped.saturating_add(1);
        }
        while self.early.len() >= EARLY_TUNNEL
            || self.early_bytes.saturating_add(cost(payload)) > EARLY_BYTES
        {
            let Some(oldest) = self.early.pop_front() else { break };
            self.early_bytes = self.early_bytes.saturating_sub(cost(&oldest.payload));
            dropped = dropped.saturating_add(1);
        }
        self.early_bytes = self.early_bytes.saturating_add(cost(payload));
        let payload = Bytes::copy_from_slice(payload);
        self.early.push_back(Early { flow, at: Instant::now(), payload });
        dropped
    }

    /// Drops what has waited too long; how many.
    fn expire(&mut self) -> u64 {
        let mut dropped = 0_u64;
        while let Some(early) = self.early.front()
            && early.at.elapsed() >= EARLY_AGE
        {
            self.early_bytes = self.early_bytes.saturating_sub(cost(&early.payload));
            self.early.pop_front();
            dropped = dropped.saturating_add(1);
        }
        dropped
    }

    fn take_early(&mut self, flow: u64) -> Vec<Bytes> {
        let (taken, left): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.early).into_iter().partition(|early| early.flow == flow);
        self.early = left;
        let taken = taken.into_iter().map(|early| early.payload).collect::<Vec<_>>();
        let bytes = taken.iter().map(|payload| cost(payload)).sum();
        self.early_bytes = self.early_bytes.saturating_sub(bytes);
        taken
    }
}

impl Inbox {
    fn push(&self, payload: Bytes) -> Option<Waker> {
        let size = cost(&payload);
        let mut queue = lock(&self.queue);
        let bytes = queue.bytes.saturating_add(size);
        let total = self.totals.bytes.load(Ordering::Relaxed).saturating_add(size);
        let fits = queue.payloads.len() < FLOW_DATAGRAMS
            && bytes <= FLOW_BYTES
            && (bytes <= FLOW_SHARE || total <= TUNNEL_BYTES);
        if !fits {
            drop(queue);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.totals.dropped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        queue.bytes = bytes;
        queue.payloads.push_back(payload);
        self.totals.bytes.fetch_add(size, Ordering::Relaxed);
        queue.reader.take()
    }

    /// The next datagram, if there is one.
    pub(super) fn take(&self) -> Option<Bytes> {
        self.take_of(&mut lock(&self.queue))
    }

    /// The next datagram.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let mut queue = lock(&self.queue);
        match self.take_of(&mut queue) {
            Some(payload) => Poll::Ready(payload),
            None => {
                queue.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn take_of(&self, queue: &mut Queue) -> Option<Bytes> {
        let payload = queue.payloads.pop_front()?;
        let size = cost(&payload);
        queue.bytes = queue.bytes.saturating_sub(size);
        self.totals.bytes.fetch_sub(size, Ordering::Relaxed);
        Some(payload)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// A panic while holding the lock leaves the queues whole, so poisoning says nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
