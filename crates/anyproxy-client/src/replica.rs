//! One of a client's parallel sessions: dials for ever, serves while connected.
//!
//! ```text
//! dial ─ log in ─ serve ─ tunnel over ─┐
//!   ▲                                  │
//!   └── pause: full jitter, capped ◀───┘
//! ```
//!
//! A gateway that takes no new connections says so (Goaway). The session is then a [former](crate::former) one,
//! and the next is made beside it.
//!
//! The first log-in is *new*; after a Welcome each later one *supersedes* the session that the Welcome
//! was for, because the gateway may not have noticed its end yet. Of two processes with the same client
//! id the later one stays: what the earlier one offers to supersede is no longer the newest session,
//! so the gateway turns it down, and the two do not throw each other out for ever.

use std::{sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::{
    ClosedBy, DialError, Dialer, Login, LoginError, Transport, Tunnel, TunnelError,
};
use anyproxy_wire::{
    backoff::Backoff,
    codes::CloseCode,
    message::{Goaway, Intent, Welcome},
};
use tokio::time::Instant;

use crate::{
    chosen::ChosenPorts,
    config::Limits,
    connection::Exit,
    former::{FormerSessions, spread},
    session::{End, Session},
    state::{Reporter, State},
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
    dialer: Arc<Dialer>,
    transport: Transport,
    login: Login,
    former: FormerSessions,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error("the session ended: {0}")]
    Over(TunnelError),
    #[error("the gateway takes no new connections: {}", .0.reason)]
    Leaving(Goaway),
}

impl Supervisor {
    pub(crate) fn new(
        replica: Replica,
        dialer: Arc<Dialer>,
        transport: Transport,
        login: Login,
    ) -> Self {
        Self { replica, dialer, transport, login, former: FormerSessions::default() }
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
            if self.replica.scope.is_draining() {
                break;
            }
            if failure.code() == Some(CloseCode::NoSuchSession) {
                // The gateway knows nothing of the session to supersede.
                self.login.intent = Intent::New;
            }
            let pause = pauses.after(&failure, began.elapsed());
            let text = explain(&failure);
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

    /// One session from dial to end.
    async fn session(&mut self) -> Failure {
        let scope = self.replica.scope.clone();
        let connecting = tokio::select! {
            biased;
            () = scope.draining() => Err(Failure::Over(shut_down())),
            connected = self.connect() => connected,
        };
        let (tunnel, welcome) = match connecting {
            Ok(connected) => connected,
            Err(failure) => return failure,
        };
        self.login.intent = Intent::Supersede { generation: welcome.generation };
        tracing::info!(gateway = %tunnel.peer(), transport = %tunnel.transport(),
            group = %self.login.group, replica = self.replica.number, "connected to the gateway");
        let error = match Session::new(tunnel.clone(), &self.replica).run().await {
            End::Over(error) => error,
            End::Leaving(goaway) => match self.leave(&tunnel) {
                Ok(()) => return Failure::Leaving(goaway),
                Err(error) => error,
            },
        };
        if matches!(error, TunnelError::Closed { by: ClosedBy::Us, .. }) {
            tunnel.farewell().await;
        }
        Failure::Over(error)
    }

    /// Lets what runs through the tunnel go on beside the next session. With too many of its like, it is closed.
    fn leave(&self, tunnel: &Tunnel) -> Result<(), TunnelError> {
        let Replica { exit, connections, scope, .. } = &self.replica;
        let Some(former) = self.former.add(tunnel.clone(), exit, connections) else {
            tunnel.close(CloseCode::OverLimit, "too many sessions that take no new connections");
            let reason = "too many former sessions".to_owned();
            return Err(TunnelError::Closed {
                by: ClosedBy::Us,
                code: CloseCode::OverLimit,
                reason,
            });
        };
        scope.spawn_to_end("former session", former.run(scope.clone()));
        Ok(())
    }

    async fn connect(&self) -> Result<(Tunnel, Welcome), Failure> {
        let deadline = Deadline::after(self.replica.exit.limits.proxy_timeout);
        let connected = self.dialer.dial(self.transport, deadline).await?;
        Ok(connected.log_in(&self.login, deadline, &self.replica.scope).await?)
    }
}

fn shut_down() -> TunnelError {
    TunnelError::Closed { by: ClosedBy::Us, code: CloseCode::Shutdown, reason: String::new() }
}

impl Failure {
    /// What the gateway said, before or after Welcome.
    fn code(&self) -> Option<CloseCode> {
        match self {
            Self::Login(LoginError::Refused(refuse)) => Some(refuse.code),
            Self::Over(error) => error.code(),
            Self::Login(_) | Self::Dial(_) | Self::Leaving(_) => None,
        }
    }

    /// Whether there was a session before.
    fn had_session(&self) -> bool {
        matches!(self, Self::Over(_) | Self::Leaving(_))
    }

    fn is_superseded(&self) -> bool {
        self.code() == Some(CloseCode::Superseded)
    }
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
            Failure::Dial(_) | Failure::Login(_) | Failure::Over(_) => self.backoff.next(random()),
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

fn random() -> u64 {
    let mut random = [0; 8];
    // Without randomness the pause is merely not spread.
    let _ = getrandom::fill(&mut random);
    u64::from_le_bytes(random)
}

/// Names the fix where there is one.
fn explain(failure: &Failure) -> String {
    let fix = match failure {
        Failure::Login(LoginError::Refused(refuse)) if refuse.code == CloseCode::Unauthorised => {
            "; check group and secret on both sides"
        }
        _ if failure.is_superseded() => "; if two clients run at once, give each its own client_id",
        Failure::Dial(_) | Failure::Login(_) | Failure::Over(_) | Failure::Leaving(_) => "",
    };
    format!("{failure}{fix}")
}
