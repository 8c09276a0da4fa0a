//! The private side of AnyProxy.
//!
//! ```text
//! gateway ◀══ tunnel ══ session ◀─ Open ─ connection ─▶ egress (policy, resolve, dial) ─▶ target
//! ```
//!
//! [`Client::start`] keeps one session with its gateway up for ever, or several (replicas); [`Client::shutdown`] ends it in
//! order.

mod attempts;
mod beside;
mod chosen;
mod client;
mod config;
mod connection;
pub mod egress;
mod failure;
mod flow;
mod former;
mod lanes;
mod notes;
mod path;
mod place;
mod proxy_header;
mod replica;
mod session;
mod state;
mod wake;
mod ways;

pub use client::{Client, Ended, StartError, Watched};
pub use config::{Choice, ClientConfig, Forward, Limits, ProxyHeader};
pub use notes::{ClientFigures, LastFailure, LiveFigures, ReplicaFigures};
pub use state::{ForwardState, State};
