//! Settings that are one of a few words.

use anyproxy_transport::Congestion;
use clap::ValueEnum;

use crate::config::Problem;

/// Which transports a gateway serves. Both share one port number: UDP for QUIC, TCP for the
/// WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum GatewayTransport {
    /// QUIC only.
    Quic,
    /// WebSocket over TLS only.
    Ws,
    /// Both on the same port number.
    #[default]
    Both,
}

/// Which transport a client dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ClientTransport {
    /// QUIC where UDP passes, else the WebSocket; it moves between them while connected.
    #[default]
    Auto,
    /// QUIC over UDP only: best on lossy links.
    Quic,
    /// WebSocket over TLS only.
    Ws,
}

/// What decides how fast a tunnel sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum CongestionControl {
    /// By rate and delay: fast on lossy links, short queues.
    #[default]
    Bbr,
    /// By loss (RFC 9438), as TCP does on most systems.
    Cubic,
}

impl From<CongestionControl> for Congestion {
    fn from(control: CongestionControl) -> Self {
        match control {
            CongestionControl::Bbr => Self::Bbr,
            CongestionControl::Cubic => Self::Cubic,
        }
    }
}

/// How a client proves that it belongs to its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Method {
    /// A generated secret, which never crosses the wire.
    #[default]
    Secret,
    /// A password that a person chose, sent inside TLS and kept hashed by the gateway.
    Password,
    /// The client's certificate, shown in TLS.
    Certificate,
    /// A key that was enrolled; it comes with a token and is not to be chosen.
    #[value(skip)]
    Key,
}

/// What a forwarded port carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ValueEnum)]
pub enum ForwardProtocol {
    /// Connections.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
}

/// The version of the PROXY protocol with which a target is told the user's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProxyProtocol {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// How a trusted reverse proxy tells where a client comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TrustedHeader {
    /// A header of the PROXY protocol at the start of the connection.
    ProxyProtocol,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For`.
    XForwardedFor,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// One line of text for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// When a log file is followed by a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogRotation {
    /// Each hour (UTC).
    Hourly,
    /// Each day (UTC).
    #[default]
    Daily,
    /// Never: the file grows until something else rotates it.
    Never,
}

/// Reads one of the words of `T`.
///
/// # Errors
///
/// [`Problem::NoSuchChoice`] names the words there are.
pub fn choice<T: ValueEnum>(text: &str) -> Result<T, Problem> {
    T::from_str(text, false).map_err(|_| Problem::NoSuchChoice {
        text: text.into(),
        choices: T::value_variants()
            .iter()
            .filter_map(|value| value.to_possible_value())
            .map(|value| value.get_name().to_owned())
            .collect(),
    })
}
