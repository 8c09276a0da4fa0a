//! What a gateway runs with: everything checked, nothing optional that must be there.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyproxy_transport::{ClientCa, Identity, ListenConfig};
use anyproxy_wire::{handshake::Verifier, message::DEFAULT_CREDIT};

/// A gateway.
#[derive(Debug)]
pub struct GatewayConfig {
    /// Where clients connect.
    pub tunnels: ListenConfig,
    /// Where the HTTP proxy listens.
    pub http: Vec<SocketAddr>,
    /// Where the HTTP proxy listens behind TLS.
    pub https: Option<HttpsConfig>,
    /// Where the SOCKS5 proxy listens.
    pub socks5: Vec<SocketAddr>,
    /// Where HTTP and SOCKS proxies share a port, told apart by the first byte.
    pub mixed: Vec<SocketAddr>,
    /// The groups.
    pub groups: Vec<GroupConfig>,
    /// Bounds.
    pub limits: Limits,
}

/// The HTTP proxy behind TLS.
#[derive(Debug)]
pub struct HttpsConfig {
    /// Where it listens.
    pub addrs: Vec<SocketAddr>,
    /// The certificate that users see.
    pub identity: Identity,
}

/// A group: its credentials, what its clients may ask for, and its share of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// Its name.
    pub name: String,
    /// What its clients prove.
    pub tunnel: Credential,
    /// Whose certificates its clients may prove instead.
    pub client_ca: Option<ClientCa>,
    /// Its proxy users. Their names are unique over all groups: a name tells the group.
    pub users: Vec<UserConfig>,
    /// Ports of the gateway that its clients may ask for.
    pub ports: Vec<PortRule>,
    /// Its share.
    pub limits: GroupLimits,
}

/// A proxy user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserConfig {
    /// The name to log in with; it has no colon.
    pub name: String,
    /// What the user presents.
    pub password: Credential,
}

/// What one group may take of a gateway; `None` is no bound of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupLimits {
    /// Live sessions.
    pub max_sessions: Option<usize>,
    /// Live proxied connections.
    pub max_connections: Option<usize>,
    /// Live UDP flows.
    pub max_flows: Option<usize>,
    /// Bytes a second from users to targets, and as many the other way.
    pub bandwidth: Option<u64>,
}

/// What is kept of a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A keyed hash of a generated secret; checking it takes microseconds.
    Verifier(Verifier),
    /// An Argon2id hash in PHC form of a password that a person chose; checking it takes tens of
    /// milliseconds. One that asks for more than 64 MiB, 4 passes or 4 lanes lets nobody in.
    Argon2id(String),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Verifier(_) => "Verifier(..)",
            Self::Argon2id(_) => "Argon2id(..)",
        })
    }
}

/// Ports that a group's clients may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRule {
    /// The only address; `None`: any.
    pub address: Option<IpAddr>,
    /// The first port; 0 stands for "the system chooses".
    pub first: u16,
    /// The last port.
    pub last: u16,
}

impl PortRule {
    /// Whether a client may listen at `addr`.
    #[must_use]
    pub fn allows(&self, addr: SocketAddr) -> bool {
        self.address.is_none_or(|only| only == addr.ip())
            && (self.first..=self.last).contains(&addr.port())
    }
}

/// Bounds of time, memory and numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Log-in, request head, wait for the target: each takes this long at most.
    pub proxy_timeout: Duration,
    /// Bytes that stalled streams of one session may hold.
    pub stall_budget: u64,
    /// Bytes that a client may send on a new stream before it is granted more.
    pub initial_credit: u64,
    /// Live data streams of one session. UDP flows may be half of them.
    pub max_streams: usize,
    /// How long a peer may take until it has said who it is: the transport's handshake, Hello and Auth.
    /// Checking that is not its doing and counts to the time of the log-in.
    pub handshake_timeout: Duration,
    /// Tunnel handshakes under way.
    pub max_handshakes: usize,
    /// Those of one IPv4 address or one IPv6 /64; loopback is not counted.
    pub max_handshakes_per_address: usize,
    /// Those of QUIC peers that have not proven their addresses; zero: each has to.
    pub max_unproven: usize,
    /// Live sessions.
    pub max_sessions: usize,
    /// Tunnels over the WebSocket besides the first of each session, over all of them.
    pub max_beside: usize,
    /// Live user connections, over all ingresses.
    pub max_users: usize,
    /// Those of one IPv4 address or one IPv6 /64; loopback is not counted.
    pub max_users_per_address: usize,
    /// Forwards of one session.
    pub max_forwards: usize,
    /// Forwarded ports, over all sessions; one that several share is one.
    pub max_ports: usize,
    /// Live UDP flows, over all forwarded ports and SOCKS5 associations.
    pub max_flows: usize,
    /// Live UDP flows of one forwarded port.
    pub max_port_flows: usize,
    /// How long a UDP flow lives on which nothing moves in either direction.
    pub flow_idle: Duration,
    /// Bytes a second from users to targets over all groups, and as many the other way; active groups
    /// share them alike.
    pub bandwidth: Option<u64>,
    /// Silence after which a side sends a Ping.
    pub ping_interval: Duration,
    /// Silence after which a peer is dead.
    pub dead_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            proxy_timeout: Duration::from_secs(30),
            stall_budget: 256 * 1024 * 1024,
            initial_credit: DEFAULT_CREDIT,
            max_streams: 4096,
            handshake_timeout: Duration::from_secs(10),
            max_handshakes: 1024,
            max_handshakes_per_address: 512,
            max_unproven: 256,
            max_sessions: 4096,
            max_beside: 3 * 4096,
            max_users: 65_536,
            max_users_per_address: 32_768,
            max_forwards: 1024,
            max_ports: 65_536,
            max_flows: 16_384,
            max_port_flows: 1024,
            flow_idle: Duration::from_secs(60),
            bandwidth: None,
            ping_interval: Duration::from_secs(10),
            dead_after: Duration::from_secs(30),
        }
    }
}
