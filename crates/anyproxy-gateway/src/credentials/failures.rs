//! Failed log-ins in the log: one line for each window, however many there are.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// At most one line in this time.
const WINDOW: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    logged: Option<Instant>,
    since: u64,
}

impl Failures {
    /// Notes a failure from `peer`, and says how many there were since the last line.
    pub(super) fn note(&self, peer: IpAddr) {
        let now = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.since = state.since.saturating_add(1);
        if state.logged.is_some_and(|logged| now.duration_since(logged) < WINDOW) {
            return;
        }
        tracing::warn!(%peer, failures = state.since, "proxy log-ins failed");
        *state = State { logged: Some(now), since: 0 };
    }
}
