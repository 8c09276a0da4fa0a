//! Which session serves the next connection.
//!
//! One that was silent when it was last asked is a last resort: its client may be dead, which the
//! transport notices only when its own time is over.

use std::sync::Arc;

/// Something that could serve it.
pub(crate) trait Candidate {
    fn number(&self) -> u64;
    /// Whether it takes more, and would answer.
    fn health(&self) -> Health;
    /// What it serves already.
    fn load(&self) -> usize;
}

/// What is to be expected of a candidate; the better the less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    /// Nothing speaks against it.
    Good,
    /// It has not been heard since it was last asked.
    Silent,
    /// It takes nothing.
    Gone,
}

/// The least loaded of the healthiest that are not in `tried`; among equals, the `turn`-th.
pub(crate) fn least_loaded<'a, C: Candidate + 'a>(
    candidates: impl Iterator<Item = &'a Arc<C>>,
    turn: usize,
    tried: &[u64],
) -> Option<Arc<C>> {
    let mut best: Vec<&Arc<C>> = Vec::new();
    let mut least = (Health::Gone, 0);
    for candidate in candidates.filter(|candidate| !tried.contains(&candidate.number())) {
        let rank = (candidate.health(), candidate.load());
        if rank < least {
            least = rank;
            best.clear();
        }
        if rank == least && rank.0 != Health::Gone {
            best.push(candidate);
        }
    }
    let index = turn.checked_rem(best.len())?;
    best.get(index).map(|candidate| Arc::clone(candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Fake(u64, Health, usize);

    impl Candidate for Fake {
        fn number(&self) -> u64 {
            self.0
        }

        fn health(&self) -> Health {
            self.1
        }

        fn load(&self) -> usize {
            self.2
        }
    }

    fn picks(candidates: &[Arc<Fake>], tried: &[u64]) -> Vec<u64> {
        let pick = |turn| least_loaded(candidates.iter(), turn, tried).map(|picked| picked.0);
        (0..6).filter_map(pick).collect()
    }

    #[test]
    fn the_least_loaded_of_the_healthy_serves_and_ties_take_turns() {
        use Health::{Gone, Good, Silent};
        let candidates = [
            Fake(1, Good, 5),
            Fake(2, Gone, 0),
            Fake(3, Good, 2),
            Fake(4, Good, 2),
            Fake(5, Silent, 0),
        ]
        .map(Arc::new);
        assert_eq!(picks(&candidates, &[]), [3, 4, 3, 4, 3, 4]);
        assert_eq!(picks(&candidates, &[3]), [4; 6]);
        assert_eq!(picks(&candidates, &[3, 4]), [1; 6]);
        assert_eq!(picks(&candidates, &[1, 3, 4]), [5; 6], "the silent one is the last resort");
        assert_eq!(picks(&candidates, &[1, 3, 4, 5]), [], "one that is gone is never picked");
        assert_eq!(picks(&[], &[]), []);
    }
}
