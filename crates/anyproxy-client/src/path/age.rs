//! How old a tunnel may get, where something on the way cuts connections after a fixed time.
//!
//! ```text
//! dial ───────────────────────────────── renew ─── margin ─── cut
//!                                  └ 0 to 1 margin ┘
//! ```
//!
//! The time is configured, or learnt: two WebSockets running that were lost at about the same age. A
//! margin before it a new tunnel is made, which is time enough for a dial that has to be
//! repeated, and for what is short to end on the old tunnel. Up to a margin earlier still, by
//! chance, so that the replicas of many clients do not move at once.

use std::time::Duration;

use anyproxy_transport::Transport;

/// What is lost sooner was not cut for its age.
const LEAST: Duration = Duration::from_secs(10);

/// Ages that differ by so much, or by a tenth, are about the same.
const ABOUT: Duration = Duration::from_secs(2);

/// Of the greatest age, a tenth is the margin, within these.
const LEAST_MARGIN: Duration = Duration::from_secs(5);
const MOST_MARGIN: Duration = Duration::from_secs(60);

/// What is known of the greatest age.
#[derive(Debug)]
pub(super) struct Ages {
    configured: Option<Duration>,
    learnt: Option<Duration>,
    /// The age at which the last WebSocket was cut.
    last: Option<Duration>,
}

impl Ages {
    pub(super) fn new(configured: Option<Duration>) -> Self {
        Self { configured, learnt: None, last: None }
    }

    /// The age at which a tunnel over `transport` wants a successor; `chance` is between 0 and 1.
    pub(super) fn renew_after(&self, transport: Transport, chance: f64) -> Option<Duration> {
        let learnt = self.learnt.filter(|_| transport == Transport::WebSocket);
        let greatest = self.configured.into_iter().chain(learnt).min()?;
        let margin = (greatest / 10).clamp(LEAST_MARGIN, MOST_MARGIN).min(greatest / 3);
        Some(greatest.saturating_sub(margin).saturating_sub(margin.mul_f64(chance)))
    }

    /// A WebSocket was cut at this age.
    pub(super) fn cut(&mut self, age: Duration) {
        self.lived(age);
        match self.last {
            Some(last) if age >= LEAST && is_about(last, age) => {
                self.learnt = Some(last.min(age));
            }
            Some(_) | None => {}
        }
        self.last = Some(age);
    }

    /// A WebSocket got this old.
    pub(super) fn lived(&mut self, age: Duration) {
        if self.learnt.is_some_and(|learnt| age > learnt && !is_about(learnt, age)) {
            (self.learnt, self.last) = (None, None);
        }
    }

    /// What was found out.
    pub(super) fn learnt(&self) -> Option<Duration> {
        self.learnt
    }
}

fn is_about(one: Duration, other: Duration) -> bool {
    one.abs_diff(other) <= ABOUT.max(one.max(other) / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn after(ages: &[u32]) -> Ages {
        let mut known = Ages::new(None);
        for age in ages {
            known.cut(*age * SECOND);
        }
        known
    }

    #[test]
    fn two_cuts_running_at_about_the_same_age_are_a_period() {
        for (ages, learnt) in [
            (&[60, 60][..], Some(60)),
            (&[61, 60], Some(60)),
            (&[600, 645], Some(600)),
            (&[11, 12], Some(11)),
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
        ages.cut(60 * SECOND);
        assert_eq!(ages.learnt(), None, "it takes two");
        ages.cut(60 * SECOND);
        assert_eq!(ages.learnt(), Some(60 * SECOND));
        ages.cut(300 * SECOND);
        assert_eq!(ages.learnt(), None);
    }

    #[test]
    fn a_tunnel_is_renewed_a_margin_before_and_not_all_at_once() {
        for (greatest, earliest, latest) in
            [(60, 48, 54), (10, 4, 7), (300, 240, 270), (3600, 3480, 3540)]
        {
            for ages in [after(&[greatest, greatest]), Ages::new(Some(greatest * SECOND))] {
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
