//! The handshake of `docs/protocol.md`, 4, over either transport.
//!
//! ```text
//! client: Connected ──log_in──▶ Tunnel
//!                   └─enrol───▶ nothing, but the gateway knows its key
//! gateway: Arrival ──greet──▶ Greeting ──challenge──▶ Challenged ──welcome──▶ Tunnel
//!                                 └──refuse           ├──refuse
//!                                                     └──enrolled (no tunnel)
//! ```
//!
//! The gateway's side is a chain of types that own the connection, so no step can be left out and
//! dropping any of them closes it.

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

mod client;
mod enrol;
mod gateway;
mod pipe;

pub use client::{JoinKey, Login, LoginError, Method};
pub use enrol::Enrolment;
pub use gateway::{Challenged, Greeting, TunnelLimits};
pub(crate) use pipe::{Pipe, QuicPipe, WsPipe};

/// What each end says that it is.
const SOFTWARE: &str = concat!("anyproxy/", env!("CARGO_PKG_VERSION"));
