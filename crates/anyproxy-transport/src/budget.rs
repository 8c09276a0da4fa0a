//! The stall budget of a session.
//!
//! ```text
//! reader waits for bytes      charge 0                  (nothing is buffered for it)
//! reader has bytes to move    charge = these + credit   (so much may be buffered at most)
//! window has grown            charge = what it gained   (whether its reader waits or not)
//! sum over the budget         new opens: overloaded;    longest-stalled (30 s or more): reset
//! ```
//!
//! An exact count of buffered bytes is not to be had from a QUIC stack, so a stream that does not
//! keep up is charged what its peer may still send. Idle connections cost nothing, stalled ones an
//! upper bound, and a new stream counts as stalled until its reader has waited once: thousand opens
//! at once cannot slip under the limit together. Windows grow only into what stalled streams leave.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyproxy_runtime::LineWatch;
use anyproxy_wire::{credit::GrowthPool, room};
use tokio::{sync::Notify, time::Instant};

use crate::rates::Rates;

/// A stream must have rested at least this long before it may be reset to free memory.
pub const EVICT_AFTER: Duration = Duration::from_secs(30);

/// One part in so many of a budget may go into windows that grow beyond the initial one: with the
/// default budget four streams over a long fat network have all they can use.
const GROWTH: u64 = 4;

/// Charges are corrected when they are off by this many bytes, not at every read.
const TOLERANCE: u64 = 64 * 1024;

/// Bounds what stalled streams of one session may hold, in bytes. Its tunnels share it, and with it what they know
/// of each other's rates.
#[derive(Debug)]
pub struct StallBudget {
    limit: u64,
    charged: AtomicU64,
    next: AtomicU64,
    epoch: Instant,
    pool: Arc<GrowthPool>,
    entries: Mutex<HashMap<u64, Arc<Entry>>>,
    rates: Rates,
}

#[derive(Debug)]
struct Entry {
    charged: AtomicU64,
    /// Milliseconds after the budget's epoch at which the reader last took something.
    progress: AtomicU64,
    evicted: Notify,
    /// Tells whether the reader is held up by its group's bandwidth.
    pace: OnceLock<LineWatch>,
}

impl Entry {
    /// Milliseconds for which the reader has taken nothing although it might have: one that waits
    /// for bandwidth does not rest, nor did it before the latest grant.
    fn rested(&self, now: u64) -> u64 {
        let rested = now.saturating_sub(self.progress.load(Ordering::Relaxed));
        let unhindered = self.pace.get().map(|watch| watch.unhindered().as_millis());
        unhindered.map_or(rested, |most| rested.min(u64::try_from(most).unwrap_or(u64::MAX)))
    }
}

/// Whether one more stream fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It fits.
    Granted,
    /// Stalled streams hold the whole budget.
    Overloaded,
}

impl StallBudget {
    /// A budget of `limit` bytes; a quarter of it may go into windows that grow.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            charged: AtomicU64::new(0),
            next: AtomicU64::new(0),
            epoch: Instant::now(),
            pool: GrowthPool::new(limit / GROWTH),
            entries: Mutex::default(),
            rates: Rates::default(),
        })
    }

    /// Bytes that stalled streams and grown windows hold, as an upper bound.
    #[must_use]
    pub fn charged(&self) -> u64 {
        self.charged.load(Ordering::Relaxed).saturating_add(self.pool.used())
    }

    /// Says whether one more stream fits. When none does, the longest-stalled streams that have
    /// rested for [`EVICT_AFTER`] are told to go, as many as are needed for a later open to succeed.
    pub fn admit(&self, initial: u64) -> Admission {
        let excess = self.charged().saturating_add(initial).saturating_sub(self.limit);
        if excess == 0 {
            return Admission::Granted;
        }
        self.evict(excess);
        Admission::Overloaded
    }

    /// The way to the peer may be another one: what tunnels got through until now is no measure for it.
    pub fn new_way(&self) {
        self.rates.forget();
    }

    pub(crate) fn rates(&self) -> &Rates {
        &self.rates
    }

    pub(crate) fn pool(&self) -> &Arc<GrowthPool> {
        &self.pool
    }

    /// Registers a stream that is charged `initial` until its reader waits.
    pub(crate) fn charge(self: &Arc<Self>, initial: u64) -> Charge {
        let entry = Arc::new(Entry {
            charged: AtomicU64::new(initial),
            progress: AtomicU64::new(self.clock()),
            evicted: Notify::new(),
            pace: OnceLock::new(),
        });
        self.add(initial);
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        self.entries().insert(key, Arc::clone(&entry));
        Charge { budget: Arc::clone(self), entry, key, initial }
    }

    /// Tells streams to go that hold `excess` bytes together. One that was told before and has not
    /// gone yet rests longest, so it counts again instead of taking another one with it.
    fn evict(&self, excess: u64) {
        let now = self.clock();
        let limit = u64::try_from(EVICT_AFTER.as_millis()).unwrap_or(u64::MAX);
        let entries = self.entries();
        let mut stalled = entries
            .values()
            .map(|entry| (entry.rested(now), entry.charged.load(Ordering::Relaxed), entry))
            .filter(|(rested, charged, _)| *rested >= limit && *charged > 0)
            .collect::<Vec<_>>();
        stalled.sort_unstable_by_key(|(rested, _, _)| std::cmp::Reverse(*rested));
        let mut freed = 0_u64;
        for (_, charged, entry) in stalled {
            if freed >= excess {
                return;
            }
            freed = freed.saturating_add(charged);
            entry.evicted.notify_one();
        }
    }

    fn add(&self, bytes: u64) {
        let before = self.charged.fetch_add(bytes, Ordering::Relaxed);
        self.leave_room(before.saturating_add(bytes));
    }

    fn subtract(&self, bytes: u64) {
        let before = self.charged.fetch_sub(bytes, Ordering::Relaxed);
        self.leave_room(before.saturating_sub(bytes));
    }

    /// Lets windows grow into what is free, but never into so much that new streams find no room.
    fn leave_room(&self, charged: u64) {
        self.pool.resize((self.limit / GROWTH).min(self.limit.saturating_sub(charged)));
    }

    fn clock(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<u64, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream's share of the budget; given back on drop.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<StallBudget>,
    entry: Arc<Entry>,
    key: u64,
    initial: u64,
}

impl Charge {
    /// The reader found nothing: nothing is held for it.
    pub(crate) fn waiting(&self) {
        if self.entry.charged.load(Ordering::Relaxed) != 0 {
            self.set(0);
        }
    }

    /// The reader has `in_hand` bytes and its peer may still send `outstanding`. What these exceed
    /// the initial credit by was charged when the window grew.
    pub(crate) fn holding(&self, in_hand: u64, outstanding: u64) {
        let held = in_hand.saturating_add(outstanding.min(self.initial));
        let charged = self.entry.charged.load(Ordering::Relaxed);
        if charged == 0 || charged.abs_diff(held) >= TOLERANCE {
            self.set(held);
        }
    }

    /// So many bytes are held, whoever may still send what. Rest begins with the first of them.
    pub(crate) fn exactly(&self, bytes: u64) {
        let charged = self.entry.charged.load(Ordering::Relaxed);
        if charged == 0 && bytes > 0 {
            self.progressed();
        }
        if charged != bytes {
            self.set(bytes);
        }
    }

    /// The reader moved bytes on.
    pub(crate) fn progressed(&self) {
        self.entry.progress.store(self.budget.clock(), Ordering::Relaxed);
    }

    /// The reader may be held up by its group's bandwidth. Its charge stays what it is then, since
    /// its peer may send meanwhile, but it is not evicted for it.
    pub(crate) fn paced(&self, watch: LineWatch) {
        // A stream has one meter for good.
        let _ = self.entry.pace.set(watch);
    }

    /// A share of the same budget, of nothing so far.
    pub(crate) fn another(&self) -> Self {
        self.budget.charge(0)
    }

    /// A handle that tells when the budget wants this stream gone.
    pub(crate) fn eviction(&self) -> Eviction {
        Eviction(Arc::clone(&self.entry))
    }

    fn set(&self, bytes: u64) {
        let before = self.entry.charged.swap(bytes, Ordering::Relaxed);
        if bytes >= before {
            self.budget.add(bytes - before);
        } else {
            self.budget.subtract(before - bytes);
        }
    }
}

/// Tells when the budget wants a stream gone; it does not keep the stream alive.
#[derive(Debug)]
pub struct Eviction(Arc<Entry>);

impl Eviction {
    /// Waits for it. Cancel safe.
    pub async fn wait(&self) {
        self.0.evicted.notified().await;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
        room::remove(&mut self.budget.entries(), &self.key);
    }
}

#[cfg(test)]
mod tests;
