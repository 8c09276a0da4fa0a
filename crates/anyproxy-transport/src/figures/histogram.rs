//! How long something took, in buckets that are fixed.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Upper bounds of the buckets, in milliseconds: from a target next door to the proxy deadline. What took
/// longer is in one more.
const BOUNDS: [u64; 12] = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000, 30_000];

/// Counts durations. Adding is two relaxed additions.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    longer: AtomicU64,
    micros: AtomicU64,
}

/// A [`Histogram`] at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HistogramFigures {
    /// How many took at most so long, each with those of the buckets before it.
    pub buckets: Vec<(Duration, u64)>,
    /// How many there were.
    pub count: u64,
    /// How long all took together.
    pub sum: Duration,
}

impl Histogram {
    /// One more that took `took`.
    pub fn add(&self, took: Duration) {
        let bucket = BOUNDS.iter().position(|bound| took <= Duration::from_millis(*bound));
        let bucket = bucket.and_then(|index| self.buckets.get(index)).unwrap_or(&self.longer);
        bucket.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What it holds now.
    #[must_use]
    pub fn snapshot(&self) -> HistogramFigures {
        let mut count = 0_u64;
        let buckets = BOUNDS.iter().zip(&self.buckets).map(|(bound, bucket)| {
            count = count.saturating_add(bucket.load(Ordering::Relaxed));
            (Duration::from_millis(*bound), count)
        });
        let buckets = buckets.collect();
        HistogramFigures {
            buckets,
            count: count.saturating_add(self.longer.load(Ordering::Relaxed)),
            sum: Duration::from_micros(self.micros.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_has_those_before_it() {
        let histogram = Histogram::default();
        for millis in [0, 1, 2, 30_000, 30_001] {
            histogram.add(Duration::from_millis(millis));
        }
        let figures = histogram.snapshot();
        let counts = figures.buckets.iter().map(|(_, count)| *count).collect::<Vec<_>>();
        assert_eq!(counts, [2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4]);
        assert_eq!((figures.count, figures.sum), (5, Duration::from_millis(60_004)));
    }
}
