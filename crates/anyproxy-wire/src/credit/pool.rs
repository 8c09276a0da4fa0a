//! What the windows of a session's streams may grow by, all together.
//!
//! Most streams need no more than their first window; the few that do take what they gain from here, so
//! that the sum stays what the operator allowed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes by which all windows that share it may grow beyond their initial size.
#[derive(Debug)]
pub struct GrowthPool {
    bytes: AtomicU64,
    used: AtomicU64,
}

/// What a [`GrowthPool`] gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// All that was asked for.
    All,
    /// Nothing: too little is left.
    Nothing,
}

impl GrowthPool {
    /// A pool of `bytes`.
    pub fn new(bytes: u64) -> Arc<Self> {
        Arc::new(Self { bytes: AtomicU64::new(bytes), used: AtomicU64::new(0) })
    }

    /// Changes the pool's size to `bytes`. What was taken stays taken, also beyond them.
    pub fn resize(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Takes `n` bytes, or nothing.
    pub fn take(&self, n: u64) -> Taken {
        // Relaxed: the number guards no other memory.
        let bytes = self.bytes.load(Ordering::Relaxed);
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(n).filter(|&used| used <= bytes)
        });
        if taken.is_ok() { Taken::All } else { Taken::Nothing }
    }

    /// Takes `n` bytes for a stream that has moved `moved` bytes so far, or nothing. The emptier the
    /// pool, the more a stream must have moved: else many that stall early on, each after a first
    /// burst, would leave nothing to the one that goes on.
    pub fn take_for(&self, n: u64, moved: u64) -> Taken {
        let bytes = self.bytes.load(Ordering::Relaxed);
        let free = bytes.saturating_sub(self.used());
        let product = |a: u64, b: u64| u128::from(a).saturating_mul(b.into());
        let earned = product(moved, free) >= product(n, bytes);
        if earned { self.take(n) } else { Taken::Nothing }
    }

    /// Gives back `n` bytes that were taken.
    pub fn give(&self, n: u64) {
        if n == 0 {
            return;
        }
        let given = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| used.checked_sub(n));
        debug_assert!(given.is_ok(), "only taken bytes are given back");
    }

    /// How many bytes are taken.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}
