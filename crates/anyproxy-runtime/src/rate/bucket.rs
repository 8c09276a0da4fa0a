//! A token bucket without a timer: it is filled up when it is looked at.

use std::time::Duration;

use tokio::time::Instant;

/// A bucket holds this much time of its rate ...
const BURST_PARTS: u64 = 10;
/// ... and at least this many bytes.
const LEAST_BURST: u64 = 64 * 1024;

/// Bytes of one grant are this much time of the rate, within bounds: small enough that nobody waits
/// long for a turn, large enough that a turn is worth a wake-up.
const QUANTUM_PARTS: u64 = 100;
const LEAST_QUANTUM: u64 = 512;
/// The largest grant of one turn.
const MOST_QUANTUM: u64 = 16 * 1024;

/// What a line may ask for ahead is this much time of the rate: a timer's step, doubled.
const AHEAD_PARTS: u64 = 500;
const MOST_AHEAD: u64 = 1024 * 1024;

const NANOS: u128 = 1_000_000_000;

/// Tokens, one for each byte; without a rate there are always enough.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Option<u64>,
    /// In bytes × nanoseconds, so that nothing is lost to rounding.
    level: u128,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(rate: Option<u64>, now: Instant) -> Self {
        let mut bucket = Self { rate: None, level: 0, at: now };
        bucket.set_rate(rate, now);
        bucket
    }

    /// What is in it stays, as far as it fits; one that had no rate is full.
    pub(super) fn set_rate(&mut self, rate: Option<u64>, now: Instant) {
        self.refill(now);
        let was_limited = self.rate.is_some();
        self.rate = rate.map(|rate| rate.max(1));
        self.level = if was_limited { self.level.min(self.capacity()) } else { self.capacity() };
    }

    pub(super) fn refill(&mut self, now: Instant) {
        let Some(rate) = self.rate else {
            self.at = now;
            return;
        };
        let elapsed = now.saturating_duration_since(self.at).as_nanos();
        let gained = elapsed.saturating_mul(u128::from(rate));
        self.level = self.level.saturating_add(gained).min(self.capacity());
        self.at = now.max(self.at);
    }

    /// Bytes that may pass now.
    pub(super) fn available(&self) -> u64 {
        match self.rate {
            Some(_) => u64::try_from(self.level / NANOS).unwrap_or(u64::MAX),
            None => u64::MAX,
        }
    }

    pub(super) fn take(&mut self, bytes: u64) {
        self.level = self.level.saturating_sub(u128::from(bytes) * NANOS);
    }

    /// Puts back what was taken and not used.
    pub(super) fn give(&mut self, bytes: u64) {
        self.level = self.level.saturating_add(u128::from(bytes) * NANOS).min(self.capacity());
    }

    /// When `bytes`, which fit in, will be there.
    pub(super) fn when(&self, bytes: u64) -> Instant {
        let Some(rate) = self.rate else { return self.at };
        let missing = (u128::from(bytes) * NANOS).saturating_sub(self.level);
        let nanos = u64::try_from(missing.div_ceil(u128::from(rate))).unwrap_or(u64::MAX);
        self.at + Duration::from_nanos(nanos)
    }

    pub(super) fn is_limited(&self) -> bool {
        self.rate.is_some()
    }

    /// The most bytes of one grant.
    pub(super) fn quantum(&self) -> u64 {
        self.part(QUANTUM_PARTS, LEAST_QUANTUM, MOST_QUANTUM)
    }

    /// Bytes that a line may ask for beyond what it has at hand. Timers go in steps of a
    /// millisecond: at high rates less would not last until the next.
    pub(super) fn ahead(&self) -> u64 {
        self.part(AHEAD_PARTS, 0, MOST_AHEAD)
    }

    fn part(&self, parts: u64, least: u64, most: u64) -> u64 {
        self.rate.map_or(most, |rate| (rate / parts).clamp(least, most))
    }

    fn capacity(&self) -> u128 {
        let burst = self.rate.map_or(0, |rate| (rate / BURST_PARTS).max(LEAST_BURST));
        u128::from(burst) * NANOS
    }
}
