//! Metrics, health and status: what a running gateway or client tells about itself.
//!
//! ```text
//! Prometheus, probes ─ TCP ──────────▶ serve ─ /metrics /healthz /readyz ─┐
//! `anyproxy status`  ─ Unix socket ──▶ serve ─ the same and /status ──────┴▶ Subject ─▶ figures
//! ```
//!
//! It reads figures and owns nothing of the data path: it knows neither gateway nor client, which are a
//! [`Subject`] each. Who may ask is decided by the door: the TCP one has no log-in and tells numbers
//! only; names of clients, addresses and the latest warnings are for whoever may open the Unix socket.

mod ask;
pub mod catalogue;
mod page;
mod places;
mod process;
mod recent;
mod server;
pub mod status;

pub use ask::{AskError, ask};
pub use page::{Buckets, Family, Kind, Number, Page};
pub use process::Process;
pub use recent::{Recent, Severity};
pub use server::{Door, Offer, Readiness, Subject, serve};
pub use status::Status;
