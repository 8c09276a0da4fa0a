//! The binary `anyproxy`, as a library for its tests.
//!
//! ```text
//! cli ──▶ commands ──▶ settings (flags + environment + config) ──▶ gateway, client
//!   (join: a token ──▶ a client's key; own: a gateway without a file)
//!                 ├──▶ certs, password, check, doctor, health, demo, bench, status ──▶ admin of another process
//!                 ├──▶ import, help, service
//!                 └──▶ manage (`group …`) ──▶ store ◀── gateway
//! admin: gateway and client ──▶ metrics, health, status
//! failure: one message for a person, and the exit code
//! ```

mod admin;
mod bench;
pub mod certs;
pub mod check;
pub mod cli;
mod client;
mod commands;
pub mod config;
mod demo;
pub mod doctor;
mod failure;
mod files;
mod gateway;
pub mod groups;
mod health;
mod help;
pub mod import;
pub mod join;
mod logging;
mod manage;
mod manager;
mod own;
mod password;
mod service;
pub mod settings;
mod signals;
mod status;
pub mod store;
pub mod values;
mod watched;

pub use admin::AdminError;
pub use bench::BenchError;
pub use commands::run;
pub use demo::DemoError;
pub use failure::{Failure, RunError};
pub use health::HealthError;
pub use join::JoinError;
pub use manage::ManageError;
pub use own::OwnError;
pub use service::ServiceError;
pub use status::StatusError;
