//! What the gateway counts about connections and handshakes, besides its tunnels and flows.
//!
//! All of these are touched once for each connection or attempt, never for its bytes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyproxy_transport::{Ledger, Opens, TunnelError};
use anyproxy_wire::codes::CloseCode;

/// Handshakes that end without a code.
const OTHERS: usize = 3;
const ENDS: usize = CloseCode::ALL.len() + OTHERS;

/// Why a client's handshake led to no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSession {
    /// One side closed with this code.
    Code(CloseCode),
    /// The network failed.
    Transport,
    /// It took too long.
    Slow,
    /// There were too many at once, and this one was the oldest.
    GivenUp,
}

/// What the gateway counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) opens: Arc<Opens>,
    pub(crate) ledger: Arc<Ledger>,
    accepted: AtomicU64,
    accept_failures: AtomicU64,
    handshakes: Handshakes,
}

#[derive(Debug, Default)]
struct Handshakes([AtomicU64; ENDS]);

impl Tally {
    /// A user was let in; gives its number, from 1.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// A connection could not be accepted; the listener pauses.
    pub(crate) fn accept_failed(&self) {
        self.accept_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// A client came and got no session.
    pub(crate) fn no_session(&self, why: NoSession) {
        if let Some(count) = self.handshakes.0.get(why.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Users that were let in.
    pub(crate) fn users(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections that could not be accepted.
    pub(crate) fn accept_failures(&self) -> u64 {
        self.accept_failures.load(Ordering::Relaxed)
    }

    /// Handshakes that led to no session, by reason; those that never happened are left out.
    pub(crate) fn handshakes(&self) -> Vec<(NoSession, u64)> {
        let counted = NoSession::all().zip(&self.handshakes.0);
        let counted = counted.map(|(why, count)| (why, count.load(Ordering::Relaxed)));
        counted.filter(|(_, count)| *count > 0).collect()
    }
}

impl NoSession {
    /// What came of a handshake that ended with `error`.
    pub(crate) fn of(error: &TunnelError) -> Self {
        error.code().map_or(Self::Transport, Self::Code)
    }

    fn index(self) -> usize {
        let other = |number: usize| CloseCode::ALL.len().saturating_add(number);
        match self {
            Self::Code(code) => usize::try_from(code.as_u64()).unwrap_or(usize::MAX),
            Self::Transport => other(0),
            Self::Slow => other(1),
            Self::GivenUp => other(2),
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        let codes = CloseCode::ALL.iter().map(|code| Self::Code(*code));
        codes.chain([Self::Transport, Self::Slow, Self::GivenUp])
    }
}

impl std::fmt::Display for NoSession {
    /// A word in lower case, with `_` for spaces.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Code(code) => return f.write_str(&code.to_string().replace(' ', "_")),
            Self::Transport => "transport",
            Self::Slow => "too_slow",
            Self::GivenUp => "gave_way",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_place_of_its_own() {
        let places = NoSession::all().map(NoSession::index).collect::<Vec<_>>();
        assert_eq!(places, (0..ENDS).collect::<Vec<_>>());
        let tally = Tally::default();
        tally.no_session(NoSession::Slow);
        tally.no_session(NoSession::Code(CloseCode::Unauthorised));
        let shown = tally.handshakes().into_iter().map(|(why, count)| (why.to_string(), count));
        assert_eq!(shown.collect::<Vec<_>>(), [("unauthorised".into(), 1), ("too_slow".into(), 1)]);
    }
}
