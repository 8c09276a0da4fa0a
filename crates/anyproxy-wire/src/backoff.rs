//! How long to wait before the next try to connect.
//!
//! Exponential with full jitter: the delay is uniform between a floor and a ceiling that doubles
//! with each failure up to a cap. Full jitter spreads many clients that lost one gateway at the
//! same moment better than a fixed delay with a little noise does (Brooker, "Exponential Backoff
//! And Jitter", AWS Architecture Blog, 2015). The floor, half the base, keeps a client that is
//! refused at once from spinning. It never gives up.

use std::time::Duration;

const SHORTEST_BASE: Duration = Duration::from_millis(1);

/// Keeps the arithmetic in range, and a mistyped cap harmless.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The delays between tries. It draws no random numbers itself.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    ceiling: Duration,
    least: Duration,
}

impl Backoff {
    /// The most that [`Backoff::at_least`] can ask for, so that a peer cannot silence a client.
    pub const LONGEST_WISH: Duration = Duration::from_secs(60 * 60);

    /// The first delay is up to `base`, later ones up to `cap`. The base is kept between a
    /// millisecond and a day, the cap between the base and a day.
    pub fn new(base: Duration, cap: Duration) -> Self {
        let base = base.clamp(SHORTEST_BASE, LONGEST);
        Self { base, cap: cap.clamp(base, LONGEST), ceiling: base, least: Duration::ZERO }
    }

    /// The next delay; `random` is uniform over all of `u64`.
    pub fn next(&mut self, random: u64) -> Duration {
        let floor = self.base.checked_div(2).unwrap_or_default();
        let span = self.ceiling.saturating_sub(floor);
        self.ceiling = self.ceiling.saturating_mul(2).min(self.cap);
        // A span is at most a day, 2^47 ns, so the product stays below 2^111.
        let jitter = (span.as_nanos().saturating_mul(u128::from(random))) >> 64;
        let jitter = Duration::from_nanos(u64::try_from(jitter).unwrap_or(u64::MAX));
        std::mem::take(&mut self.least).saturating_add(floor).saturating_add(jitter)
    }

    /// A try succeeded: start over.
    pub fn reset(&mut self) {
        self.ceiling = self.base;
        self.least = Duration::ZERO;
    }

    /// The peer asks for a pause before the next try: that delay comes on top of `delay`, which
    /// is cut to [`Backoff::LONGEST_WISH`], since all its other clients got the same answer.
    pub fn at_least(&mut self, delay: Duration) {
        self.least = self.least.max(delay.min(Self::LONGEST_WISH));
    }
}

/// A pause as people read it: to the millisecond, since the rest of it is chance.
#[must_use]
pub fn rounded(pause: Duration) -> Duration {
    Duration::from_secs(pause.as_secs())
        .saturating_add(Duration::from_millis(pause.subsec_millis().into()))
}

#[cfg(test)]
mod tests;
