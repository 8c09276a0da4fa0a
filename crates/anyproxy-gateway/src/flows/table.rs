//! Which flow a datagram belongs to, and who gives way when there are too many.
//!
//! A full table drops datagrams of new peers unless a flow has been silent for a while: the one that
//! was silent longest then gives way. Dropping alone would let strangers with made-up addresses keep
//! everybody out for the whole idle time; giving way at once would let them push out flows that are
//! in use. The same holds when the table has room and the sessions behind it have none.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyproxy_runtime::Scope;
use bytes::Bytes;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{
    Flows,
    inbox::{Inbox, Pushed},
    pump::{UserSide, run},
};
use crate::figures::Reason;

/// How many flows a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Flows at most.
    pub(crate) flows: usize,
    /// A flow that was silent for so long gives way to a new one.
    pub(crate) gives_way: Duration,
}

/// The flows of one socket.
#[derive(Debug)]
pub(crate) struct Table<K> {
    pub(super) flows: Arc<Flows>,
    /// Where its flows run.
    pub(super) scope: Scope,
    bounds: Bounds,
    entries: Mutex<Entries<K>>,
}

#[derive(Debug)]
struct Entries<K> {
    map: HashMap<K, Arc<Inbox>>,
    /// Nobody gives way before this. Looking at every flow for each datagram of a flood would be a
    /// way to keep the gateway busy.
    nobody_until: Option<Instant>,
}

/// A new flow's place in its table; dropping it leaves.
#[derive(Debug)]
pub(super) struct Slot<K: Eq + Hash> {
    pub(super) table: Arc<Table<K>>,
    key: K,
    pub(super) inbox: Arc<Inbox>,
    /// The flow whose place it takes.
    former: Option<Arc<Inbox>>,
}

/// Room for a flow: its share of the gateway's bound, and the flow that gave way for it.
type Room = (OwnedSemaphorePermit, Option<Arc<Inbox>>);

impl<K: Clone + Eq + Hash> Table<K> {
    pub(crate) fn new(flows: Arc<Flows>, scope: Scope, bounds: Bounds) -> Arc<Self> {
        let entries = Entries { map: HashMap::new(), nobody_until: None };
        Arc::new(Self { flows, scope, bounds, entries: Mutex::new(entries) })
    }

    /// Hands a user's datagram to the flow of `key`, or drops and counts it. Where there is no such
    /// flow, one is started between the tunnel and `user`; where `is_full`, another gives way for it.
    pub(crate) fn deliver<U>(
        self: &Arc<Self>,
        key: &K,
        payload: &Bytes,
        is_full: impl FnOnce() -> bool,
        user: impl FnOnce() -> U,
    ) where
        K: Send + Sync + 'static,
        U: UserSide,
    {
        if let Some(slot) = self.place(key, payload, is_full) {
            self.scope.spawn("flow", run(user(), slot));
        }
    }

    /// Delivers `payload`, or returns a place for a new flow, in which it waits.
    fn place(
        self: &Arc<Self>,
        key: &K,
        payload: &Bytes,
        is_full: impl FnOnce() -> bool,
    ) -> Option<Slot<K>> {
        let mut entries = self.entries();
        match entries.map.get(key).map(|inbox| inbox.push(payload)) {
            Some(Pushed::Taken) => return None,
            Some(Pushed::Dropped(reason)) => {
                self.flows.counters.dropped(reason, 1);
                return None;
            }
            Some(Pushed::Ended) | None => {}
        }
        // An ended flow's entry is replaced; its own clean-up then leaves the new one alone.
        entries.map.remove(key);
        let Some((permit, former)) = self.room(&mut entries, is_full) else {
            self.flows.counters.dropped(Reason::TooManyFlows, 1);
            return None;
        };
        let inbox = Arc::new(Inbox::new(permit));
        inbox.push(payload);
        entries.map.insert(key.clone(), Arc::clone(&inbox));
        Some(Slot { table: Arc::clone(self), key: key.clone(), inbox, former })
    }

    fn room(&self, entries: &mut Entries<K>, is_full: impl FnOnce() -> bool) -> Option<Room> {
        if entries.map.len() < self.bounds.flows
            && !is_full()
            && let Ok(permit) = Arc::clone(&self.flows.permits).try_acquire_owned()
        {
            return Some((permit, None));
        }
        let now = Instant::now();
        if entries.nobody_until.is_some_and(|until| now < until) {
            return None;
        }
        let idlest = entries.map.iter().map(|(key, inbox)| (inbox.touched(), key));
        let (touched, key) = idlest.min_by_key(|(touched, _)| *touched)?;
        let from = touched + self.bounds.gives_way;
        if now < from {
            entries.nobody_until = Some(from);
            return None;
        }
        let key = key.clone();
        let former = entries.map.remove(&key)?;
        let (permit, lost) = former.evict();
        self.flows.counters.dropped(Reason::TooManyFlows, lost);
        Some((permit?, Some(former)))
    }

    fn entries(&self) -> MutexGuard<'_, Entries<K>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Slot<K> {
    pub(super) async fn next(&self) -> Option<Bytes> {
        self.inbox.next().await
    }

    /// Waits until the flow that gave way has left its session. Cancel safe.
    pub(super) async fn vacant(&self) {
        if let Some(former) = &self.former {
            former.left().await;
        }
    }
}

impl<K: Eq + Hash> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut entries = self.table.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = self.inbox.close();
        self.inbox.leave();
        if entries.map.get(&self.key).is_some_and(|inbox| Arc::ptr_eq(inbox, &self.inbox)) {
            entries.map.remove(&self.key);
        }
        // A gap is there again.
        entries.nobody_until = None;
        drop(entries);
        self.table.flows.counters.dropped(Reason::Ended, lost);
    }
}

#[cfg(test)]
mod tests;
