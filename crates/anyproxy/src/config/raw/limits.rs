//! The `[limits]` of either file.

use serde::Deserialize;
use toml::Spanned;

use super::Text;

/// The `[limits]` of a gateway.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawGatewayLimits {
    /// How long setting a connection up may take.
    pub proxy_timeout: Option<Text>,
    /// How much a session may hold for readers that rest.
    pub stall_budget: Option<Text>,
    /// Live connections in one session.
    pub max_streams: Option<Spanned<i64>>,
    /// How long a stranger may take to say who it is.
    pub handshake_timeout: Option<Text>,
    /// Handshakes of clients under way.
    pub max_handshakes: Option<Spanned<i64>>,
    /// Those of one address.
    pub max_handshakes_per_address: Option<Spanned<i64>>,
    /// Those of QUIC peers that have not proven their addresses.
    pub max_unproven: Option<Spanned<i64>>,
    /// Live sessions.
    pub max_sessions: Option<Spanned<i64>>,
    /// Live connections of users.
    pub max_users: Option<Spanned<i64>>,
    /// Those of one address.
    pub max_users_per_address: Option<Spanned<i64>>,
    /// Forwarded ports of one session.
    pub max_forwards: Option<Spanned<i64>>,
    /// Live UDP flows.
    pub max_flows: Option<Spanned<i64>>,
    /// Those of one forwarded port.
    pub max_port_flows: Option<Spanned<i64>>,
    /// How long a flow lives on which nothing moves.
    pub flow_idle: Option<Text>,
    /// Bytes a second, each way.
    pub bandwidth: Option<Text>,
    /// Silence after which a side sends a Ping.
    pub ping_interval: Option<Text>,
    /// Silence after which a peer is dead.
    pub dead_after: Option<Text>,
}

/// The `[limits]` of a client.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawClientLimits {
    /// How long dialling a target may take.
    pub proxy_timeout: Option<Text>,
    /// How much a session may hold for targets that rest.
    pub stall_budget: Option<Text>,
    /// Live UDP flows.
    pub max_flows: Option<Spanned<i64>>,
    /// How long a flow lives on which nothing moves.
    pub flow_idle: Option<Text>,
    /// The first pause between two attempts to connect.
    pub first_pause: Option<Text>,
    /// The longest one.
    pub longest_pause: Option<Text>,
    /// How old a tunnel may get.
    pub max_tunnel_age: Option<Text>,
}
