//! What a client runs with.

use std::time::Duration;

use anyproxy_transport::{DialConfig, Method, Transport};
use anyproxy_wire::{
    handshake::Secret,
    message::{DEFAULT_CREDIT, Protocol},
};

use crate::egress::Policy;

/// A client.
#[derive(Debug)]
pub struct ClientConfig {
    /// Where its gateway is, and how to know it.
    pub gateway: DialConfig,
    /// What carries the tunnel.
    pub transport: Choice,
    /// The group that it serves.
    pub group: String,
    /// Its stable name in the group.
    pub client_id: String,
    /// Parallel sessions, each with a tunnel of its own; at least one.
    pub replicas: u32,
    /// What the method proves: the group's secret, or the seed of the client's own key.
    pub secret: Secret,
    /// How it is proven.
    pub method: Method,
    /// Ports of the gateway that it asks for.
    pub forwards: Vec<Forward>,
    /// Which targets may be dialled.
    pub policy: Policy,
    /// Bounds.
    pub limits: Limits,
}

/// What carries a client's tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// QUIC where it passes, else the WebSocket; it moves between them while connected.
    #[default]
    Auto,
    /// QUIC only.
    Quic,
    /// The WebSocket only.
    WebSocket,
}

impl From<Transport> for Choice {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Quic => Self::Quic,
            Transport::WebSocket => Self::WebSocket,
        }
    }
}

/// A port of the gateway whose users reach one target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forward {
    /// Its name in logs.
    pub name: String,
    /// `ip:port` of the gateway.
    pub listen: String,
    /// `host:port` as seen from the client.
    pub target: String,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// How the target is told the user's address; TCP only.
    pub proxy_header: Option<ProxyHeader>,
    /// Ends a connection on which nothing moved for so long; for UDP the life of an idle flow.
    pub idle_timeout: Option<Duration>,
    /// Ends a connection whose receiver took nothing for so long; TCP only.
    pub stall_timeout: Option<Duration>,
}

/// A version of the PROXY protocol (HAProxy's `proxy-protocol.txt`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// Bounds of time and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the first packet to Welcome; and from an Open to its answer.
    pub proxy_timeout: Duration,
    /// Bytes that stalled streams may hold.
    pub stall_budget: u64,
    /// Bytes that the gateway may send on a new stream before it is granted more.
    pub initial_credit: u64,
    /// The mean of the first pause between two attempts is half of this.
    pub first_pause: Duration,
    /// The longest pause between two attempts.
    pub longest_pause: Duration,
    /// The shortest pause after the gateway refused us: a person has to change something.
    pub refused_pause: Duration,
    /// How old a tunnel may get before it has a successor; `None`: until it is learnt that connections
    /// are cut at some age.
    pub max_tunnel_age: Option<Duration>,
    /// TCP connections that a session may have at once over the WebSocket; at least one.
    pub websocket_connections: usize,
    /// The pause before a refused port is asked for again.
    pub forward_pause: Duration,
    /// How long a UDP flow lives on which nothing moves, unless its forward says otherwise.
    pub flow_idle: Duration,
    /// UDP flows at once.
    pub max_flows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            proxy_timeout: Duration::from_secs(30),
            stall_budget: 256 * 1024 * 1024,
            initial_credit: DEFAULT_CREDIT,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            refused_pause: Duration::from_secs(30),
            max_tunnel_age: None,
            websocket_connections: 4,
            forward_pause: Duration::from_secs(5),
            flow_idle: Duration::from_secs(60),
            max_flows: 4096,
        }
    }
}
