//! Which session serves the next connection.
//!
//! One that was silent when it was last asked is a last resort: its client may be dead, which the
//! transport notices only when its own time is over.

/// Something that could serve it.
pub(crate) trait Candidate {
    /// Whether nothing of it is left that is not in `tried`.
    fn is_tried(&self, tried: &[u64]) -> bool;
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

/// How many are compared for one connection. A thousand sessions that share a port would cost each connection a
/// look at all of them, and the least loaded of a few is little worse than that of all (Mitzenmacher, "The Power of
/// Two Choices in Randomized Load Balancing", 2001).
const COMPARED: usize = 8;

/// The least loaded of the healthiest that are not in `tried`; among equals, the `turn`-th. Of many, those whose turn
/// it is are compared, and all only if none of these is well.
pub(crate) fn least_loaded<'a, T, C: Candidate>(
    all: &'a [T],
    candidate: impl Fn(&T) -> &C,
    turn: usize,
    tried: &[u64],
) -> Option<&'a T> {
    let few = turn.wrapping_mul(COMPARED).checked_rem(all.len())?;
    if all.len() > COMPARED {
        let (before, from) = all.split_at(few);
        let few = from.iter().chain(before).take(COMPARED);
        if let Some((Health::Good, best)) = best_of(few, &candidate, turn, tried) {
            return Some(best);
        }
    }
    best_of(all.iter(), &candidate, turn, tried).map(|(_, best)| best)
}

fn best_of<'a, T, C: Candidate>(
    some: impl Iterator<Item = &'a T>,
    candidate: &impl Fn(&T) -> &C,
    turn: usize,
    tried: &[u64],
) -> Option<(Health, &'a T)> {
    let mut best = Vec::new();
    let mut least = (Health::Gone, 0);
    for item in some {
        let it = candidate(item);
        if it.is_tried(tried) {
            continue;
        }
        let rank = (it.health(), it.load());
        if rank < least {
            least = rank;
            best.clear();
        }
        if rank == least && rank.0 != Health::Gone {
            best.push(item);
        }
    }
    let index = turn.checked_rem(best.len())?;
    best.get(index).map(|item| (least.0, *item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Fake(u64, Health, usize);

    impl Candidate for Fake {
        fn is_tried(&self, tried: &[u64]) -> bool {
            tried.contains(&self.0)
        }

        fn health(&self) -> Health {
            self.1
        }

        fn load(&self) -> usize {
            self.2
        }
    }

    fn pick(candidates: &[Fake], turn: usize, tried: &[u64]) -> Option<u64> {
        least_loaded(candidates, |it| it, turn, tried).map(|picked| picked.0)
    }

    fn picks(candidates: &[Fake], tried: &[u64]) -> Vec<u64> {
        (0..6).filter_map(|turn| pick(candidates, turn, tried)).collect()
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
        ];
        assert_eq!(picks(&candidates, &[]), [3, 4, 3, 4, 3, 4]);
        assert_eq!(picks(&candidates, &[3]), [4; 6]);
        assert_eq!(picks(&candidates, &[3, 4]), [1; 6]);
        assert_eq!(picks(&candidates, &[1, 3, 4]), [5; 6], "the silent one is the last resort");
        assert_eq!(picks(&candidates, &[1, 3, 4, 5]), [], "one that is gone is never picked");
        assert_eq!(picks(&[], &[]), []);
    }
    /// Its load is what is asked for last.
    #[derive(Debug)]
    struct Counted<'a>(u64, Health, &'a std::cell::Cell<usize>);

    impl Candidate for Counted<'_> {
        fn is_tried(&self, tried: &[u64]) -> bool {
            tried.contains(&self.0)
        }

        fn health(&self) -> Health {
            self.1
        }

        fn load(&self) -> usize {
            self.2.set(self.2.get() + 1);
            0
        }
    }

    #[test]
    fn of_many_a_few_are_asked_and_all_have_their_turn() {
        const MANY: u64 = 1000;
        let asked = std::cell::Cell::new(0);
        let many: Vec<_> = (0..MANY).map(|number| Counted(number, Health::Good, &asked)).collect();
        let pick = |turn| least_loaded(&many, |it| it, turn, &[]).map(|picked| picked.0).unwrap();
        let picked: std::collections::BTreeSet<_> = (0..1000).map(pick).collect();
        assert_eq!(asked.get(), 1000 * COMPARED);
        assert!(picked.len() > 100, "{}", picked.len());
    }

    #[test]
    fn where_none_of_the_few_is_well_all_are_asked() {
        let mut many: Vec<_> = (0..100).map(|number| Fake(number, Health::Silent, 0)).collect();
        many[77].1 = Health::Good;
        for turn in 0..100 {
            assert_eq!(pick(&many, turn, &[]), Some(77));
        }
        assert_eq!(pick(&many, 0, &[77]), Some(0));
    }
}
