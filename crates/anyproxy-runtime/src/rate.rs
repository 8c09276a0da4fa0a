//! Bandwidth: a token bucket for each group, and one that all groups share.
//!
//! ```text
//! connection ─ Line ─┐
//! connection ─ Line ─┴─ Meter (a group's bucket) ─┐
//! connection ─ Line ─── Meter ────────────────────┴─ Shaper (the total) ─ run: timer, grants
//! ```
//!
//! While there are tokens, a line takes what it wants. When there are none, it waits in its group's
//! queue and the [`Shaper::run`] task hands tokens out as they come: inside a group each waiting line
//! in turn gets a small quantum, and under the total the groups take turns by deficit round robin
//! (Shreedhar and Varghese, 1995), so neither many connections nor large ones buy a larger share.
//! Nobody polls the clock: a waiting line is woken by its grant.
//!
//! A bucket holds 100 ms worth of its rate, at least 64 KiB, so that short exchanges pass at once.
//! Datagrams do not wait: [`Meter::try_take`] says yes or no. They have one place of their own in the
//! group's queue, or bulk that always waits would leave them nothing.

mod bucket;
mod line;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use line::Slot;
pub use line::{Line, LineWatch};
use state::{Asked, Request, State};

/// Tokens that datagrams ask for beyond what the one at hand needs, in bytes.
const DATAGRAMS_AHEAD: u64 = 16 * 1024;

/// Shares one direction's bandwidth out between groups. See the [module](self).
#[derive(Debug)]
pub struct Shaper {
    state: Mutex<State>,
    changed: Notify,
    total: Total,
    epoch: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Total {
    Unlimited,
    Limited,
}

impl Shaper {
    /// At most `total` bytes a second over all groups; `None` is no such bound. Waiting lines are
    /// served only while [`Shaper::run`] runs.
    #[must_use]
    pub fn new(total: Option<u64>) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            state: Mutex::new(State::new(total, now)),
            changed: Notify::new(),
            total: if total.is_some() { Total::Limited } else { Total::Unlimited },
            epoch: now,
        })
    }

    /// A group's meter, of at most `rate` bytes a second.
    #[must_use]
    pub fn meter(self: &Arc<Self>, rate: Option<u64>) -> Arc<Meter> {
        Arc::new(Meter {
            id: self.state().add_group(rate, Instant::now()),
            limited: AtomicBool::new(rate.is_some()),
            datagrams: Slot::new(),
            dropped: AtomicU64::new(0),
            shaper: Arc::clone(self),
        })
    }

    /// Hands tokens to lines that wait, for ever. It sleeps while none does.
    pub async fn run(self: Arc<Self>) {
        loop {
            let changed = self.changed.notified();
            match self.serve() {
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// Grants what there is, and says when there will be more for somebody who waits.
    fn serve(&self) -> Option<Instant> {
        let mut woken = Vec::new();
        let now = Instant::now();
        let next = self.state().serve(now, self.millis(now), &mut woken);
        for waker in woken {
            waker.wake();
        }
        next
    }

    fn ask(&self, request: Request<'_>) {
        let now = Instant::now();
        let asked = self.state().ask(request, now, self.millis(now));
        if asked == Asked::First {
            self.changed.notify_one();
        }
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One group's share of a [`Shaper`], in one direction.
#[derive(Debug)]
pub struct Meter {
    shaper: Arc<Shaper>,
    id: u64,
    limited: AtomicBool,
    /// Tokens that are set aside for datagrams.
    datagrams: Arc<Slot>,
    dropped: AtomicU64,
}

impl Meter {
    /// Changes the group's rate, in bytes a second, for lines that wait now as well.
    pub fn set_rate(&self, rate: Option<u64>) {
        self.shaper.state().set_rate(self.id, rate, Instant::now());
        self.limited.store(rate.is_some(), Ordering::Relaxed);
        self.shaper.changed.notify_one();
    }

    /// Whether anything bounds this group now.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.shaper.total == Total::Limited || self.limited.load(Ordering::Relaxed)
    }

    /// Whether a datagram of `bytes` may pass now. One that may not is to be dropped; it is counted.
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> bool {
        if !self.is_limited() {
            return true;
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if self.datagrams.spend(bytes) {
            return true;
        }
        let want = bytes.saturating_add(DATAGRAMS_AHEAD);
        self.shaper.ask(Request { group: self.id, slot: &self.datagrams, want, waker: None });
        let passes = self.datagrams.spend(bytes);
        if !passes {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        passes
    }

    /// Takes back what [`Meter::try_take`] let pass and was not sent after all.
    pub fn give_back(&self, bytes: usize) {
        if self.is_limited() {
            self.datagrams.give_back(u64::try_from(bytes).unwrap_or(u64::MAX));
        }
    }

    /// Datagrams that [`Meter::try_take`] did not let pass.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.shaper.state().remove_group(self.id);
    }
}
