//! How many streams a gateway may have open at once.
//!
//! quinn keeps an entry for each stream that the peer may open, from the start: room for all that a session may ever
//! have takes more than a megabyte in every client. So there is a little at first, and twice as much once half of it is
//! in use; the gateway waits a round trip at most, and only where hundreds of users come at once.

use std::sync::atomic::{AtomicU32, Ordering};

/// At first.
pub(crate) const FIRST: u32 = 1024;

/// At most. What the gateway uses is bounded by the session's own limit, which comes with Welcome.
const MOST: u32 = 16 * 1024;

#[derive(Debug)]
pub(super) struct Room(AtomicU32);

impl Room {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(FIRST))
    }

    /// What to allow from now on, if that is more than before, with so many streams live.
    pub(super) fn grow(&self, live: usize) -> Option<u32> {
        let live = u32::try_from(live).unwrap_or(u32::MAX);
        let wider = |room: u32| {
            (room < MOST && live >= room.div_ceil(2)).then(|| room.saturating_mul(2).min(MOST))
        };
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, wider).ok()?;
        Some(before.saturating_mul(2).min(MOST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_when_half_is_in_use_and_ends_at_the_most() {
        let room = Room::new();
        assert_eq!(room.grow(511), None);
        assert_eq!(room.grow(512), Some(2048));
        assert_eq!(room.grow(512), None);
        let grown: Vec<_> = (0..20).filter_map(|_| room.grow(usize::MAX)).collect();
        assert_eq!(grown, [4096, 8192, 16_384]);
    }
}
