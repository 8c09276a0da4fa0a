//! The binary `anyproxy`, as a library for its tests.
//!
//! ```text
//! cli ──▶ commands ──▶ settings (flags + environment + config) ──▶ gateway, client
//!                 └──▶ certs, password, check, demo
//! failure: one message for a person, and the exit code
//! ```

pub mod certs;
pub mod check;
pub mod cli;
mod client;
mod commands;
pub mod config;
mod demo;
mod failure;
mod files;
mod gateway;
mod logging;
mod password;
pub mod settings;
mod signals;
pub mod values;

pub use commands::run;
pub use demo::DemoError;
pub use failure::{Failure, RunError};
