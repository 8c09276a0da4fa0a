//! One of a client's parallel sessions: dials for ever, serves while connected.
//!
//! ```text
//! dial ─ log in ─ serve ─ tunnel over ─┐
//!   ▲                                  │
//!   └── pause: full jitter, capped ◀───┘
//! ```
//!
//! A gateway that takes no new connections says so (Goaway). The session is then a [former] one,
//! and the next is made beside it.
//!
//! The first log-in is *new*; after a Welcome each later one *supersedes* the session that the Welcome
//! was for, because the gateway may not have noticed its end yet. Of two processes with the same client
//! id the later one stays: what the earlier one offers to supersede is no longer the newest session,
//! so the gateway turns it down, and the two do not throw each other out for ever.

use std::{sync::Arc, time::Duration};

use anyproxy_runtime::Scope;
use anyproxy_transport::LoginError;
use anyproxy_wire::{
    backoff::{Backoff, rounded},
    codes::CloseCode,
    message::Goaway,
};
use tokio::time::Instant;

use crate::{
    chosen::ChosenPorts,
    config::Limits,
    connection::Exit,
    failure::Failure,
    former::{self, FormerSessions, spread},
    lanes::Lanes,
    notes::Notes,
    session::{End, Session},
    state::{Reporter, State},
    wake::Wake,
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
    /// Shared with the other replicas.
    pub(crate) notes: Arc<Notes>,
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
    former: FormerSessions,
}

impl Supervisor {
    pub(crate) fn new(replica: Replica, ways: Ways) -> Self {
        Self { replica, ways, former: FormerSessions::default() }
    }

    /// Runs until the replica's scope drains.
    pub(crate) fn start(self) {
        let scope = self.replica.scope.clone();
        // A session in progress ends by itself at cancel, with a code.
        scope.spawn_to_end("supervisor", self.run());
    }

    async fn run(mut self) {
        let limits = self.replica.exit.limits;
        let mut pauses = Pauses::new(&limits);
        while !self.replica.scope.is_draining() {
            self.replica.reporter.set(State::Connecting);
            let began = Instant::now();
            let failure = self.session().await;
            self.ways.stop();
            self.replica.notes.down(self.replica.number);
            if self.replica.scope.is_draining() {
                break;
            }
            if failure.code() == Some(CloseCode::NoSuchSession) {
                // There is nothing to supersede.
                self.ways.forget();
            }
            let pause = pauses.after(&failure, began.elapsed());
            let text = failure.explain(self.ways.method());
            self.replica.notes.failed(self.replica.number, &failure, &text);
            tracing::warn!(replica = self.replica.number, reason = %text, retry_in = ?rounded(pause),
                "not connected to the gateway");
            self.replica.reporter.set(State::Waiting(text));
            let mut wake = self.wake();
            tokio::select! {
                () = self.replica.scope.draining() => break,
                () = tokio::time::sleep(pause) => {}
                // It may wake up in another network.
                _ = wake.woke() => self.ways.woke(),
            }
        }
        self.replica.reporter.set(State::Ended);
    }

    fn wake(&self) -> Wake {
        Wake::new(Arc::clone(&self.replica.exit.net))
    }

    /// One session from the first attempt to its end.
    async fn session(&mut self) -> Failure {
        let scope = self.replica.scope.clone();
        let mut wake = self.wake();
        self.ways.start();
        let event = loop {
            tokio::select! {
                biased;
                () = scope.draining() => return shut_down(),
                event = self.ways.next() => break event,
                // What was dialled before is of another time.
                _ = wake.woke() => {
                    self.ways.woke();
                    self.ways.start();
                }
            }
        };
        let fresh = match event {
            Event::Up(fresh) => fresh,
            Event::Exhausted(failure) => return failure,
            // There was none to be disowned.
            Event::Disowned => return shut_down(),
        };
        let tunnel = &fresh.tunnel;
        tracing::info!(gateway = %tunnel.peer(), transport = %tunnel.transport(),
            group = %self.ways.group(), replica = self.replica.number, id = %tunnel.session(),
            "connected to the gateway");
        let Replica { exit, connections, notes, number, .. } = &self.replica;
        notes.up(*number, tunnel, self.ways.reason(tunnel.transport()));
        let mut lanes = Lanes::new(Arc::clone(exit), connections.clone(), fresh);
        match Session::new(&mut lanes, &mut self.ways, &self.replica).run().await {
            End::Over(error) => Failure::Over(error),
            End::Leaving(goaway) => leave(&self.replica, self.former.enter(), lanes, goaway).await,
        }
    }
}

/// Lets what runs through the tunnels go on beside the next session. Without a place for it, they are closed.
async fn leave(
    Replica { scope, .. }: &Replica,
    place: Option<former::Place>,
    mut lanes: Lanes,
    goaway: Goaway,
) -> Failure {
    if let Some(place) = place {
        scope.spawn_to_end("former session", former::run(lanes, scope.clone(), place));
        return Failure::Leaving(goaway);
    }
    lanes.close(CloseCode::OverLimit, "too many sessions that take no new connections");
    Failure::Over(lanes.finish().await)
}

/// How long to wait between two attempts.
struct Pauses {
    backoff: Backoff,
    refused: Duration,
    /// Refusals of group or secret in a row.
    refusals: u32,
}

impl Pauses {
    fn new(limits: &Limits) -> Self {
        Self {
            backoff: Backoff::new(limits.first_pause, limits.longest_pause),
            refused: limits.refused_pause,
            refusals: 0,
        }
    }

    /// Full jitter; longer where only a person can help, and as long as the gateway asked for. The
    /// jitter comes on top of that, or all clients that were refused together would come back
    /// together.
    fn after(&mut self, failure: &Failure, lasted: Duration) -> Duration {
        let good = failure.had_session() && lasted >= GOOD_SESSION;
        if good {
            self.backoff.reset();
        }
        if let Failure::Login(LoginError::Refused(refuse)) = failure {
            if refuse.code == CloseCode::Shutdown && !refuse.retry_after.is_zero() {
                // It drains, however long, and knows best when the next one may be there.
                self.backoff.reset();
            }
            self.backoff.at_least(refuse.retry_after);
        }
        if self.needs_a_person(failure) {
            self.backoff.at_least(self.refused);
        }
        match failure {
            Failure::Leaving(goaway) if good => spread(goaway.reconnect_after, random()),
            Failure::Leaving(goaway) => {
                // Whatever it asks for: a gateway that leaves at once each time must not make us spin.
                self.backoff.next(random()).max(spread(goaway.reconnect_after, random()))
            }
            Failure::Dial(_) | Failure::Login(_) | Failure::Over(_) | Failure::Both(..) => {
                self.backoff.next(random())
            }
        }
    }

    /// A first refusal may come from a gateway that has not yet seen that the group was added.
    fn needs_a_person(&mut self, failure: &Failure) -> bool {
        if failure.code() == Some(CloseCode::Unauthorised) {
            self.refusals = self.refusals.saturating_add(1);
            return self.refusals > 1;
        }
        self.refusals = 0;
        failure.is_superseded() || matches!(failure, Failure::Login(LoginError::WrongGateway))
    }
}

pub(crate) fn random() -> u64 {
    let mut random = [0; 8];
    // Without randomness the pause is merely not spread.
    let _ = getrandom::fill(&mut random);
    u64::from_le_bytes(random)
}
