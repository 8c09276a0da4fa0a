//! The bytes and rules of the AnyProxy tunnel, without I/O.
//!
//! Nothing here reads a socket, a clock or a random source: bytes, time and randomness come in as
//! arguments, and what is to be sent comes out as bytes. `docs/protocol.md` is the specification;
//! a test compares its golden bytes with this crate's.
//!
//! ```text
//! bytes ──frame::decode──▶ Frame ──▶ session, mux::Mux ──▶ Frame ──Frame::encode──▶ bytes
//! ```
//!
//! Every decoder takes hostile input: it returns an error or asks for more bytes, and it checks a
//! length before it trusts it.

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

pub mod backoff;
pub mod codes;
pub mod connect_reply;
pub mod credit;
pub mod datagram;
mod error;
pub mod frame;
pub mod handshake;
pub mod heartbeat;
pub mod join_token;
pub mod message;
pub mod mux;
pub mod proxy_header;
pub mod room;
pub mod varint;

pub use error::WireError;
