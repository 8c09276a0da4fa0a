//! The private side of AnyProxy.
//!
//! ```text
//! gateway ◀══ tunnel ══ session ◀─ Open ─ connection ─▶ egress (policy, resolve, dial) ─▶ target
//! ```
//!
//! [`Client::start`] keeps a session with its gateway up for ever; [`Client::shutdown`] ends it in
//! order.

mod client;
mod config;
mod connection;
pub mod egress;
mod flow;
mod session;
mod state;

pub use client::{Client, Ended, StartError};
pub use config::{ClientConfig, Forward, Limits, ProxyHeader};
pub use state::{ForwardState, State};
