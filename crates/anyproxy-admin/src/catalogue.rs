//! Every metric, by its name.
//!
//! Names follow the conventions of Prometheus: a prefix, base units, `_total` for counters. `docs/metrics.md` has the
//! same table, which a test compares.

use crate::page::{Family, Kind};

/// Makes a constant of each row; what it means is its documentation too.
macro_rules! families {
    ($($row:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {$(
        #[doc = $help]
        pub const $row: Family =
            Family { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };
    )*};
}

families! {
    BUILD = Gauge "anyproxy_build_info" ["version", "role"]
        "Always 1; its labels say what runs.";
    READY = Gauge "anyproxy_ready" []
        "1 while /readyz says so, else 0.";
    WARNINGS = Counter "anyproxy_log_messages_total" ["level"]
        "Warnings and errors that were logged.";
    TUNNELS = Gauge "anyproxy_tunnels" ["group", "transport"]
        "Tunnels that are up.";
    TUNNELS_MADE = Counter "anyproxy_tunnels_made_total" ["group", "transport"]
        "Tunnels that came up.";
    TUNNELS_ENDED = Counter "anyproxy_tunnels_ended_total" ["transport", "by", "reason"]
        "Tunnels that ended, by who ended them (here, peer, network) and why.";
    SENT_BYTES = Counter "anyproxy_tunnel_sent_bytes_total" ["group", "transport"]
        "Bytes sent into tunnels, with what the transport needs itself.";
    RECEIVED_BYTES = Counter "anyproxy_tunnel_received_bytes_total" ["group", "transport"]
        "Bytes received from tunnels, likewise.";
    SENT_PACKETS = Counter "anyproxy_tunnel_sent_packets_total" ["group", "transport"]
        "Packets sent into tunnels; QUIC only.";
    LOST_PACKETS = Counter "anyproxy_tunnel_lost_packets_total" ["group", "transport"]
        "Of these, packets found lost.";
    TUNNEL_DATAGRAMS_DROPPED = Counter "anyproxy_tunnel_dropped_datagrams_total" ["group", "transport"]
        "Datagrams of UDP flows that found no room or no flow in a tunnel at this end.";
    RTT = Gauge "anyproxy_rtt_seconds" ["group", "of"]
        "Round-trip time of the sessions of a group: min, median and max of them.";
    LOSS = Gauge "anyproxy_packet_loss_ratio" ["group", "of"]
        "Packets found lost since the tunnel came up, of those sent: min, median and max of the QUIC sessions of a group.";
    CONNECTIONS = Gauge "anyproxy_connections" ["group"]
        "Live proxied connections.";
    FLOWS = Gauge "anyproxy_flows" ["group"]
        "Live UDP flows.";
    STALLED = Gauge "anyproxy_stalled_bytes" ["group"]
        "Bytes that stalled connections may hold, as an upper bound.";
    OPENS = Counter "anyproxy_opens_total" ["ingress", "code"]
        "Connections that were asked for, by where they came in and what became of them.";
    OPEN_SECONDS = Histogram "anyproxy_open_duration_seconds" []
        "Time until the target was connected, of those that were.";
    DATAGRAMS_DROPPED = Counter "anyproxy_flow_dropped_datagrams_total" ["reason"]
        "Datagrams of UDP flows that were dropped here, outside tunnels.";
    SESSIONS = Gauge "anyproxy_sessions" ["group", "transport"]
        "Live sessions, by what carries their new connections.";
    MOVES = Gauge "anyproxy_session_moves" ["group"]
        "Moves from one tunnel to another, of the sessions that live.";
    HANDSHAKES_FAILED = Counter "anyproxy_handshakes_failed_total" ["code"]
        "Handshakes of clients that led to no session, by reason.";
    USERS = Counter "anyproxy_user_connections_total" []
        "Connections of users that were accepted.";
    TURNED_AWAY = Counter "anyproxy_user_connections_turned_away_total" []
        "Connections of users that were closed at once, since their address had all that it may have.";
    LOGINS_FAILED = Counter "anyproxy_user_logins_failed_total" ["reason"]
        "Log-ins of proxy users over HTTP and SOCKS5 that failed: wrong, or busy when not even checked.";
    ACCEPT_FAILURES = Counter "anyproxy_accept_failures_total" []
        "Accepts that failed; each makes its listener pause.";
    FLOWS_OPENED = Counter "anyproxy_flows_opened_total" []
        "UDP flows that were opened.";
    DATAGRAMS_RECEIVED = Counter "anyproxy_flow_received_datagrams_total" []
        "Datagrams that came from users, whatever became of them.";
    DATAGRAMS_SENT = Counter "anyproxy_flow_sent_datagrams_total" []
        "Datagrams that were sent to users.";
    PORTS = Gauge "anyproxy_forwarded_ports" ["group", "protocol"]
        "Forwarded ports that are open.";
    PASSWORD_HASHES = Counter "anyproxy_password_hashes_total" []
        "Runs of Argon2id for passwords that people chose.";
    CERTIFICATE = Gauge "anyproxy_certificate_expiry_timestamp_seconds" ["certificate"]
        "When a certificate expires, in seconds since 1970.";
    CLIENT_SESSIONS = Gauge "anyproxy_client_sessions" ["transport"]
        "Sessions that are up, by what carries their new connections.";
    CLIENT_SESSIONS_MADE = Counter "anyproxy_client_sessions_made_total" []
        "Sessions that came up; more than one for each replica are reconnects.";
    CLIENT_MOVES = Counter "anyproxy_client_moves_total" []
        "Moves of a session from one tunnel to another.";
    CLIENT_FAILURES = Counter "anyproxy_client_failures_total" ["code"]
        "Why there was no session, by the gateway's code, or unreachable.";
    CLIENT_FORWARDS = Gauge "anyproxy_client_forwards" ["state"]
        "Forwards, by how far they are: requested, open, refused.";
    CLIENT_UNREACHABLE = Counter "anyproxy_client_unreachable_targets_total" []
        "How often the network said that the target of a UDP flow is not there.";
    CPU = Counter "process_cpu_seconds_total" []
        "CPU time of the process, user and system.";
    MEMORY = Gauge "process_resident_memory_bytes" []
        "Memory of the process that is resident.";
    OPEN_FDS = Gauge "process_open_fds" []
        "Open file descriptors.";
    MAX_FDS = Gauge "process_max_fds" []
        "File descriptors that there may be.";
    THREADS = Gauge "process_threads" []
        "Threads of the process.";
    STARTED = Gauge "process_start_time_seconds" []
        "When the process started, in seconds since 1970.";
}

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
    LOGINS_FAILED,
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
