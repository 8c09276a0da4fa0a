//! One of a client's parallel sessions: dials for ever, serves while connected.
//!
//! ```text
//! dial ─ log in ─ serve ─ tunnel over ─┐
//!   ▲                                  │
//!   └── pause: full jitter, capped ◀───┘
//! ```
//!
//! The first log-in is *new*; after a Welcome each later one *supersedes* the session that the Welcome
//! was for, because the gateway may not have noticed its end yet. Of two processes with the same client
//! id the later one stays: what the earlier one offers to supersede is no longer the newest session,
//! so the gateway turns it down, and the two do not throw each other out for ever.

use std::{sync::Arc, time::Duration};

use anyproxy_runtime::Scope;
use anyproxy_transport::LoginError;
use anyproxy_wire::{backoff::Backoff, codes::CloseCode};
use tokio::time::Instant;

use crate::{
    chosen::ChosenPorts,
    config::Limits,
    connection::Exit,
    failure::Failure,
    session::Session,
    state::{Reporter, State},
    ways::{Event, Ways, shut_down},
};

/// A session that lasted this long was a good one: the next failure starts from the first pause.
const GOOD_SESSION: Duration = Duration::from_secs(10);

/// What a session needs to know of its replica.
#[derive(Debug)]
pub(crate) struct Replica {
    /// Which of the client's replicas it is.
    pub(crate) number: u64,
    /// Shared with the other replicas.
    pub(crate) exit: Arc<Exit>,
    /// Shared with the other replicas.
    pub(crate) ports: Arc<ChosenPorts>,
    pub(crate) reporter: Reporter,
    pub(crate) scope: Scope,
    /// Connections run here; it outlives the tunnel, so that what has arrived is delivered.
    pub(crate) connections: Scope,
    /// What the gateway is told about our own shutdown.
    pub(crate) drain: Duration,
}

/// Keeps the session of one replica up.
pub(crate) struct Supervisor {
    replica: Replica,
    ways: Ways,
}

impl Supervisor {
    pub(crate) fn new(replica: Replica, ways: Ways) -> Self {
        Self { replica, ways }
    }

    /// Runs until the replica's scope drains.
    pub(crate) fn start(self) {
        let scope = self.replica.scope.clone();
        // A session in progress ends by itself at cancel, with a code.
        scope.spawn_to_end("supervisor", self.run());
    }

    async fn run(mut self) {
        let limits = self.replica.exit.limits;
        let mut backoff = Backoff::new(limits.first_pause, limits.longest_pause);
        while !self.replica.scope.is_draining() {
            self.replica.reporter.set(State::Connecting);
            let began = Instant::now();
            let failure = self.session().await;
            self.ways.stop();
            if self.replica.scope.is_draining() {
                break;
            }
            if matches!(failure, Failure::Over(_)) && began.elapsed() >= GOOD_SESSION {
                backoff.reset();
            }
            if failure.code() == Some(CloseCode::NoSuchSession) {
                // There is nothing to supersede.
                self.ways.forget();
            }
            let pause = pause(&failure, &mut backoff, &limits);
            let text = failure.explain();
            tracing::warn!(replica = self.replica.number, reason = %text, retry_in = ?pause,
                "not connected to the gateway");
            self.replica.reporter.set(State::Waiting(text));
            tokio::select! {
                () = self.replica.scope.draining() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.replica.reporter.set(State::Ended);
    }

    /// One session from the first attempt to its end.
    async fn session(&mut self) -> Failure {
        let scope = self.replica.scope.clone();
        self.ways.start();
        let event = tokio::select! {
            biased;
            () = scope.draining() => return shut_down(),
            event = self.ways.next() => event,
        };
        let tunnel = match event {
            Event::Up(tunnel, _) => tunnel,
            Event::Exhausted(failure) => return failure,
        };
        tracing::info!(gateway = %tunnel.peer(), transport = %tunnel.transport(),
            group = %self.ways.group(), replica = self.replica.number,
            "connected to the gateway");
        Failure::Over(Session::new(tunnel, &mut self.ways, &self.replica).run().await)
    }
}

/// Full jitter; longer where only a person can help, and as long as the gateway asked for. The jitter
/// comes on top of that, or all clients that were refused together would come back together.
fn pause(failure: &Failure, backoff: &mut Backoff, limits: &Limits) -> Duration {
    if let Failure::Login(LoginError::Refused(refuse)) = failure {
        backoff.at_least(refuse.retry_after);
    }
    if failure.is_superseded() || matches!(failure, Failure::Login(LoginError::WrongGateway)) {
        backoff.at_least(limits.refused_pause);
    }
    let mut random = [0; 8];
    // Without randomness the pause is merely not spread.
    let _ = getrandom::fill(&mut random);
    backoff.next(u64::from_le_bytes(random))
}
