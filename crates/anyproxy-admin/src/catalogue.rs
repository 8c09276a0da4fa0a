//! Every metric, by its name.
//!
//! Names follow the conventions of Prometheus: a prefix, base units, `_total` for counters. `docs/metrics.md` has the
//! same table, which a test compares.

use crate::page::{Family, Kind};

/// Always 1; its labels say what runs.
pub const BUILD: Family = Family {
    name: "anyproxy_build_info",
    kind: Kind::Gauge,
    labels: &["version", "role"],
    help: "Always 1; its labels say what runs.",
};

/// 1 while /readyz says so, else 0.
pub const READY: Family = Family {
    name: "anyproxy_ready",
    kind: Kind::Gauge,
    labels: &[],
    help: "1 while /readyz says so, else 0.",
};

/// Warnings and errors that were logged.
pub const WARNINGS: Family = Family {
    name: "anyproxy_log_messages_total",
    kind: Kind::Counter,
    labels: &["level"],
    help: "Warnings and errors that were logged.",
};

/// Tunnels that are up.
pub const TUNNELS: Family = Family {
    name: "anyproxy_tunnels",
    kind: Kind::Gauge,
    labels: &["group", "transport"],
    help: "Tunnels that are up.",
};

/// Tunnels that came up.
pub const TUNNELS_MADE: Family = Family {
    name: "anyproxy_tunnels_made_total",
    kind: Kind::Counter,
    labels: &["group", "transport"],
    help: "Tunnels that came up.",
};

/// Tunnels that ended, by who ended them (here, peer, network) and why.
pub const TUNNELS_ENDED: Family = Family {
    name: "anyproxy_tunnels_ended_total",
    kind: Kind::Counter,
    labels: &["transport", "by", "reason"],
    help: "Tunnels that ended, by who ended them (here, peer, network) and why.",
};

/// Bytes sent into tunnels, with what the transport needs itself.
pub const SENT_BYTES: Family = Family {
    name: "anyproxy_tunnel_sent_bytes_total",
    kind: Kind::Counter,
    labels: &["group", "transport"],
    help: "Bytes sent into tunnels, with what the transport needs itself.",
};

/// Bytes received from tunnels, likewise.
pub const RECEIVED_BYTES: Family = Family {
    name: "anyproxy_tunnel_received_bytes_total",
    kind: Kind::Counter,
    labels: &["group", "transport"],
    help: "Bytes received from tunnels, likewise.",
};

/// Packets sent into tunnels; QUIC only.
pub const SENT_PACKETS: Family = Family {
    name: "anyproxy_tunnel_sent_packets_total",
    kind: Kind::Counter,
    labels: &["group", "transport"],
    help: "Packets sent into tunnels; QUIC only.",
};

/// Of these, packets found lost.
pub const LOST_PACKETS: Family = Family {
    name: "anyproxy_tunnel_lost_packets_total",
    kind: Kind::Counter,
    labels: &["group", "transport"],
    help: "Of these, packets found lost.",
};

/// Datagrams of UDP flows that found no room or no flow in a tunnel at this end.
pub const TUNNEL_DATAGRAMS_DROPPED: Family = Family {
    name: "anyproxy_tunnel_dropped_datagrams_total",
    kind: Kind::Counter,
    labels: &["group", "transport"],
    help: "Datagrams of UDP flows that found no room or no flow in a tunnel at this end.",
};

/// Round-trip time of the sessions of a group: min, median and max of them.
pub const RTT: Family = Family {
    name: "anyproxy_rtt_seconds",
    kind: Kind::Gauge,
    labels: &["group", "of"],
    help: "Round-trip time of the sessions of a group: min, median and max of them.",
};

/// Packets found lost since the tunnel came up, of those sent: min, median and max of the QUIC sessions of a group.
pub const LOSS: Family = Family {
    name: "anyproxy_packet_loss_ratio",
    kind: Kind::Gauge,
    labels: &["group", "of"],
    help: "Packets found lost since the tunnel came up, of those sent: min, median and max of the QUIC sessions of a group.",
};

/// Live proxied connections.
pub const CONNECTIONS: Family = Family {
    name: "anyproxy_connections",
    kind: Kind::Gauge,
    labels: &["group"],
    help: "Live proxied connections.",
};

/// Live UDP flows.
pub const FLOWS: Family = Family {
    name: "anyproxy_flows",
    kind: Kind::Gauge,
    labels: &["group"],
    help: "Live UDP flows.",
};

/// Bytes that stalled connections may hold, as an upper bound.
pub const STALLED: Family = Family {
    name: "anyproxy_stalled_bytes",
    kind: Kind::Gauge,
    labels: &["group"],
    help: "Bytes that stalled connections may hold, as an upper bound.",
};

/// Connections that were asked for, by where they came in and what became of them.
pub const OPENS: Family = Family {
    name: "anyproxy_opens_total",
    kind: Kind::Counter,
    labels: &["ingress", "code"],
    help: "Connections that were asked for, by where they came in and what became of them.",
};

/// Time until the target was connected, of those that were.
pub const OPEN_SECONDS: Family = Family {
    name: "anyproxy_open_duration_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "Time until the target was connected, of those that were.",
};

/// Datagrams of UDP flows that were dropped here, outside tunnels.
pub const DATAGRAMS_DROPPED: Family = Family {
    name: "anyproxy_flow_dropped_datagrams_total",
    kind: Kind::Counter,
    labels: &["reason"],
    help: "Datagrams of UDP flows that were dropped here, outside tunnels.",
};

/// Live sessions, by what carries their new connections.
pub const SESSIONS: Family = Family {
    name: "anyproxy_sessions",
    kind: Kind::Gauge,
    labels: &["group", "transport"],
    help: "Live sessions, by what carries their new connections.",
};

/// Moves from one tunnel to another, of the sessions that live.
pub const MOVES: Family = Family {
    name: "anyproxy_session_moves",
    kind: Kind::Gauge,
    labels: &["group"],
    help: "Moves from one tunnel to another, of the sessions that live.",
};

/// Handshakes of clients that led to no session, by reason.
pub const HANDSHAKES_FAILED: Family = Family {
    name: "anyproxy_handshakes_failed_total",
    kind: Kind::Counter,
    labels: &["code"],
    help: "Handshakes of clients that led to no session, by reason.",
};

/// Connections of users that were accepted.
pub const USERS: Family = Family {
    name: "anyproxy_user_connections_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Connections of users that were accepted.",
};

/// Connections of users that were closed at once, since their address had all that it may have.
pub const TURNED_AWAY: Family = Family {
    name: "anyproxy_user_connections_turned_away_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Connections of users that were closed at once, since their address had all that it may have.",
};

/// Accepts that failed; each makes its listener pause.
pub const ACCEPT_FAILURES: Family = Family {
    name: "anyproxy_accept_failures_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Accepts that failed; each makes its listener pause.",
};

/// UDP flows that were opened.
pub const FLOWS_OPENED: Family = Family {
    name: "anyproxy_flows_opened_total",
    kind: Kind::Counter,
    labels: &[],
    help: "UDP flows that were opened.",
};

/// Datagrams that came from users, whatever became of them.
pub const DATAGRAMS_RECEIVED: Family = Family {
    name: "anyproxy_flow_received_datagrams_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Datagrams that came from users, whatever became of them.",
};

/// Datagrams that were sent to users.
pub const DATAGRAMS_SENT: Family = Family {
    name: "anyproxy_flow_sent_datagrams_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Datagrams that were sent to users.",
};

/// Forwarded ports that are open.
pub const PORTS: Family = Family {
    name: "anyproxy_forwarded_ports",
    kind: Kind::Gauge,
    labels: &["group", "protocol"],
    help: "Forwarded ports that are open.",
};

/// Runs of Argon2id for passwords that people chose.
pub const PASSWORD_HASHES: Family = Family {
    name: "anyproxy_password_hashes_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Runs of Argon2id for passwords that people chose.",
};

/// When a certificate expires, in seconds since 1970.
pub const CERTIFICATE: Family = Family {
    name: "anyproxy_certificate_expiry_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["certificate"],
    help: "When a certificate expires, in seconds since 1970.",
};

/// Sessions that are up, by what carries their new connections.
pub const CLIENT_SESSIONS: Family = Family {
    name: "anyproxy_client_sessions",
    kind: Kind::Gauge,
    labels: &["transport"],
    help: "Sessions that are up, by what carries their new connections.",
};

/// Sessions that came up; more than one for each replica are reconnects.
pub const CLIENT_SESSIONS_MADE: Family = Family {
    name: "anyproxy_client_sessions_made_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Sessions that came up; more than one for each replica are reconnects.",
};

/// Moves of a session from one tunnel to another.
pub const CLIENT_MOVES: Family = Family {
    name: "anyproxy_client_moves_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Moves of a session from one tunnel to another.",
};

/// Why there was no session, by the gateway's code, or unreachable.
pub const CLIENT_FAILURES: Family = Family {
    name: "anyproxy_client_failures_total",
    kind: Kind::Counter,
    labels: &["code"],
    help: "Why there was no session, by the gateway's code, or unreachable.",
};

/// Forwards, by how far they are: requested, open, refused.
pub const CLIENT_FORWARDS: Family = Family {
    name: "anyproxy_client_forwards",
    kind: Kind::Gauge,
    labels: &["state"],
    help: "Forwards, by how far they are: requested, open, refused.",
};

/// How often the network said that the target of a UDP flow is not there.
pub const CLIENT_UNREACHABLE: Family = Family {
    name: "anyproxy_client_unreachable_targets_total",
    kind: Kind::Counter,
    labels: &[],
    help: "How often the network said that the target of a UDP flow is not there.",
};

/// CPU time of the process, user and system.
pub const CPU: Family = Family {
    name: "process_cpu_seconds_total",
    kind: Kind::Counter,
    labels: &[],
    help: "CPU time of the process, user and system.",
};

/// Memory of the process that is resident.
pub const MEMORY: Family = Family {
    name: "process_resident_memory_bytes",
    kind: Kind::Gauge,
    labels: &[],
    help: "Memory of the process that is resident.",
};

/// Open file descriptors.
pub const OPEN_FDS: Family = Family {
    name: "process_open_fds",
    kind: Kind::Gauge,
    labels: &[],
    help: "Open file descriptors.",
};

/// File descriptors that there may be.
pub const MAX_FDS: Family = Family {
    name: "process_max_fds",
    kind: Kind::Gauge,
    labels: &[],
    help: "File descriptors that there may be.",
};

/// Threads of the process.
pub const THREADS: Family = Family {
    name: "process_threads",
    kind: Kind::Gauge,
    labels: &[],
    help: "Threads of the process.",
};

/// When the process started, in seconds since 1970.
pub const STARTED: Family = Family {
    name: "process_start_time_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "When the process started, in seconds since 1970.",
};

/// What a gateway and a client have.
pub const COMMON: &[Family] = &[
    BUILD,
    READY,
    WARNINGS,
    TUNNELS,
    TUNNELS_MADE,
    TUNNELS_ENDED,
    SENT_BYTES,
    RECEIVED_BYTES,
    SENT_PACKETS,
    LOST_PACKETS,
    TUNNEL_DATAGRAMS_DROPPED,
    RTT,
    LOSS,
    CONNECTIONS,
    FLOWS,
    STALLED,
    OPENS,
    OPEN_SECONDS,
    DATAGRAMS_DROPPED,
];

/// What only a gateway has.
pub const GATEWAY: &[Family] = &[
    SESSIONS,
    MOVES,
    HANDSHAKES_FAILED,
    USERS,
    TURNED_AWAY,
    ACCEPT_FAILURES,
    FLOWS_OPENED,
    DATAGRAMS_RECEIVED,
    DATAGRAMS_SENT,
    PORTS,
    PASSWORD_HASHES,
    CERTIFICATE,
];

/// What only a client has.
pub const CLIENT: &[Family] = &[
    CLIENT_SESSIONS,
    CLIENT_SESSIONS_MADE,
    CLIENT_MOVES,
    CLIENT_FAILURES,
    CLIENT_FORWARDS,
    CLIENT_UNREACHABLE,
];

/// What every process on Linux has.
pub const PROCESS: &[Family] = &[CPU, MEMORY, OPEN_FDS, MAX_FDS, THREADS, STARTED];
