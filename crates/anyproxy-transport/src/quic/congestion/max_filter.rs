//! The greatest value of the last rounds.

use std::collections::VecDeque;

/// A windowed maximum, keyed by round trips. It holds one entry for each round at most.
#[derive(Debug, Clone)]
pub(super) struct MaxFilter<T> {
    /// Rounds that a value counts.
    rounds: u64,
    /// Falling values at rising rounds; the first is the maximum.
    entries: VecDeque<(u64, T)>,
}

impl<T: Copy + PartialOrd> MaxFilter<T> {
    /// Remembers values for `rounds` round trips.
    pub(super) fn new(rounds: u64) -> Self {
        Self { rounds, entries: VecDeque::new() }
    }

    /// Takes `value`, seen in `round`, in, and drops what is too old. Without calls nothing gets
    /// older, so a quiet connection keeps what it knew.
    pub(super) fn update(&mut self, round: u64, value: T) {
        while self.entries.back().is_some_and(|&(_, last)| last <= value) {
            self.entries.pop_back();
        }
        if self.entries.back().is_none_or(|&(last, _)| last < round) {
            self.entries.push_back((round, value));
        }
        while self.entries.front().is_some_and(|&(at, _)| at.saturating_add(self.rounds) <= round) {
            self.entries.pop_front();
        }
    }

    /// Forgets everything but `value`.
    pub(super) fn reset(&mut self, round: u64, value: T) {
        self.entries.clear();
        self.entries.push_back((round, value));
    }

    /// The maximum, if there was any value.
    pub(super) fn get(&self) -> Option<T> {
        self.entries.front().map(|&(_, value)| value)
    }
}
