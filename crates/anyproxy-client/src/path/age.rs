//! How old a tunnel may get, where something on the way cuts connections after a fixed time.
//!
//! ```text
//! dial ───────────────────────────────── renew ─── margin ─── cut
//!                                  └ 0 to 1 margin ┘
//! ```
//!
//! The time is configured, or learnt: two WebSockets running that were lost at about the same age, or three below a
//! minute, where a program that crashes again and again looks the same. A margin before it a new tunnel is made, which is time enough for a dial that has to be
//! repeated, and for what is short to end on the old tunnel. Up to a margin earlier still, by
//! chance, so that the replicas of many clients do not move at once.
//!
//! Who renews in time never sees whether anything would still cut. So what was learnt is believed for a number of
//! renewals only; then one WebSocket is let live on. If it outlives the time, that is forgotten; if it is cut, what was learnt
//! is believed four times as often.

use std::time::{Duration, Instant};

use anyproxy_transport::Transport;

/// What is lost sooner was not cut for its age.
const LEAST: Duration = Duration::from_secs(10);

/// Ages that differ by so much, or by a tenth, are about the same.
const ABOUT: Duration = Duration::from_secs(2);

/// How many cuts running tell: below the age, and from it on.
const SHORT: Duration = Duration::from_secs(60);
const CUTS_OF_SHORT: u32 = 3;
const CUTS: u32 = 2;

/// What is cut within so long has one cause.
const ONE_EVENT: Duration = Duration::from_secs(1);

/// For how many renewals what was learnt is believed: at first, with each proof, and at most.
const FIRST_TRUST: u32 = 32;
const TRUST_GROWS: u32 = 4;
const MOST_TRUST: u32 = 2048;

/// Of the greatest age, a tenth is the margin, within these.
const LEAST_MARGIN: Duration = Duration::from_secs(5);
const MOST_MARGIN: Duration = Duration::from_secs(60);

/// What is known of the greatest age.
#[derive(Debug)]
pub(super) struct Ages {
    configured: Option<Duration>,
    learnt: Option<Lesson>,
    last: Option<Cuts>,
}

/// What was learnt.
#[derive(Debug, Clone, Copy)]
struct Lesson {
    age: Duration,
    /// For how many renewals it is believed, and for how many of them still. At 0 it is put to the test.
    trust: u32,
    left: u32,
}

/// WebSockets running that were cut at about the same age.
#[derive(Debug, Clone, Copy)]
struct Cuts {
    /// The least.
    age: Duration,
    times: u32,
    /// When the last one was.
    at: Instant,
}

impl Ages {
    pub(super) fn new(configured: Option<Duration>) -> Self {
        Self { configured, learnt: None, last: None }
    }

    /// The age at which a tunnel over `transport` wants a successor; `chance` is between 0 and 1.
    pub(super) fn renew_after(&self, transport: Transport, chance: f64) -> Option<Duration> {
        let believed = self.learnt.filter(|it| it.left > 0 && transport == Transport::WebSocket);
        let learnt = believed.map(|lesson| lesson.age);
        let greatest = self.configured.into_iter().chain(learnt).min()?;
        let margin = (greatest / 10).clamp(LEAST_MARGIN, MOST_MARGIN).min(greatest / 3);
        Some(greatest.saturating_sub(margin).saturating_sub(margin.mul_f64(chance)))
    }

    /// A WebSocket has a successor because of its age.
    pub(super) fn renewed(&mut self) {
        if let Some(lesson) = &mut self.learnt {
            lesson.left = lesson.left.saturating_sub(1);
        }
    }

    /// A WebSocket was cut at this age.
    pub(super) fn cut(&mut self, now: Instant, age: Duration) {
        self.lived(age);
        let last = self.last;
        if last.is_some_and(|last| now.saturating_duration_since(last.at) < ONE_EVENT) {
            return;
        }
        let same = last.filter(|last| is_about(last.age, age));
        let cuts = Cuts {
            age: same.map_or(age, |last| last.age.min(age)),
            times: same.map_or(1, |last| last.times.saturating_add(1)),
            at: now,
        };
        self.last = Some(cuts);
        let enough = if age < SHORT { CUTS_OF_SHORT } else { CUTS };
        match &mut self.learnt {
            Some(lesson) if is_about(lesson.age, age) => lesson.proven(age),
            Some(_) | None if age >= LEAST && cuts.times >= enough => {
                self.learnt = Some(Lesson::new(cuts.age));
            }
            Some(_) | None => {}
        }
    }

    /// A WebSocket got this old.
    pub(super) fn lived(&mut self, age: Duration) {
        if self.learnt.is_some_and(|it| age > it.age && !is_about(it.age, age)) {
            (self.learnt, self.last) = (None, None);
        }
    }

    /// What was found out.
    pub(super) fn learnt(&self) -> Option<Duration> {
        self.learnt.map(|lesson| lesson.age)
    }
}

impl Lesson {
    fn new(age: Duration) -> Self {
        Self { age, trust: FIRST_TRUST, left: FIRST_TRUST }
    }

    /// A WebSocket was cut at about the age.
    fn proven(&mut self, age: Duration) {
        if self.left == 0 {
            self.trust = self.trust.saturating_mul(TRUST_GROWS).min(MOST_TRUST);
        }
        (self.age, self.left) = (self.age.min(age), self.trust);
    }
}

fn is_about(one: Duration, other: Duration) -> bool {
    one.abs_diff(other) <= ABOUT.max(one.max(other) / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The time at which all these were cut one after the other.
    fn after(ages: &[u32]) -> Ages {
        let mut known = Ages::new(None);
        let mut now = Instant::now();
        for age in ages {
            now += *age * SECOND;
            known.cut(now, *age * SECOND);
        }
        known
    }

    /// A later cut.
    fn cut(ages: &mut Ages, age: u32) {
        let last = ages.last.map_or_else(Instant::now, |last| last.at);
        ages.cut(last + age * SECOND, age * SECOND);
    }

    #[test]
    fn cuts_running_at_about_the_same_age_are_a_period() {
        for (ages, learnt) in [
            (&[60, 60][..], Some(60)),
            (&[61, 60], Some(60)),
            (&[600, 645], Some(600)),
            (&[11, 12], None),
            (&[12, 11, 12], Some(11)),
            (&[59, 59], None),
            (&[59, 59, 59], Some(59)),
            (&[5, 60, 61], Some(60)),
            (&[60], None),
            (&[60, 70], None),
            (&[60, 30, 60], None),
            (&[9, 9, 9], None),
        ] {
            assert_eq!(after(ages).learnt(), learnt.map(|age| age * SECOND), "{ages:?}");
        }
    }

    #[test]
    fn a_period_that_a_tunnel_outlives_is_forgotten() {
        let mut ages = after(&[60, 60]);
        ages.lived(64 * SECOND);
        assert_eq!(ages.learnt(), Some(60 * SECOND), "about the same");
        ages.lived(90 * SECOND);
        assert_eq!(ages.learnt(), None);
        cut(&mut ages, 60);
        assert_eq!(ages.learnt(), None, "it takes two");
        cut(&mut ages, 60);
        assert_eq!(ages.learnt(), Some(60 * SECOND));
        cut(&mut ages, 300);
        assert_eq!(ages.learnt(), None);
    }

    #[test]
    fn tunnels_that_are_lost_at_once_are_one_cut() {
        let mut ages = after(&[]);
        let now = Instant::now();
        for at in [0, 500, 999] {
            ages.cut(now + Duration::from_millis(at), 60 * SECOND);
        }
        assert_eq!(ages.learnt(), None);
        cut(&mut ages, 60);
        assert_eq!(ages.learnt(), Some(60 * SECOND));
    }

    #[test]
    fn what_was_learnt_is_put_to_the_test_ever_less_often() {
        let mut ages = after(&[60, 60]);
        for trust in [32, 128, 512, 2048, 2048] {
            for renewal in 0..trust {
                let after = ages.renew_after(Transport::WebSocket, 0.5);
                assert!(after.is_some(), "{renewal} of {trust}");
                ages.renewed();
            }
            assert_eq!(ages.renew_after(Transport::WebSocket, 0.5), None, "{trust}");
            cut(&mut ages, 30);
            assert_eq!(ages.renew_after(Transport::WebSocket, 0.5), None, "that says nothing");
            cut(&mut ages, 61);
        }
        (0..2048).for_each(|_| ages.renewed());
        ages.lived(90 * SECOND);
        assert_eq!(ages.learnt(), None);
    }

    #[test]
    fn a_tunnel_is_renewed_a_margin_before_and_not_all_at_once() {
        for (greatest, earliest, latest) in
            [(60, 48, 54), (10, 4, 7), (300, 240, 270), (3600, 3480, 3540)]
        {
            for ages in [after(&[greatest; 3]), Ages::new(Some(greatest * SECOND))] {
                let at = |chance| {
                    let age = ages.renew_after(Transport::WebSocket, chance).unwrap();
                    age.as_secs_f64().ceil()
                };
                assert_eq!(at(0.0), f64::from(latest));
                assert_eq!(at(1.0), f64::from(earliest));
            }
        }
    }

    #[test]
    fn what_is_learnt_of_websockets_does_not_hold_for_quic() {
        assert_eq!(after(&[60, 60]).renew_after(Transport::Quic, 0.5), None);
        let both = Ages::new(Some(30 * SECOND));
        assert!(both.renew_after(Transport::Quic, 0.0).is_some());
    }
}
