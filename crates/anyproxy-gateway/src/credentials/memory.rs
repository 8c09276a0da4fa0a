//! What Argon2id works in (RFC 9106 section 3.1.2): memory that is kept and used again.
//!
//! Allocated for each hash it would come from the heap of whichever thread runs it, and allocators
//! keep a heap for each thread: wrong passwords would grow the process for good.

use argon2::{Algorithm, Argon2, Block, Params, Version, password_hash::phc::PasswordHash};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The most memory that a hash may ask for, in KiB (64 MiB), and so what is kept for each turn.
const MOST_MEMORY: u32 = 64 * 1024;
const MOST_PASSES: u32 = 4;
const MOST_LANES: u32 = 4;
/// Bytes of the longest hash that PHC strings hold.
const MOST_OUTPUT: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong,
}

/// The memory of one turn. It grows to what the costliest hash so far asked for, and stays.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What is in it comes from a password.
        f.debug_struct("Memory").field("blocks", &self.0.len()).finish()
    }
}

impl Memory {
    /// Whether `password` is what `hash` was made of. A hash that asks for more than is allowed
    /// matches nothing and costs nothing.
    pub(super) fn verify(&mut self, hash: &str, password: &[u8]) -> Verdict {
        match self.matches(hash, password) {
            Some(true) => Verdict::Right,
            Some(false) | None => Verdict::Wrong,
        }
    }

    fn matches(&mut self, hash: &str, password: &[u8]) -> Option<bool> {
        let (hash, params) = parse(hash)?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let version = hash.version.map(Version::try_from).transpose().ok()?.unwrap_or_default();
        let (salt, expected) = (hash.salt?, hash.hash?);
        let mut output = Zeroizing::new([0; MOST_OUTPUT]);
        let output = output.get_mut(..expected.len())?;
        let blocks = self.of(params.block_count());
        Argon2::new(algorithm, version, params)
            .hash_password_into_with_memory(password, salt.as_ref(), output, blocks)
            .ok()?;
        Some(output.ct_eq(expected.as_bytes()).into())
    }

    fn of(&mut self, blocks: usize) -> &mut [Block] {
        if self.0.len() < blocks {
            // First away with the old: both at once would be more than a turn may have.
            self.0 = Vec::new();
            self.0 = vec![Block::new(); blocks];
        }
        &mut self.0
    }

    /// Where it is and how much.
    #[cfg(test)]
    pub(super) fn place(&self) -> (usize, usize) {
        (self.0.as_ptr().addr(), self.0.len())
    }
}

/// How much work a check of `hash` is: passes over blocks.
pub(super) fn cost(hash: &str) -> u64 {
    parse(hash).map_or(0, |(_, params)| {
        u64::from(params.t_cost()).saturating_mul(u64::from(params.m_cost()))
    })
}

fn parse(hash: &str) -> Option<(PasswordHash, Params)> {
    let hash = PasswordHash::new(hash).ok()?;
    let params = Params::try_from(&hash).ok()?;
    let allowed = params.m_cost() <= MOST_MEMORY
        && params.t_cost() <= MOST_PASSES
        && params.p_cost() <= MOST_LANES;
    allowed.then_some((hash, params))
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher as _;

    use super::*;

    fn hash(kib: u32, passes: u32, lanes: u32) -> String {
        let params = Params::new(kib, passes, lanes, None).unwrap();
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        hasher.hash_password(b"right").unwrap().to_string()
    }

    #[test]
    fn what_one_hash_leaves_behind_does_not_matter_to_the_next() {
        let mut memory = Memory::default();
        for (kib, passes, lanes) in [(64, 1, 1), (256, 3, 4), (8, 2, 1), (32, 4, 2), (64, 1, 1)] {
            let hash = hash(kib, passes, lanes);
            assert_eq!(memory.verify(&hash, b"wrong"), Verdict::Wrong);
            assert_eq!(memory.verify(&hash, b"right"), Verdict::Right);
        }
        assert_eq!(memory.place().1, 256);
    }

    #[test]
    fn a_hash_that_asks_for_too_much_matches_nothing() {
        let mut memory = Memory::default();
        let right = hash(64, 1, 1);
        for (from, to) in [("m=64", "m=65537"), ("t=1", "t=5"), ("p=1", "p=5"), ("p=1", "p=0")] {
            let dear = right.replace(from, to);
            assert_ne!(dear, right);
            assert_eq!(memory.verify(&dear, b"right"), Verdict::Wrong);
            assert_eq!(cost(&dear), 0);
        }
        assert_eq!(memory.verify("$argon2id$", b"right"), Verdict::Wrong);
        assert_eq!(memory.place().1, 0, "nothing was hashed");
    }

    #[test]
    fn more_memory_and_more_passes_cost_more() {
        assert!(cost(&hash(64, 2, 1)) > cost(&hash(64, 1, 1)));
        assert!(cost(&hash(128, 1, 1)) > cost(&hash(64, 1, 1)));
    }
}
