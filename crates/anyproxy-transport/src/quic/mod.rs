//! The QUIC arm.
//!
//! ```text
//! connection ─┬─ first bidirectional stream    control frames        (control.rs)
//!             ├─ one for each data stream      Open | raw bytes      (stream.rs)
//!             └─ DATAGRAM frames               flows                 (datagrams.rs)
//! ```

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod closed;
mod config;
mod congestion;
mod control;
mod datagrams;
mod keys;
mod meter;
mod pulse;
mod room;
mod shared;
mod strain;
mod stream;
mod tunnel;
mod window;

use std::time::Duration;

use anyproxy_wire::codes::{CloseCode, StreamCode};
use quinn::{ConnectionError, VarInt};

pub(crate) use closed::closed;
pub(crate) use config::{Limits, client_config, endpoint_config, server_config};
pub use congestion::Congestion;
pub(crate) use keys::{EndpointKeys, gateway_endpoint};
pub(crate) use shared::Shared;
pub(crate) use stream::{QuicIncoming, QuicStream};
pub(crate) use tunnel::{ControlStreams, QuicTunnel};

use crate::error::TunnelError;

/// How long close packets may take to leave. quinn would wait for three probe time-outs.
pub(crate) const FAREWELL: Duration = Duration::from_millis(20);

/// Codes are small; the conversion cannot fail for any of ours.
pub(crate) fn close_varint(code: CloseCode) -> VarInt {
    VarInt::from_u64(code.as_u64()).unwrap_or(VarInt::MAX)
}

pub(crate) fn stream_varint(code: StreamCode) -> VarInt {
    VarInt::from_u64(code.as_u64()).unwrap_or(VarInt::MAX)
}

/// Names the failing side of a lost connection.
pub(crate) fn lost(error: &ConnectionError) -> TunnelError {
    match error {
        ConnectionError::ApplicationClosed(close) => TunnelError::theirs(
            CloseCode::from_u64(close.error_code.into_inner()),
            String::from_utf8_lossy(&close.reason).into_owned(),
        ),
        ConnectionError::TimedOut => TunnelError::PeerDead,
        ConnectionError::Reset => TunnelError::Reset,
        ConnectionError::LocallyClosed => TunnelError::ours(CloseCode::Abandoned, ""),
        ConnectionError::TransportError(error) => TunnelError::Transport(error.to_string()),
        ConnectionError::ConnectionClosed(close) => TunnelError::Transport(close.to_string()),
        ConnectionError::VersionMismatch | ConnectionError::CidsExhausted => {
            TunnelError::Transport(error.to_string())
        }
    }
}
