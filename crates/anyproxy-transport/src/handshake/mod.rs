//! The handshake of `docs/protocol.md`, 4, over either transport.
//!
//! ```text
//! client: Connected ──log_in──▶ Tunnel
//! gateway: Arrival ──greet──▶ Greeting ──challenge──▶ Challenged ──welcome──▶ Tunnel
//!                                 └──refuse           └──refuse
//! ```
//!
//! The gateway's side is a chain of types that own the connection, so no step can be left out and
//! dropping any of them closes it.

mod client;
mod gateway;
mod pipe;

pub use client::{JoinKey, Login, LoginError, Method};
pub use gateway::{Challenged, Greeting, TunnelLimits};
pub(crate) use pipe::{Pipe, QuicPipe, WsPipe};
