//! Tables that give their room back.
//!
//! A `HashMap` keeps the room of the most it ever held, and a tunnel lives for weeks: without this its worst minute would
//! be paid for until it ends. A table shrinks when seven of eight places are empty, to twice what it holds. What moves
//! then is less than what was removed since, so that a removal still costs the same on average.

use std::collections::HashMap;
use std::hash::Hash;

/// Room for so many is kept in any case: a table that comes and goes within it is never moved.
const KEPT: usize = 256;
/// Shrinks when no more than one place in so many is taken.
const SPARSE: usize = 8;

/// Removes `key`, and gives room back that is not needed any more.
pub fn remove<K: Eq + Hash, V>(map: &mut HashMap<K, V>, key: &K) -> Option<V> {
    let removed = map.remove(key);
    if removed.is_some() && map.capacity() > KEPT.saturating_mul(2) {
        let held = map.len();
        if held <= map.capacity().checked_div(SPARSE).unwrap_or(0) {
            map.shrink_to(held.saturating_mul(2).max(KEPT));
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::{HashMap, KEPT, remove};

    #[test]
    fn room_for_many_is_given_back_with_the_last_of_them() {
        let mut map = (0..10_000_u64).map(|key| (key, key)).collect::<HashMap<_, _>>();
        for key in 0..10_000 {
            assert_eq!(remove(&mut map, &key), Some(key));
        }
        assert!(map.is_empty());
        assert!(map.capacity() <= 2 * KEPT, "room for {}", map.capacity());
    }

    #[test]
    fn what_stays_is_found_while_room_is_given_back() {
        let mut map = (0..10_000_u64).map(|key| (key, key)).collect::<HashMap<_, _>>();
        for key in (0..10_000).filter(|key| key % 100 != 0) {
            remove(&mut map, &key);
        }
        assert!((0..10_000).filter(|key| key % 100 == 0).all(|key| map.get(&key) == Some(&key)));
        assert!(map.capacity() < 1_000, "room for {}", map.capacity());
    }

    #[test]
    fn few_that_come_and_go_are_never_moved() {
        let mut map = HashMap::with_capacity(KEPT);
        let room = map.capacity();
        for key in 0..10_000_u64 {
            map.insert(key, key);
            remove(&mut map, &key);
            assert_eq!(map.capacity(), room);
        }
    }
}
