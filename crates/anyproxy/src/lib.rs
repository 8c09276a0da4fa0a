//! The binary `anyproxy`, as a library for its tests.
//!
//! ```text
//! cli ──▶ commands ──▶ settings (flags + environment + config) ──▶ gateway, client
//!                 ├──▶ certs, password, check, health, demo, import, help, service
//!                 └──▶ manage (`group …`) ──▶ store ◀── gateway
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
pub mod groups;
mod health;
mod help;
pub mod import;
mod logging;
mod manage;
mod manager;
mod password;
mod service;
pub mod settings;
mod signals;
pub mod store;
pub mod values;

pub use commands::run;
pub use demo::DemoError;
pub use failure::{Failure, RunError};
pub use health::HealthError;
pub use manage::ManageError;
pub use service::ServiceError;
