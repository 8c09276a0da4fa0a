//! The gateway: binds everything, serves, and shuts down in order.
//!
//! ```text
//! root ─┬─ users       connections from every ingress and forwarded port
//!       ├─ accepting   the ingresses' accept loops
//!       ├─ targets     kept connections to HTTP targets, and those in use
//!       └─ sessions    tunnels: handshakes, control loops, drivers
//! ```
//!
//! Shutting down: everybody stops accepting and clients are told (Goaway); users may finish until
//! the drain is over; then the rest is cancelled, the tunnels are closed with a code, and the close
//! packets get 20 ms to leave.

mod accept;
mod error;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyproxy_runtime::{Deadline, Scope, Trouble};
use anyproxy_transport::{ClientCertificates, Identity, ProxyTls, TunnelListener, net::Net};
use anyproxy_wire::{codes::CloseCode, message::Protocol};
use tokio::sync::Semaphore;

use self::accept::accept_tunnels;
pub use self::error::StartError;
use crate::{
    config::{GatewayConfig, GroupConfig},
    credentials::{Credentials, PasswordChecks},
    doors::Doors,
    enrolment::{Enrolments, NoEnrolments},
    figures::FlowFigures,
    flows::Flows,
    goodbyes::Goodbyes,
    groups::Groups,
    ingress::{Acceptor, Ingress, PerAddress, http::Kept},
    ports::{Own, Ports},
    registry::{Bandwidth, Registry},
    session::Sessions,
    tally::Tally,
    view::{Listening, Watched},
};

/// How long cancelled tasks may take to end. They only drop what they hold.
const CLOSE: Duration = Duration::from_secs(5);

/// Where a running gateway listens, with the ports that the system chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// For clients.
    pub tunnels: SocketAddr,
    /// The HTTP proxy.
    pub http: Vec<SocketAddr>,
    /// The HTTP proxy behind TLS.
    pub https: Vec<SocketAddr>,
    /// The SOCKS5 proxy.
    pub socks5: Vec<SocketAddr>,
    /// HTTP and SOCKS on one port.
    pub mixed: Vec<SocketAddr>,
}

/// How a gateway ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All connections had ended by themselves.
    Drained,
    /// This many connections were cut.
    Cut(usize),
    /// This many tasks did not end.
    Stuck(usize),
}

/// A running gateway.
pub struct Gateway {
    addresses: Addresses,
    groups: Groups,
    flows: Arc<Flows>,
    kept: Arc<Kept>,
    addresses_of_users: Arc<PerAddress>,
    root: Scope,
    users: Scope,
    tunnels: Arc<TunnelListener>,
    https: Option<ProxyTls>,
    goodbyes: Arc<Goodbyes>,
    accepting: Scope,
    listening: Listening,
    tally: Arc<Tally>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Gateway {
    /// Binds every address, then serves. `drain` is what clients are told to expect at shutdown.
    ///
    /// # Errors
    /// [`StartError`]; nothing is bound and nothing runs then.
    pub fn start(
        config: &GatewayConfig,
        net: Arc<dyn Net>,
        drain: Duration,
    ) -> Result<Self, StartError> {
        Self::start_enrolling(config, net, drain, Arc::new(NoEnrolments))
    }

    /// The same, for clients that have keys of their own or come to enrol them, too.
    ///
    /// # Errors
    /// [`StartError`]; nothing is bound and nothing runs then.
    pub fn start_enrolling(
        config: &GatewayConfig,
        net: Arc<dyn Net>,
        drain: Duration,
        enrolments: Arc<dyn Enrolments>,
    ) -> Result<Self, StartError> {
        let tunnels = Arc::new(TunnelListener::bind(&*net, &config.tunnels)?);
        tunnels.set_client_certificates(wanted(&config.groups));
        let doors = Doors::bind(&*net, config)?;
        let addresses = doors.addresses(tunnels.local_addr());
        let root = Scope::root("gateway");
        let credentials = Credentials::new(&config.groups, &root.child("credentials"))
            .map_err(|error| StartError::Random(error.to_string()))?;
        let parts = Parts {
            credentials: Arc::new(credentials.with_enrolments(Arc::clone(&enrolments))),
            enrolments,
            acceptor: Acceptor {
                name: "user",
                permits: Arc::new(Semaphore::new(config.limits.max_users)),
                addresses: PerAddress::new(config.limits.max_users_per_address),
                tally: Arc::default(),
            },
            drain,
        };
        let mut gateway = Self::assemble(root, (addresses, tunnels), config, (&parts, net));
        gateway.https = doors.tls();
        gateway.serve_tunnels(config, &parts);
        gateway.serve_users(config, &parts, doors);
        gateway.listening = Listening::all_of(&gateway.accepting);
        Ok(gateway)
    }

    fn assemble(
        root: Scope,
        (addresses, tunnels): (Addresses, Arc<TunnelListener>),
        config: &GatewayConfig,
        (parts, net): (&Parts, Arc<dyn Net>),
    ) -> Self {
        let users = root.child("users");
        let accepting = root.child("accepting");
        let bandwidth = Bandwidth::new(config.limits.bandwidth);
        root.spawn("bandwidth to targets", Arc::clone(&bandwidth.to_targets).run());
        root.spawn("bandwidth to users", Arc::clone(&bandwidth.to_users).run());
        let flows = Flows::new(net, users.clone(), &config.limits);
        let own = Own::new(&addresses, config.tunnels.offer);
        let acceptor = parts.acceptor.named("forward");
        let own = (own, config.limits.max_ports);
        let ports = Ports::new(&config.groups, own, acceptor, Arc::clone(&flows));
        // Not with the users: kept connections are no reason to wait at shutdown.
        let kept = Kept::new(root.child("targets"));
        let registry = Arc::new(Registry::new(
            &config.groups,
            bandwidth,
            kept.clone(),
            Arc::clone(&parts.enrolments),
        ));
        let credentials = Arc::clone(&parts.credentials);
        Self {
            addresses,
            groups: Groups { registry, credentials, ports, changing: Mutex::default() },
            flows,
            kept,
            addresses_of_users: Arc::clone(&parts.acceptor.addresses),
            users,
            listening: Listening::all_of(&accepting),
            accepting,
            root,
            tunnels,
            https: None,
            goodbyes: Goodbyes::new(),
            tally: Arc::clone(&parts.acceptor.tally),
        }
    }

    fn serve_tunnels(&self, config: &GatewayConfig, parts: &Parts) {
        let sessions = Arc::new(Sessions {
            registry: Arc::clone(&self.groups.registry),
            credentials: Arc::clone(&parts.credentials),
            enrolments: Arc::clone(&parts.enrolments),
            ports: Arc::clone(&self.groups.ports),
            limits: config.limits,
            scope: self.root.child("sessions"),
            drain: parts.drain,
            goodbyes: Arc::clone(&self.goodbyes),
            tally: Arc::clone(&self.tally),
            unenrolled: Trouble::default(),
            unfit: Trouble::default(),
        });
        let accept = accept_tunnels(Arc::clone(&self.tunnels), sessions);
        self.accepting.spawn("tunnels", accept);
    }

    fn serve_users(&self, config: &GatewayConfig, parts: &Parts, doors: Doors) {
        let ingress = Arc::new(Ingress {
            route: Arc::clone(&self.groups.registry),
            credentials: Arc::clone(&parts.credentials),
            flows: Arc::clone(&self.flows),
            permits: Arc::clone(&parts.acceptor.permits),
            proxy_timeout: config.limits.proxy_timeout,
            name: "anyproxy".into(),
            kept: Arc::clone(&self.kept),
            opens: Arc::clone(&self.tally.opens),
        });
        doors.open(&ingress, &self.users, &self.accepting, &parts.acceptor);
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Replaces all groups at once. Sessions of groups that are gone, or whose tunnel credential is
    /// another now, are closed as unauthorised, and so are those whose certificate no CA of the group vouches
    /// for; other sessions, and connections of users that are let in already, go on.
    pub fn set_groups(&self, groups: &[GroupConfig]) {
        self.tunnels.set_client_certificates(wanted(groups));
        self.groups.set(groups);
    }

    /// Closes the sessions of clients whose key is not enrolled any more; gives how many there were.
    pub fn check_enrolled(&self) -> usize {
        self.groups.registry.check_enrolled()
    }

    /// Forwards no TCP port of this number from now on, at any address: the same program listens there for
    /// `what`. So it is with the gateway's [own](Self::addresses) ports anyway.
    pub fn keep_port(&self, addr: SocketAddr, what: &'static str) {
        self.groups.ports.keep((Protocol::Tcp, addr), what);
    }

    /// Shows clients another certificate from now on. Sessions that are up go on.
    pub fn set_identity(&self, identity: &Identity) {
        self.tunnels.set_identity(identity);
    }

    /// Shows users of the HTTP proxy behind TLS another certificate from now on, if there is that proxy.
    /// Connections that are up go on.
    pub fn set_https_identity(&self, identity: &Identity) {
        if let Some(https) = &self.https {
            https.set_identity(identity);
        }
    }

    /// How passwords that people chose were checked.
    #[must_use]
    pub fn password_checks(&self) -> PasswordChecks {
        self.groups.credentials.password_checks()
    }

    /// UDP flows and what became of their datagrams.
    #[must_use]
    pub fn flows(&self) -> FlowFigures {
        self.flows.counters.snapshot()
    }

    /// What to ask for figures; it outlives the gateway.
    #[must_use]
    pub fn watched(&self) -> Watched {
        Watched {
            registry: Arc::clone(&self.groups.registry),
            credentials: Arc::clone(&self.groups.credentials),
            ports: Arc::clone(&self.groups.ports),
            flows: Arc::clone(&self.flows),
            addresses: Arc::clone(&self.addresses_of_users),
            tally: Arc::clone(&self.tally),
            root: self.root.clone(),
            listening: self.listening.clone(),
        }
    }

    /// Live sessions.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.groups.registry.sessions()
    }

    /// Bytes that stalled connections of all sessions may hold, as an upper bound.
    #[must_use]
    pub fn stalled(&self) -> u64 {
        self.groups.registry.stalled()
    }

    /// Tasks that live now; for tests and figures.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.root.tasks()
    }

    /// Live user connections, with their accept loops of forwarded ports.
    #[must_use]
    pub fn users(&self) -> usize {
        self.users.tasks()
    }

    /// Connections of users that were closed at once, since their address had all that it may have.
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        self.addresses_of_users.turned_away()
    }

    /// Cuts a drain short when cancelled: everything still live ends now.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.root.clone()
    }

    /// Stops accepting, tells the clients, lets live connections finish for at most `drain`, then cuts the rest. All
    /// TCP ports are free when this returns, the UDP port as soon as quinn has let its last
    /// connection go. Dropping the future cuts everything.
    pub async fn shutdown(self, drain: Duration) -> Ended {
        self.root.drain();
        let finished = async {
            let finished = Deadline::after(drain).bound(self.users.finished()).await;
            self.goodbyes.said().await;
            finished.is_ok()
        };
        let drained = tokio::select! {
            biased;
            () = self.root.cancelled() => false,
            finished = finished => finished,
        };
        let left = self.users.tasks();
        self.groups.registry.close_all(CloseCode::Shutdown, "the gateway is shutting down");
        self.root.cancel();
        let ended = Deadline::after(CLOSE).bound(self.root.finished()).await;
        match (ended, drained) {
            (Err(_), _) => Ended::Stuck(self.root.tasks()),
            (Ok(()), true) => Ended::Drained,
            (Ok(()), false) => Ended::Cut(left),
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.root.cancel();
    }
}

/// Clients are asked for certificates where a group can do something with them.
fn wanted(groups: &[GroupConfig]) -> ClientCertificates {
    match groups.iter().any(|group| group.client_ca.is_some()) {
        true => ClientCertificates::Wanted,
        false => ClientCertificates::Ignored,
    }
}

struct Parts {
    credentials: Arc<Credentials>,
    enrolments: Arc<dyn Enrolments>,
    /// All ingresses share its bounds.
    acceptor: Acceptor,
    drain: Duration,
}
