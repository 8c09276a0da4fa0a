//! What `anyproxy status --json` shows. The shape is documented in `docs/status.md` and stays: fields may be
//! added, none is renamed or removed while [`SHAPE`] is the same.
//!
//! Times (`…_at`) are seconds since 1970, durations (`…_seconds`) seconds, sizes bytes.

use serde::{Deserialize, Serialize};

/// The number of the shape.
pub const SHAPE: u32 = 1;

/// One process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// [`SHAPE`].
    pub shape: u32,
    /// `gateway` or `client`.
    pub role: String,
    /// Name and version of the program.
    pub software: String,
    /// The process.
    pub pid: u32,
    /// When it started.
    pub started_at: u64,
    /// When this was asked.
    pub at: u64,
    /// What it has used of the processors, in seconds, if the system tells.
    pub cpu_seconds: Option<f64>,
    /// Whether it can serve, as `/readyz` says.
    pub ready: bool,
    /// Why not.
    pub not_ready: Option<String>,
    /// Where a gateway listens.
    pub listeners: Vec<Listener>,
    /// Sessions; a client's own, one for each replica that has one.
    pub sessions: Vec<Session>,
    /// A client's forwards, or the forwarded ports that a gateway has open.
    pub forwards: Vec<Forward>,
    /// A gateway's certificates.
    pub certificates: Vec<Certificate>,
    /// Why a client was last not connected.
    pub last_failure: Option<Failure>,
    /// The latest warnings and errors of the log, the oldest first.
    pub messages: Vec<Message>,
}

/// Where it listens.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Listener {
    /// `tunnels`, `http`, `https`, `socks5`, `mixed`, `admin`.
    pub name: String,
    /// The address.
    pub address: String,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// As logs name it at both ends.
    pub id: String,
    /// Its group.
    pub group: String,
    /// Its client.
    pub client: String,
    /// Which of the client's sessions it is.
    pub replica: u64,
    /// The other end.
    pub peer: String,
    /// `quic` or `ws`: what carries new connections.
    pub transport: String,
    /// Why that; a client knows.
    pub why: Option<String>,
    /// `up`; at a gateway also `silent` (nothing was heard from the client when it was last asked) and `leaving`.
    pub state: String,
    /// For how long its tunnel is up.
    pub since_seconds: f64,
    /// The round-trip time, once it is measured.
    pub rtt_seconds: Option<f64>,
    /// Packets found lost of those sent; QUIC only.
    pub loss_ratio: Option<f64>,
    /// Bytes sent so far.
    pub sent_bytes: u64,
    /// Bytes received so far.
    pub received_bytes: u64,
    /// Bytes sent in a second, now. `anyproxy status` works it out from two answers.
    pub sending_bytes_per_second: Option<f64>,
    /// Bytes received in a second, likewise.
    pub receiving_bytes_per_second: Option<f64>,
    /// Live connections and flows.
    pub connections: usize,
    /// How often it moved from one tunnel to another.
    pub moves: u64,
    /// Bytes that stalled connections may hold, as an upper bound.
    pub stalled_bytes: u64,
}

/// A forwarded port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Forward {
    /// Its name; a client knows.
    pub name: Option<String>,
    /// The group that has it.
    pub group: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The gateway's address: where it is open, or where it was asked for.
    pub listen: String,
    /// Where it leads; a client knows.
    pub target: Option<String>,
    /// `open`, `requested`, `refused`, or `waiting` while there is no session.
    pub state: String,
    /// Why it was refused.
    pub error: Option<String>,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Certificate {
    /// What it is for: `tunnels` or `https`.
    pub name: String,
    /// When it expires.
    pub expires_at: i64,
}

/// Why there was no session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// When.
    pub at: u64,
    /// For people, with the fix where there is one.
    pub text: String,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Message {
    /// When it was last logged.
    pub at: u64,
    /// `warning` or `error`.
    pub level: String,
    /// The message with its fields.
    pub text: String,
    /// How often in a row.
    pub times: u64,
}
