//! What keeps many clients from doing the same at once.

use std::time::Duration;

/// A small random number generator (SplitMix64), seeded by the caller.
#[derive(Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Between three and five quarters of `pause`.
    pub(super) fn around(&mut self, pause: Duration) -> Duration {
        let quarter = pause / 4;
        quarter.saturating_mul(3).saturating_add(quarter.saturating_mul(2).mul_f64(self.unit()))
    }

    /// Between 0 and 1.
    pub(super) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let top = u32::try_from((bits ^ (bits >> 31)) >> 32).unwrap_or(u32::MAX);
        f64::from(top) / f64::from(u32::MAX)
    }
}
