//! Opens: what became of each connection that a user wanted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyproxy_wire::{codes::OpenCode, message::Ingress};
use tokio::time::Instant;

use super::{Histogram, HistogramFigures};

/// What became of an open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenOutcome {
    /// The other end answered.
    Answered(OpenCode),
    /// The group has no session.
    NoSession,
    /// The session ended before it answered.
    Lost,
    /// There was no answer in time.
    NoAnswer,
    /// The user left before.
    UserGone,
}

/// Outcomes that are no code.
const OTHERS: usize = 4;
const OUTCOMES: usize = OpenCode::ALL.len() + OTHERS;
const INGRESSES: [Ingress; 4] =
    [Ingress::HttpRequest, Ingress::HttpConnect, Ingress::Socks5, Ingress::Forward];

impl OpenOutcome {
    fn index(self) -> usize {
        let other = |number: usize| OpenCode::ALL.len().saturating_add(number);
        match self {
            Self::Answered(code) => usize::try_from(code.as_u64()).unwrap_or(usize::MAX),
            Self::NoSession => other(0),
            Self::Lost => other(1),
            Self::NoAnswer => other(2),
            Self::UserGone => other(3),
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        let codes = OpenCode::ALL.iter().map(|code| Self::Answered(*code));
        codes.chain([Self::NoSession, Self::Lost, Self::NoAnswer, Self::UserGone])
    }
}

impl std::fmt::Display for OpenOutcome {
    /// A word in lower case, with `_` for spaces.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Answered(code) => return f.write_str(&code.to_string().replace(' ', "_")),
            Self::NoSession => "no_session",
            Self::Lost => "session_lost",
            Self::NoAnswer => "no_answer",
            Self::UserGone => "user_gone",
        })
    }
}

/// Counts opens of all connections, by entrance and outcome.
#[derive(Debug, Default)]
pub struct Opens {
    counts: [Counts; INGRESSES.len()],
    took: Histogram,
}

#[derive(Debug, Default)]
struct Counts([AtomicU64; OUTCOMES]);

/// An open whose outcome is to come. Dropping it means that the user left.
#[derive(Debug)]
pub struct Pending {
    opens: Arc<Opens>,
    ingress: Ingress,
    began: Instant,
    outcome: OpenOutcome,
}

/// How many opens there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenCount {
    /// Where they came in.
    pub ingress: Ingress,
    /// What became of them.
    pub outcome: OpenOutcome,
    /// How many.
    pub count: u64,
}

/// [`Opens`] at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OpensFigures {
    /// What there was at all, and what was connected even if it is 0.
    pub counts: Vec<OpenCount>,
    /// How long it took until the target was connected.
    pub took: HistogramFigures,
}

impl Opens {
    /// An open begins.
    #[must_use]
    pub fn begin(self: &Arc<Self>, ingress: Ingress) -> Pending {
        let (opens, began) = (Arc::clone(self), Instant::now());
        Pending { opens, ingress, began, outcome: OpenOutcome::UserGone }
    }

    /// What was counted so far.
    #[must_use]
    pub fn snapshot(&self) -> OpensFigures {
        let of = |(ingress, counts): (Ingress, &Counts)| {
            let counted = OpenOutcome::all().zip(&counts.0);
            let counted = counted.map(|(outcome, count)| OpenCount {
                ingress,
                outcome,
                count: count.load(Ordering::Relaxed),
            });
            let connected = OpenOutcome::Answered(OpenCode::Connected);
            let shown = counted.filter(|it| it.count > 0 || it.outcome == connected);
            shown.collect::<Vec<_>>()
        };
        let counts = INGRESSES.into_iter().zip(&self.counts).flat_map(of).collect();
        OpensFigures { counts, took: self.took.snapshot() }
    }
}

impl Pending {
    /// That is what became of it.
    pub fn done(mut self, outcome: OpenOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let row = INGRESSES.iter().position(|ingress| *ingress == self.ingress);
        let row = row.and_then(|row| self.opens.counts.get(row));
        if let Some(count) = row.and_then(|row| row.0.get(self.outcome.index())) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if self.outcome == OpenOutcome::Answered(OpenCode::Connected) {
            self.opens.took.add(self.began.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_open_counts_once_and_a_dropped_one_as_left() {
        let opens = Arc::new(Opens::default());
        let first = opens.begin(Ingress::Socks5);
        tokio::time::sleep(Duration::from_millis(40)).await;
        first.done(OpenOutcome::Answered(OpenCode::Connected));
        opens.begin(Ingress::Socks5).done(OpenOutcome::Answered(OpenCode::LookupFailed));
        opens.begin(Ingress::Forward).done(OpenOutcome::NoAnswer);
        drop(opens.begin(Ingress::Forward));
        let figures = opens.snapshot();
        let shown = figures.counts.iter().filter(|it| it.count > 0);
        let shown = shown.map(|it| (it.ingress, it.outcome.to_string(), it.count));
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                (Ingress::Socks5, "connected".into(), 1),
                (Ingress::Socks5, "name_lookup_failed_for_now".into(), 1),
                (Ingress::Forward, "no_answer".into(), 1),
                (Ingress::Forward, "user_gone".into(), 1),
            ]
        );
        assert_eq!((figures.took.count, figures.took.sum), (1, Duration::from_millis(40)));
    }

    #[test]
    fn every_outcome_has_a_place_of_its_own() {
        let places = OpenOutcome::all().map(OpenOutcome::index).collect::<Vec<_>>();
        assert_eq!(places, (0..OUTCOMES).collect::<Vec<_>>());
    }
}
