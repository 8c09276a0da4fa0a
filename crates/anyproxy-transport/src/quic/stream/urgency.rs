//! Which streams go first: those that send little.
//!
//! An answer of some kilobytes must not wait behind a download in the same tunnel. So a stream is urgent until it has
//! sent more than [`ALLOWANCE`] in [`SPAN`], and again after a span in which it sent less: a connection that
//! is kept open and asks now and then stays quick, however much it has carried in its life.

use std::time::{Duration, Instant};

/// What a stream may send in a span and still be urgent.
const ALLOWANCE: u64 = 64 * 1024;

/// How long is counted at a time.
const SPAN: Duration = Duration::from_secs(1);

/// What a stream has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It goes before bulk.
    Urgent,
    /// It waits for the urgent ones.
    Bulk,
}

/// One stream's count. It begins as urgent.
#[derive(Debug)]
pub(super) struct Urgency {
    began: Instant,
    sent: u64,
    turn: Turn,
}

impl Urgency {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, sent: 0, turn: Turn::Urgent }
    }

    /// `bytes` were handed over at `now`. Says what the stream has become, if that is new.
    pub(super) fn sent(&mut self, now: Instant, bytes: u64) -> Option<Turn> {
        let elapsed = now.saturating_duration_since(self.began);
        let was = self.turn;
        if elapsed >= SPAN {
            // Bulk that was only just cut off stays bulk; a span or more without a word is rest.
            let rested = elapsed >= SPAN.saturating_mul(2) || self.sent < ALLOWANCE;
            if rested {
                self.turn = Turn::Urgent;
            }
            (self.began, self.sent) = (now, 0);
        }
        self.sent = self.sent.saturating_add(bytes);
        if self.sent >= ALLOWANCE {
            self.turn = Turn::Bulk;
        }
        (self.turn != was).then_some(self.turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const KIB: u64 = 1024;

    #[test]
    fn bulk_gives_way_and_stays_behind() {
        let mut now = Instant::now();
        let mut urgency = Urgency::new(now);
        assert_eq!(urgency.sent(now, 63 * KIB), None);
        assert_eq!(urgency.sent(now, KIB), Some(Turn::Bulk));
        for _ in 0..1000 {
            now += 10 * MS;
            assert_eq!(urgency.sent(now, 16 * KIB), None, "still bulk");
        }
    }

    #[test]
    fn who_asks_now_and_then_stays_urgent() {
        let mut now = Instant::now();
        let mut urgency = Urgency::new(now);
        for _ in 0..1000 {
            now += 20 * MS;
            assert_eq!(urgency.sent(now, KIB), None);
        }
    }

    #[test]
    fn bulk_that_rested_is_urgent_again() {
        let mut now = Instant::now();
        let mut urgency = Urgency::new(now);
        assert_eq!(urgency.sent(now, 1024 * KIB), Some(Turn::Bulk));
        now += 2 * SPAN;
        assert_eq!(urgency.sent(now, KIB), Some(Turn::Urgent));
        assert_eq!(urgency.sent(now, 1024 * KIB), Some(Turn::Bulk));
        now += SPAN;
        assert_eq!(urgency.sent(now, KIB), None, "it was bulk a moment ago");
        now += SPAN;
        assert_eq!(urgency.sent(now, KIB), Some(Turn::Urgent), "it sent little since");
    }
}
