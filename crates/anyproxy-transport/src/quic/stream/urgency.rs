//! Which streams go first: those that send little.
//!
//! An answer of some kilobytes must not wait behind a download in the same tunnel. So a stream is urgent until it has
//! sent more than [`ALLOWANCE`] in [`SPAN`], and again after a span in which it sent less: a connection that
//! is kept open and asks now and then stays quick, however much it has carried in its life.
//!
//! On a slow way bulk sends little in a span too, because it has to wait. That is no rest: what is sent in spans with
//! such a wait adds up.

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
    wait: Wait,
}

/// Whether the stream had more to send than it could, in this span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Never,
    /// Not any more.
    Once,
    Now,
}

impl Urgency {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, sent: 0, turn: Turn::Urgent, wait: Wait::Never }
    }

    /// It has something to send and may not, for want of credit or room.
    pub(super) fn waits(&mut self) {
        self.wait = Wait::Now;
    }

    /// `bytes` were handed over at `now`. Says what the stream has become, if that is new.
    pub(super) fn sent(&mut self, now: Instant, bytes: u64) -> Option<Turn> {
        let elapsed = now.saturating_duration_since(self.began);
        let was = self.turn;
        if elapsed >= SPAN {
            if self.rested(elapsed) {
                (self.turn, self.sent) = (Turn::Urgent, 0);
            } else if self.turn == Turn::Bulk {
                self.sent = 0;
            }
            (self.began, self.wait) = (now, Wait::Never);
        } else if self.wait == Wait::Now {
            self.wait = Wait::Once;
        }
        self.sent = self.sent.saturating_add(bytes);
        if self.sent >= ALLOWANCE {
            self.turn = Turn::Bulk;
        }
        (self.turn != was).then_some(self.turn)
    }

    /// Bulk that was only just cut off stays bulk; a span or more without a word is rest.
    fn rested(&self, elapsed: Duration) -> bool {
        let silent = elapsed >= SPAN.saturating_mul(2);
        match self.wait {
            Wait::Never => silent || self.sent < ALLOWANCE,
            Wait::Once => silent,
            Wait::Now => false,
        }
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

    /// 20 KiB a second, in pieces that take from a fraction of a span to several.
    #[test]
    fn bulk_on_a_slow_way_is_bulk() {
        for pause in [50 * MS, 400 * MS, SPAN, 3 * SPAN] {
            let mut now = Instant::now();
            let mut urgency = Urgency::new(now);
            let piece = 20 * KIB * u64::try_from(pause.as_millis()).unwrap() / 1000;
            let mut turns = vec![];
            for _ in 0..1000 {
                urgency.waits();
                now += pause;
                turns.extend(urgency.sent(now, piece));
            }
            assert_eq!(turns, [Turn::Bulk], "{pause:?}");
            assert_eq!(urgency.sent(now + 2 * SPAN, KIB), Some(Turn::Urgent), "it rested");
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

    /// Each time it waits a little, as everything does beside bulk.
    #[test]
    fn who_asks_less_than_once_in_a_span_stays_urgent_though_it_waits() {
        let mut now = Instant::now();
        let mut urgency = Urgency::new(now);
        for _ in 0..1000 {
            now += 2 * SPAN;
            assert_eq!(urgency.sent(now, KIB), None);
            urgency.waits();
            now += 100 * MS;
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
