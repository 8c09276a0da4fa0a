//! Notices that the machine slept, so that tunnels are asked at once whether they still live.
//!
//! ```text
//! runtime's clock  ──1 s──▶──1 s──▶──────1 s──────▶     in suspend it stands still
//! outside          ──1 s──▶──1 s──▶─── an hour ───▶     the difference is the sleep
//! ```
//!
//! Without it a laptop that wakes up takes its tunnels for alive until its own timers say otherwise, while the
//! gateway has forgotten them. A clock that can be set may jump without any sleep, so such a jump is a reason to ask
//! and no more: no time is taken for silence.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyproxy_transport::net::{Net, OutsideTime};

/// How often the clocks are compared.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Less than this is no sleep: clocks are read one after the other, and wall clocks are slewed.
const NAP: Duration = Duration::from_secs(3);

/// Compares two clocks. It reads none itself.
#[derive(Debug, Default)]
struct Clocks {
    last: Option<(Instant, OutsideTime)>,
}

impl Clocks {
    /// For how long the machine slept since the last look; zero if it may have.
    fn look(&mut self, now: Instant, outside: OutsideTime) -> Option<Duration> {
        let (before, outside_before) = self.last.replace((now, outside))?;
        let inside = now.saturating_duration_since(before);
        match (outside_before, outside) {
            (OutsideTime::Boot(before), OutsideTime::Boot(after)) => {
                let slept = after.saturating_sub(before).saturating_sub(inside);
                (slept >= NAP).then_some(slept)
            }
            (OutsideTime::Wall(before), OutsideTime::Wall(after)) => {
                let jump = before.saturating_add(inside).abs_diff(after);
                (jump >= NAP).then_some(Duration::ZERO)
            }
            (OutsideTime::Boot(_), OutsideTime::Wall(_))
            | (OutsideTime::Wall(_), OutsideTime::Boot(_)) => None,
        }
    }
}

/// Waits for the machine to wake up.
#[derive(Debug)]
pub(crate) struct Wake {
    net: Arc<dyn Net>,
    clocks: Clocks,
    look_at: tokio::time::Instant,
}

impl Wake {
    pub(crate) fn new(net: Arc<dyn Net>) -> Self {
        let mut wake =
            Self { net, clocks: Clocks::default(), look_at: tokio::time::Instant::now() };
        wake.look();
        wake
    }

    /// Waits until the machine has slept, and says for how long; zero if it only may have. Cancel safe.
    pub(crate) async fn woke(&mut self) -> Duration {
        loop {
            tokio::time::sleep_until(self.look_at).await;
            if let Some(slept) = self.look() {
                tracing::info!(?slept, "the machine slept, or its clock was set");
                return slept;
            }
        }
    }

    fn look(&mut self) -> Option<Duration> {
        let now = tokio::time::Instant::now();
        self.look_at = now + LOOK_EVERY;
        self.clocks.look(now.into_std(), self.net.outside_time()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What is seen when the runtime's clock goes on by `inside` and the other one from `from` to `to`.
    fn seen(
        clock: fn(Duration) -> OutsideTime,
        inside: u32,
        (from, to): (u32, u32),
    ) -> Option<u64> {
        let start = Instant::now();
        let mut clocks = Clocks::default();
        assert_eq!(clocks.look(start, clock(from * SECOND)), None);
        let slept = clocks.look(start + inside * SECOND, clock(to * SECOND));
        assert_eq!(
            clocks.look(start + (inside + 1) * SECOND, clock((to + 1) * SECOND)),
            None,
            "once"
        );
        slept.map(|slept| slept.as_secs())
    }

    #[test]
    fn sleep_is_what_the_runtime_did_not_count() {
        assert_eq!(seen(OutsideTime::Boot, 1, (1_000, 1_001)), None);
        assert_eq!(seen(OutsideTime::Boot, 1, (1_000, 4_601)), Some(3_600));
        assert_eq!(seen(OutsideTime::Boot, 1, (1_000, 1_003)), None, "too short to matter");
        // Stopped (SIGSTOP), or a busy machine: both clocks go on.
        assert_eq!(seen(OutsideTime::Boot, 60, (1_000, 1_060)), None);
    }

    /// NTP, a person, a time zone set wrong: it is asked, and nothing is taken for silence.
    #[test]
    fn a_wall_clock_that_was_set_is_a_reason_to_ask() {
        assert_eq!(seen(OutsideTime::Wall, 1, (1_000_000, 1_000_001)), None);
        assert_eq!(seen(OutsideTime::Wall, 1, (1_000_000, 1_003_601)), Some(0));
        assert_eq!(seen(OutsideTime::Wall, 1, (1_000_000, 996_400)), Some(0));
        assert_eq!(seen(OutsideTime::Wall, 60, (1_000_000, 1_000_060)), None);
    }
}
