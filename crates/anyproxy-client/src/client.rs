//! The client: dials its gateway for ever, serves while connected, shuts down in order.
//!
//! ```text
//! dial ─ log in ─ serve ─ tunnel over ─┐
//!   ▲                                  │
//!   └── pause: full jitter, capped ◀───┘
//! ```

use std::{sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::{
    ClosedBy, DialConfigError, DialError, Dialer, Login, LoginError, StallBudget, Transport,
    TunnelError, net::Net,
};
use anyproxy_wire::{backoff::Backoff, codes::CloseCode};
use tokio::{sync::watch, time::Instant};

use crate::{
    config::{ClientConfig, Limits},
    connection::Exit,
    egress::Egress,
    flow::Flows,
    session::Session,
    state::{Reporter, State},
};

/// A session that lasted this long was a good one: the next failure starts from the first pause.
const GOOD_SESSION: Duration = Duration::from_secs(10);

/// How long cancelled tasks may take to end. They only drop what they hold.
const CLOSE: Duration = Duration::from_secs(5);

/// Why a client does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The gateway's address or trust settings are unusable.
    #[error(transparent)]
    Dial(#[from] DialConfigError),
    /// The system gave no random bytes.
    #[error("no random numbers: {0}")]
    Random(String),
}

/// How a client ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All connections had ended by themselves.
    Drained,
    /// This many connections were cut.
    Cut(usize),
    /// This many tasks did not end.
    Stuck(usize),
}

/// A running client.
#[derive(Debug)]
pub struct Client {
    root: Scope,
    connections: Scope,
    state: watch::Receiver<State>,
    budget: Arc<StallBudget>,
    flows: Arc<Flows>,
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
}

struct Supervisor {
    dialer: Dialer,
    transport: Transport,
    login: Login,
    exit: Arc<Exit>,
    reporter: Reporter,
    root: Scope,
    connections: Scope,
    drain: Duration,
}

impl Client {
    /// Starts to dial. `drain` is what the gateway is told to expect at shutdown.
    ///
    /// # Errors
    /// [`StartError`] for settings that could never work; a gateway that cannot be reached is no
    /// error.
    pub fn start(
        config: ClientConfig,
        net: Arc<dyn Net>,
        drain: Duration,
    ) -> Result<Self, StartError> {
        let root = Scope::root("client");
        let connections = root.child("connections");
        let (reporter, state) = Reporter::new();
        let mut instance = [0; 16];
        getrandom::fill(&mut instance).map_err(|error| StartError::Random(error.to_string()))?;
        let budget = StallBudget::new(config.limits.stall_budget);
        let login = Login {
            group: config.group,
            client_id: config.client_id,
            instance,
            replica: 0,
            secret: config.secret,
            method: config.method,
            initial_credit: config.limits.initial_credit,
            budget: Arc::clone(&budget),
        };
        let flows = Arc::new(Flows::default());
        let exit = Arc::new(Exit {
            flows: Arc::clone(&flows),
            egress: Egress::new(Arc::clone(&net), Arc::new(config.policy)),
            forwards: config.forwards,
            limits: config.limits,
            scope: root.clone(),
        });
        let supervisor = Supervisor {
            dialer: Dialer::new(net, config.gateway)?,
            transport: config.transport,
            login,
            exit,
            reporter,
            root: root.clone(),
            connections: connections.clone(),
            drain,
        };
        root.spawn_to_end("supervisor", supervisor.run());
        Ok(Self { root, connections, state, budget, flows })
    }

    /// What it is doing, now and whenever that changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Cuts a drain short when cancelled: everything still live ends now.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.root.clone()
    }

    /// Bytes that stalled connections may hold here, as an upper bound.
    #[must_use]
    pub fn stalled(&self) -> u64 {
        self.budget.charged()
    }

    /// Datagrams of UDP flows that were dropped here since the start: no room on the way to the
    /// gateway or from it, or the system did not take one for its target.
    #[must_use]
    pub fn dropped_datagrams(&self) -> u64 {
        self.flows.dropped()
    }

    /// How often the network said that the target of a UDP flow is not there (ICMP).
    #[must_use]
    pub fn unreachable_targets(&self) -> u64 {
        self.flows.unreachable()
    }

    /// UDP flows that live now.
    #[must_use]
    pub fn flows(&self) -> usize {
        self.flows.live()
    }

    /// Tasks that live now; for tests and figures.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.root.tasks()
    }

    /// Tells the gateway, lets live connections finish for at most `drain`, then cuts the rest and
    /// closes the tunnel. Dropping the future cuts everything.
    pub async fn shutdown(self, drain: Duration) -> Ended {
        self.root.drain();
        let drained = tokio::select! {
            biased;
            () = self.root.cancelled() => false,
            finished = Deadline::after(drain).bound(self.connections.finished()) => finished.is_ok(),
        };
        let left = self.connections.tasks();
        self.root.cancel();
        match (Deadline::after(CLOSE).bound(self.root.finished()).await, drained) {
            (Err(_), _) => Ended::Stuck(self.root.tasks()),
            (Ok(()), true) => Ended::Drained,
            (Ok(()), false) => Ended::Cut(left),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.root.cancel();
    }
}

impl Supervisor {
    async fn run(self) {
        let limits = self.exit.limits;
        let mut backoff = Backoff::new(limits.first_pause, limits.longest_pause);
        while !self.root.is_draining() {
            self.reporter.set(State::Connecting);
            let began = Instant::now();
            let failure = tokio::select! {
                biased;
                // A session in progress ends by itself at cancel, with a code.
                failure = self.session() => failure,
            };
            if self.root.is_draining() {
                break;
            }
            if matches!(failure, Failure::Over(_)) && began.elapsed() >= GOOD_SESSION {
                backoff.reset();
            }
            let pause = pause(&failure, &mut backoff, &limits);
            let text = explain(&failure);
            tracing::warn!(reason = %text, retry_in = ?pause, "not connected to the gateway");
            self.reporter.set(State::Waiting(text));
            tokio::select! {
                () = self.root.draining() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.reporter.set(State::Ended);
    }

    /// One session from dial to end.
    async fn session(&self) -> Failure {
        let connecting = tokio::select! {
            biased;
            () = self.root.draining() => Err(Failure::Over(shut_down())),
            connected = self.connect() => connected,
        };
        let tunnel = match connecting {
            Ok(tunnel) => tunnel,
            Err(failure) => return failure,
        };
        tracing::info!(gateway = %tunnel.peer(), transport = %tunnel.transport(),
            group = %self.login.group, "connected to the gateway");
        let scope = self.connections.clone();
        let session = Session::new(tunnel.clone(), &self.exit, &self.reporter, scope, self.drain);
        let error = session.run().await;
        if matches!(error, TunnelError::Closed { by: ClosedBy::Us, .. }) {
            tunnel.farewell().await;
        }
        Failure::Over(error)
    }

    async fn connect(&self) -> Result<anyproxy_transport::Tunnel, Failure> {
        let deadline = Deadline::after(self.exit.limits.proxy_timeout);
        let connected = self.dialer.dial(self.transport, deadline).await?;
        let (tunnel, _welcome) = connected.log_in(&self.login, deadline, &self.root).await?;
        Ok(tunnel)
    }
}

fn shut_down() -> TunnelError {
    TunnelError::Closed { by: ClosedBy::Us, code: CloseCode::Shutdown, reason: String::new() }
}

/// Full jitter; longer where only a person can help, and as long as the gateway asked for. The jitter
/// comes on top of that, or all clients that were refused together would come back together.
fn pause(failure: &Failure, backoff: &mut Backoff, limits: &Limits) -> Duration {
    match failure {
        Failure::Login(LoginError::Refused(refuse)) => backoff.at_least(refuse.retry_after),
        Failure::Login(LoginError::WrongGateway) => backoff.at_least(limits.refused_pause),
        Failure::Over(error) if error.code() == Some(CloseCode::Superseded) => {
            backoff.at_least(limits.refused_pause);
        }
        Failure::Login(_) | Failure::Dial(_) | Failure::Over(_) => {}
    }
    let mut random = [0; 8];
    // Without randomness the pause is merely not spread.
    let _ = getrandom::fill(&mut random);
    backoff.next(u64::from_le_bytes(random))
}

/// Names the fix where there is one.
fn explain(failure: &Failure) -> String {
    let fix = match failure {
        Failure::Login(LoginError::Refused(refuse)) if refuse.code == CloseCode::Unauthorised => {
            "; check group and secret on both sides"
        }
        Failure::Over(error) if error.code() == Some(CloseCode::Superseded) => {
            "; if two clients run at once, give each its own client_id"
        }
        Failure::Dial(_) | Failure::Login(_) | Failure::Over(_) => "",
    };
    format!("{failure}{fix}")
}
