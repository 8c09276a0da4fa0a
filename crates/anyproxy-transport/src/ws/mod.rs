//! The WebSocket arm.
//!
//! ```text
//! streams ──▶ Mux (behind one lock) ──▶ driver task ──▶ WebSocket ──▶ TLS ──▶ TCP
//!         ◀── events, wakers        ◀──             ◀──
//! ```
//!
//! One task per tunnel moves messages both ways; it never waits in one direction while the other
//! could go on. All rules of the mux live in `anyproxy-wire`, without I/O.

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
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "what is not expected here is an error, also what a later version adds"
)]

mod driver;
mod heard;
mod pulse;
mod shared;
mod stream;
mod tunnel;
mod upgrade;
mod wire;

use anyproxy_wire::{
    codes::CloseCode,
    frame::{MAX_HANDSHAKE, MAX_MESSAGE},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode as WsCode},
    },
};

pub(crate) use heard::Heard;
pub(crate) use shared::Shared;
pub(crate) use stream::WsStream;
pub(crate) use tunnel::WsTunnel;
pub(crate) use upgrade::{Door, accept, connect};
pub(crate) use wire::Wire;

use crate::error::TunnelError;

/// A WebSocket over TLS, or over a Unix socket.
pub(crate) type Socket = WebSocketStream<Wire>;

/// The sub-protocol of `docs/protocol.md`, 1.
pub(crate) const SUBPROTOCOL: &str = "anyproxy.v1";

/// Close codes are private ones from here on (RFC 6455, 7.4.2).
const CLOSE_BASE: u16 = 4000;

/// Bytes gathered before a write; the driver flushes whenever it runs out of frames.
const WRITE_BUFFER: usize = 128 * 1024;

/// Bytes that may wait for the kernel. One message more than the write buffer is enough.
const MAX_WRITE_BUFFER: usize = WRITE_BUFFER + 2 * MAX_MESSAGE;

/// Bytes that a stranger's message may have: a handshake frame with its header.
const STRANGER_MESSAGE: usize = MAX_HANDSHAKE + 16;

/// Until Welcome the gateway holds little for a stranger; tungstenite reserves what a frame's header
/// claims.
pub(crate) fn stranger_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(STRANGER_MESSAGE)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * STRANGER_MESSAGE)
        .max_message_size(Some(STRANGER_MESSAGE))
        .max_frame_size(Some(STRANGER_MESSAGE))
}

/// Widens the limits of a stranger that is none any more. It waits for Welcome, so nothing that it sent
/// is in the old buffers; what a hostile one sent all the same is lost with them.
pub(crate) async fn widen(socket: Socket) -> Socket {
    WebSocketStream::from_raw_socket(socket.into_inner(), Role::Server, Some(config())).await
}

pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(64 * 1024)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

pub(crate) fn close_frame(code: CloseCode, reason: &str) -> CloseFrame {
    let code = u16::try_from(code.as_u64()).unwrap_or_default();
    // A control frame holds 125 bytes, two of them the code (RFC 6455, 5.5).
    let cut = (0..=reason.len().min(120)).rev().find(|cut| reason.is_char_boundary(*cut));
    let reason = reason.get(..cut.unwrap_or(0)).unwrap_or_default();
    CloseFrame { code: WsCode::from(CLOSE_BASE.saturating_add(code)), reason: reason.into() }
}

/// What a received Close frame says.
pub(crate) fn closed(frame: Option<&CloseFrame>) -> TunnelError {
    let Some(frame) = frame else { return TunnelError::theirs(CloseCode::Abandoned, "") };
    match u16::from(frame.code).checked_sub(CLOSE_BASE) {
        Some(code) => {
            TunnelError::theirs(CloseCode::from_u64(code.into()), frame.reason.to_string())
        }
        None => {
            TunnelError::theirs(CloseCode::Abandoned, format!("{} {}", frame.code, frame.reason))
        }
    }
}

/// Names the failing side of a broken WebSocket.
pub(crate) fn broken(error: &tungstenite::Error) -> TunnelError {
    use tungstenite::{Error, error::CapacityError};
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            TunnelError::ours(CloseCode::TooLarge, error.to_string())
        }
        Error::ConnectionClosed | Error::AlreadyClosed => {
            TunnelError::theirs(CloseCode::Abandoned, "")
        }
        Error::Io(io) if io.kind() == std::io::ErrorKind::TimedOut => TunnelError::PeerDead,
        other => TunnelError::Transport(other.to_string()),
    }
}
