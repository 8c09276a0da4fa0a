//! One connection's place at its group's meter.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use super::{Meter, Shaper, state::Request};

/// What one line was granted and whether it waits; written under the shaper's lock, but for what its
/// one owner spends.
#[derive(Debug)]
pub(super) struct Slot {
    granted: AtomicU64,
    /// Its place in the queue; 0: none.
    ticket: AtomicU64,
    /// The latest grant, in milliseconds after the shaper's epoch.
    granted_at: AtomicU64,
}

impl Slot {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            granted: AtomicU64::new(0),
            ticket: AtomicU64::new(0),
            granted_at: AtomicU64::new(0),
        })
    }

    pub(super) fn grant(&self, bytes: u64, millis: u64) {
        self.granted_at.store(millis, Ordering::Relaxed);
        self.granted.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.granted.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(super) fn granted(&self) -> u64 {
        self.granted.load(Ordering::Acquire)
    }

    /// Takes everything back.
    pub(super) fn revoke(&self) -> u64 {
        self.granted.swap(0, Ordering::AcqRel)
    }

    pub(super) fn ticket(&self) -> Option<u64> {
        match self.ticket.load(Ordering::Acquire) {
            0 => None,
            ticket => Some(ticket),
        }
    }

    pub(super) fn set_ticket(&self, ticket: Option<u64>) {
        self.ticket.store(ticket.unwrap_or(0), Ordering::Release);
    }

    /// Spends `bytes` if that many were granted.
    pub(super) fn spend(&self, bytes: u64) -> bool {
        let less = |granted: u64| granted.checked_sub(bytes);
        self.granted.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_ok()
    }
}

/// One direction of one connection at a [`Meter`]. Dropping it gives back what it has not used.
#[derive(Debug)]
pub struct Line {
    meter: Arc<Meter>,
    slot: Arc<Slot>,
}

impl Line {
    /// A place at `meter`.
    #[must_use]
    pub fn new(meter: Arc<Meter>) -> Self {
        Self { meter, slot: Slot::new() }
    }

    /// Its group's meter.
    #[must_use]
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Bytes that may pass now, at least one, when `want` (at least one) are at hand; waits while there
    /// are none. Whatever passes is to be [`used`](Self::used); what is granted stays until then.
    pub fn poll_take(&mut self, cx: &mut Context<'_>, want: usize) -> Poll<usize> {
        if !self.meter.is_limited() {
            return Poll::Ready(usize::MAX);
        }
        if self.slot.granted() == 0 {
            let want = u64::try_from(want).unwrap_or(u64::MAX).max(1);
            let request =
                Request { group: self.meter.id, slot: &self.slot, want, waker: Some(cx.waker()) };
            self.meter.shaper.ask(request);
        }
        match self.slot.granted() {
            0 => Poll::Pending,
            granted => Poll::Ready(usize::try_from(granted).unwrap_or(usize::MAX)),
        }
    }

    /// Notes that `bytes` have passed.
    pub fn used(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        // More than was granted can pass only while nothing bounds it.
        if !self.slot.spend(bytes) {
            self.slot.revoke();
        }
    }

    /// Gives back what was granted, and the place in the queue: nothing is at hand.
    pub fn release(&mut self) {
        if self.slot.granted() == 0 && self.slot.ticket().is_none() {
            return;
        }
        self.shaper().state().release(self.meter.id, &self.slot);
        self.shaper().changed.notify_one();
    }

    /// Tells others whether this line is held up.
    #[must_use]
    pub fn watch(&self) -> LineWatch {
        LineWatch { slot: Arc::clone(&self.slot), epoch: self.shaper().epoch }
    }

    fn shaper(&self) -> &Shaper {
        &self.meter.shaper
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.release();
    }
}

/// Tells how long a [`Line`] has not been held up; it does not keep its place.
#[derive(Debug)]
pub struct LineWatch {
    slot: Arc<Slot>,
    epoch: Instant,
}

impl LineWatch {
    /// The time since the last grant; zero while the line waits for one.
    #[must_use]
    pub fn unhindered(&self) -> Duration {
        if self.slot.ticket().is_some() && self.slot.granted() == 0 {
            return Duration::ZERO;
        }
        let granted_at = Duration::from_millis(self.slot.granted_at.load(Ordering::Relaxed));
        self.epoch.elapsed().saturating_sub(granted_at)
    }
}
