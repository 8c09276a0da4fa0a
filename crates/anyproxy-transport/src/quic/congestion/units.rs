//! Rates, and products of rates and times.
//!
//! Floating point on purpose: gains are fractions, and a float's cast to an integer saturates, so
//! that no product of peer-chosen times can overflow or panic.

use std::time::Duration;

/// Bytes per second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub(super) struct Rate(f64);

impl Rate {
    /// `bytes` over `time`; `None` if no time passed.
    pub(super) fn of(bytes: u64, time: Duration) -> Option<Self> {
        (!time.is_zero()).then(|| Self(bytes as f64 / time.as_secs_f64()))
    }

    /// Bytes that pass in `time`.
    pub(super) fn during(self, time: Duration) -> f64 {
        self.0 * time.as_secs_f64()
    }

    /// This rate, scaled.
    pub(super) fn times(self, factor: f64) -> Self {
        Self(self.0 * factor)
    }

    /// For logs.
    pub(super) fn bits_per_second(self) -> u64 {
        (self.0 * 8.0) as u64
    }

    /// The greater of both.
    pub(super) fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
}
