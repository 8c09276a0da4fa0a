//! What carries a tunnel.

use std::{fmt, str::FromStr};

/// What carries a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// QUIC, RFC 9000.
    Quic,
    /// A WebSocket over TLS, RFC 6455.
    WebSocket,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quic => "quic",
            Self::WebSocket => "ws",
        })
    }
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "quic" => Ok(Self::Quic),
            "ws" => Ok(Self::WebSocket),
            other => Err(format!("unknown transport {other:?}; use quic or ws")),
        }
    }
}
