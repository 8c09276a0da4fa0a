//! Failed log-ins in the log: the first at once, and then one line for each window.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyproxy_runtime::Scope;

/// At most one line in this time.
const WINDOW: Duration = Duration::from_secs(10);

/// Failures of one kind.
#[derive(Debug)]
pub(super) struct Failures {
    scope: Scope,
    window: Arc<Window>,
}

#[derive(Debug)]
struct Window {
    /// What failed, for the line.
    what: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    /// A task waits for its end.
    Open {
        failures: u64,
        last: Option<IpAddr>,
    },
}

impl Failures {
    /// Those of which lines say that `what` failed. A task runs in `scope` while a window is open.
    pub(super) fn new(what: &'static str, scope: Scope) -> Self {
        Self { scope, window: Arc::new(Window { what, state: Mutex::new(State::Closed) }) }
    }

    /// Notes a failure from `peer`.
    pub(super) fn note(&self, peer: IpAddr) {
        let mut state = self.window.state();
        match &mut *state {
            State::Open { failures, last } => {
                *failures = failures.saturating_add(1);
                *last = Some(peer);
            }
            State::Closed => {
                *state = State::Open { failures: 0, last: None };
                drop(state);
                self.window.say(peer, 1);
                let open = OpenWindow(Arc::clone(&self.window));
                self.scope.spawn("failed log-ins", open.run());
            }
        }
    }
}

impl Window {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, peer: IpAddr, failures: u64) {
        tracing::warn!(%peer, failures, "{} failed", self.what);
    }

    /// Says how many failures there were, if any.
    fn flush(&self, then: State) -> Flushed {
        let before = std::mem::replace(&mut *self.state(), then);
        match before {
            State::Open { failures, last: Some(peer) } => {
                self.say(peer, failures);
                Flushed::Some
            }
            State::Open { last: None, .. } | State::Closed => Flushed::Nothing,
        }
    }
}

enum Flushed {
    Some,
    Nothing,
}

/// Closes the window at the end, whatever that is.
struct OpenWindow(Arc<Window>);

impl OpenWindow {
    async fn run(self) {
        loop {
            tokio::time::sleep(WINDOW).await;
            match self.0.flush(State::Open { failures: 0, last: None }) {
                Flushed::Some => {}
                Flushed::Nothing => return,
            }
        }
    }
}

impl Drop for OpenWindow {
    fn drop(&mut self) {
        self.0.flush(State::Closed);
    }
}
