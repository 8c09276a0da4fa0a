//! Acknowledgements that come in lumps (draft-ietf-ccwg-bbr, 4.5.5).
//!
//! Radio links and busy hosts hold acknowledgements back and hand over many at once. The window
//! must cover what arrives in such a lump beyond the usual rate, or the sender stands still between.

use std::time::Instant;

use super::{max_filter::MaxFilter, units::Rate};

/// Rounds that a lump is remembered.
const ROUNDS: u64 = 10;

/// Measures lumps.
#[derive(Debug, Clone)]
pub(super) struct Aggregation {
    since: Option<Instant>,
    acked: f64,
    extra: MaxFilter<f64>,
}

impl Default for Aggregation {
    fn default() -> Self {
        Self { since: None, acked: 0.0, extra: MaxFilter::new(ROUNDS) }
    }
}

impl Aggregation {
    /// `acked` bytes arrived at once in `round`, on a path of rate `bw`.
    pub(super) fn update(&mut self, now: Instant, acked: u64, bw: Rate, round: u64) {
        let since = *self.since.get_or_insert(now);
        let expected = bw.during(now.saturating_duration_since(since));
        if self.acked <= expected {
            self.since = Some(now);
            self.acked = 0.0;
        }
        let expected = self.since.map_or(0.0, |at| bw.during(now.saturating_duration_since(at)));
        self.acked += acked as f64;
        self.extra.update(round, (self.acked - expected).max(0.0));
    }

    /// The greatest lump of the last rounds, in bytes.
    pub(super) fn extra(&self) -> f64 {
        self.extra.get().unwrap_or(0.0)
    }
}
