//! Round-trip times: the path's own, and what queues add.
//!
//! The path's own is the least of the last seconds. What stands in queues shows in the least of one
//! round trip: single late packets (jitter, delayed acknowledgements) do not lift a minimum.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How long a sample counts as the path's own time.
const WINDOW: Duration = Duration::from_secs(15);

/// Samples of this much time share an entry.
const BUCKET: Duration = Duration::from_secs(1);

/// Without a sample near the minimum for this long, it must be looked for.
const STALE_AFTER: Duration = Duration::from_secs(10);

/// What hosts add to any round trip by their timers and scheduling.
const HOST: Duration = Duration::from_millis(2);

/// A shorter time than this measures the host, not a path.
const SHORTEST: Duration = Duration::from_micros(100);

/// Estimates of one path.
#[derive(Debug, Clone, Default)]
pub(super) struct RoundTrips {
    /// Rising values at rising times; the first is the minimum.
    window: VecDeque<(Instant, Duration)>,
    /// When a sample was last near the minimum.
    confirmed: Option<Instant>,
    /// Least of the round under way, and of the one before.
    current: Option<Duration>,
    standing: Option<Duration>,
    /// Sum and count of the round under way, and the mean of the one before.
    sum: (Duration, u32),
    mean: Option<Duration>,
}

impl RoundTrips {
    /// Takes one sample in.
    pub(super) fn sample(&mut self, now: Instant, rtt: Duration) {
        let rtt = rtt.max(SHORTEST);
        self.sum = (self.sum.0.saturating_add(rtt), self.sum.1.saturating_add(1));
        self.current = Some(self.current.map_or(rtt, |least| least.min(rtt)));
        let age = |at: Instant| now.saturating_duration_since(at);
        while self.window.len() > 1 && self.window.front().is_some_and(|&(at, _)| age(at) > WINDOW)
        {
            self.window.pop_front();
        }
        while self.window.back().is_some_and(|&(_, least)| least >= rtt) {
            self.window.pop_back();
        }
        if self.window.back().is_none_or(|&(at, _)| age(at) >= BUCKET) {
            self.window.push_back((now, rtt));
        }
        if self.confirmed.is_none() || rtt <= self.near() {
            self.confirmed = Some(now);
        }
    }

    /// A round trip is over.
    pub(super) fn end_round(&mut self) {
        self.standing = self.current.take().or(self.standing);
        let (sum, count) = std::mem::take(&mut self.sum);
        self.mean = sum.checked_div(count).or(self.mean);
    }

    /// The path's own round-trip time; zero before the first sample.
    pub(super) fn min(&self) -> Duration {
        self.window.front().map_or(Duration::ZERO, |&(_, least)| least)
    }

    /// Least of the last full round, queues included.
    pub(super) fn standing(&self) -> Duration {
        self.standing.unwrap_or_default().max(self.min())
    }

    /// Halfway between the least and the mean of the last full round: what it takes to keep a rate,
    /// with some modesty.
    pub(super) fn usual(&self) -> Duration {
        let mean = self.mean.unwrap_or_default().max(self.min());
        self.standing().saturating_add(mean) / 2
    }

    /// Up to here a round trip is as good as free of queues.
    pub(super) fn near(&self) -> Duration {
        let min = self.min();
        min.saturating_add((min / 8).max(HOST))
    }

    /// A queue of a quarter of the path's own time or more has stood for a round.
    pub(super) fn is_queued(&self) -> bool {
        let min = self.min();
        self.standing() > min.saturating_add((min / 4).max(HOST))
    }

    /// The minimum was not seen for long: a queue may hide it, or the path got longer.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        self.confirmed.is_some_and(|at| now.saturating_duration_since(at) > STALE_AFTER)
    }

    /// The search for the minimum is over: what the last round showed is the path's own time.
    pub(super) fn settle(&mut self, now: Instant) {
        let found = self.current.or(self.standing);
        self.confirmed = Some(now);
        if let Some(found) = found.filter(|&found| found > self.near()) {
            self.window.clear();
            self.window.push_back((now, found));
        }
    }
}
