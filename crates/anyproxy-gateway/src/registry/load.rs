//! Which session serves the next connection.

use std::sync::Arc;

/// Something that could serve it.
pub(crate) trait Candidate {
    fn number(&self) -> u64;
    /// Whether it takes more at all.
    fn is_healthy(&self) -> bool;
    /// What it serves already.
    fn load(&self) -> usize;
}

/// The least loaded of those that are healthy and not in `tried`; among equals, the `turn`-th.
pub(crate) fn least_loaded<'a, C: Candidate + 'a>(
    candidates: impl Iterator<Item = &'a Arc<C>>,
    turn: usize,
    tried: &[u64],
) -> Option<Arc<C>> {
    let mut best: Vec<&Arc<C>> = Vec::new();
    let mut least = usize::MAX;
    for candidate in candidates.filter(|c| c.is_healthy() && !tried.contains(&c.number())) {
        let load = candidate.load();
        if load < least {
            least = load;
            best.clear();
        }
        if load == least {
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
    enum Health {
        Good,
        Bad,
    }

    #[derive(Debug, PartialEq)]
    struct Fake(u64, Health, usize);

    impl Candidate for Fake {
        fn number(&self) -> u64 {
            self.0
        }

        fn is_healthy(&self) -> bool {
            self.1 == Health::Good
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
        use Health::{Bad, Good};
        let candidates =
            [Fake(1, Good, 5), Fake(2, Bad, 0), Fake(3, Good, 2), Fake(4, Good, 2)].map(Arc::new);
        assert_eq!(picks(&candidates, &[]), [3, 4, 3, 4, 3, 4]);
        assert_eq!(picks(&candidates, &[3]), [4; 6]);
        assert_eq!(picks(&candidates, &[3, 4]), [1; 6]);
        assert_eq!(picks(&candidates, &[1, 3, 4]), [], "the sick one is never picked");
        assert_eq!(picks(&[], &[]), []);
    }
}
