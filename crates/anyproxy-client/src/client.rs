//! The client: starts its replicas, tells what they do, shuts them down in order.
//!
//! ```text
//! client ─┬─ replica 0 ─┬─ supervisor, tunnel        its own scope, tunnel and stall budget
//!         │             └─ connections ─ connection
//!         └─ replica 1 ─ …                           egress, forwards and limits are shared
//! ```

use std::{sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::{DialConfigError, Dialer, Login, StallBudget, net::Net};
use anyproxy_wire::message::Intent;
use tokio::sync::watch;

use crate::{
    chosen::ChosenPorts,
    config::ClientConfig,
    connection::Exit,
    egress::Egress,
    flow::Flows,
    notes::{ClientFigures, Notes},
    replica::{Replica, Supervisor},
    state::{Reporter, State},
    ways::{Ways, Winner},
};

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
    /// Of each replica.
    connections: Vec<Scope>,
    state: watch::Receiver<State>,
    /// Of each replica.
    budgets: Vec<Arc<StallBudget>>,
    exit: Arc<Exit>,
    notes: Arc<Notes>,
}

/// What can be asked for a client's figures while it runs, and afterwards.
#[derive(Debug, Clone)]
pub struct Watched {
    root: Scope,
    exit: Arc<Exit>,
    notes: Arc<Notes>,
    state: watch::Receiver<State>,
    connections: Vec<Scope>,
    budgets: Vec<Arc<StallBudget>>,
}

impl Watched {
    /// Whether a session is up.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(*self.state.borrow(), State::Connected { .. })
    }

    /// Whether it takes no new connections, because it ends.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.root.is_draining()
    }

    /// The figures of this moment.
    #[must_use]
    pub fn figures(&self) -> ClientFigures {
        let (failures, last_failure) = self.notes.failures();
        let Exit { flows, opens, ledger, .. } = &*self.exit;
        ClientFigures {
            state: self.state.borrow().clone(),
            replicas: self.notes.replicas(),
            tunnels: ledger.snapshot(|_| true),
            opens: opens.snapshot(),
            failures,
            last_failure,
            connections: self.connections.iter().map(Scope::tasks).sum(),
            flows: flows.live(),
            dropped_datagrams: flows.dropped(),
            unreachable_targets: flows.unreachable(),
            stalled: self.budgets.iter().map(|budget| budget.charged()).sum(),
        }
    }
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
        let mut instance = [0; 16];
        getrandom::fill(&mut instance).map_err(|error| StartError::Random(error.to_string()))?;
        let dialer = Arc::new(Dialer::new(Arc::clone(&net), config.gateway)?);
        let ports = Arc::new(ChosenPorts::new(config.forwards.len()));
        let flows = Arc::new(Flows::default());
        let winner = Arc::new(Winner::default());
        let exit = Arc::new(Exit {
            flows: Arc::clone(&flows),
            egress: Egress::new(Arc::clone(&net), Arc::new(config.policy)),
            net,
            opens: Arc::default(),
            ledger: Arc::default(),
            group: config.group.as_str().into(),
            forwards: config.forwards,
            limits: config.limits,
            scope: root.clone(),
        });
        let count = usize::try_from(config.replicas).unwrap_or(usize::MAX).max(1);
        let (reporters, state) = Reporter::for_replicas(count);
        let notes = Notes::new(count);
        let (connections, budgets) = (vec![], vec![]);
        let watched = (Arc::clone(&exit), Arc::clone(&notes));
        let mut client =
            Self { root, connections, state, budgets, exit: watched.0, notes: watched.1 };
        for (number, reporter) in (0..).zip(reporters) {
            let budget = StallBudget::new(config.limits.stall_budget);
            let login = Login {
                group: config.group.clone(),
                client_id: config.client_id.clone(),
                instance,
                replica: number,
                intent: Intent::New,
                join_key: None,
                ping_within: None,
                secret: config.secret.clone(),
                method: config.method,
                initial_credit: config.limits.initial_credit,
                budget: Arc::clone(&budget),
            };
            let scope = client.root.child(format!("replica {number}"));
            let replica = Replica {
                number,
                exit: Arc::clone(&exit),
                ports: Arc::clone(&ports),
                reporter,
                notes: Arc::clone(&notes),
                connections: scope.child("connections"),
                scope,
                drain,
            };
            client.budgets.push(budget);
            client.connections.push(replica.connections.clone());
            let dialer = Arc::clone(&dialer);
            let ways = (config.transport, Arc::clone(&winner));
            let scopes = (replica.scope.clone(), replica.connections.clone());
            let ways = Ways::new(dialer, ways, login, scopes, &config.limits);
            Supervisor::new(replica, ways).start();
        }
        Ok(client)
    }

    /// What it is doing, now and whenever that changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// What to ask for figures; it outlives the client.
    #[must_use]
    pub fn watched(&self) -> Watched {
        Watched {
            root: self.root.clone(),
            exit: Arc::clone(&self.exit),
            notes: Arc::clone(&self.notes),
            state: self.state.clone(),
            connections: self.connections.clone(),
            budgets: self.budgets.clone(),
        }
    }

    /// Cuts a drain short when cancelled: everything still live ends now.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.root.clone()
    }

    /// Bytes that stalled connections may hold here, as an upper bound; over all replicas.
    #[must_use]
    pub fn stalled(&self) -> u64 {
        self.budgets.iter().map(|budget| budget.charged()).sum()
    }

    /// Datagrams of UDP flows that were dropped here since the start: no room on the way to the
    /// gateway or from it, or the system did not take one for its target.
    #[must_use]
    pub fn dropped_datagrams(&self) -> u64 {
        self.exit.flows.dropped()
    }

    /// How often the network said that the target of a UDP flow is not there (ICMP).
    #[must_use]
    pub fn unreachable_targets(&self) -> u64 {
        self.exit.flows.unreachable()
    }

    /// UDP flows that live now.
    #[must_use]
    pub fn flows(&self) -> usize {
        self.exit.flows.live()
    }

    /// Tasks that live now; for tests and figures.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.root.tasks()
    }

    /// Tells the gateway, lets live connections finish for at most `drain`, then cuts the rest and
    /// closes the tunnels. Dropping the future cuts everything.
    pub async fn shutdown(self, drain: Duration) -> Ended {
        self.root.drain();
        let finished = async {
            for connections in &self.connections {
                connections.finished().await;
            }
        };
        let drained = tokio::select! {
            biased;
            () = self.root.cancelled() => false,
            finished = Deadline::after(drain).bound(finished) => finished.is_ok(),
        };
        let left = self.connections.iter().map(Scope::tasks).sum();
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
