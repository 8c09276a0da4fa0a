//! Settings: what the program runs with, complete and checked.
//!
//! ```text
//! flags ─┐
//! env   ─┼─▶ GatewaySettings / ClientSettings ──▶ gateway, client
//! file  ─┘   (or one ConfigError)
//! ```
//!
//! A flag wins over the environment, the environment over the file, the file over the default;
//! for each setting on its own. Files that settings name (certificates, keys, secrets) are read here, so that
//! whatever is wrong with them is found before anything starts, by `check` too. Nothing
//! downstream reads flags, environment or files again.

mod admin;
mod behind;
mod certificate;
mod client;
mod client_ca;
mod data;
mod doors;
mod forwards;
mod gateway;
mod groups;
mod identity;
mod input;
mod joined;
mod limits;
mod log;
mod outside;
mod route;
mod trust;
mod warning;

pub use admin::AdminSettings;
pub use certificate::CertificateSettings;
pub use client::ClientSettings;
pub use data::{DataDir, Premises};
pub use forwards::ForwardSettings;
pub(crate) use gateway::TUNNEL_PORT;
pub use gateway::{GatewaySettings, HttpsSettings};
pub(crate) use input::Strength;
pub use limits::{ClientLimits, GatewayLimits};
pub(crate) use log::filter as log_filter;
pub use log::{LogOutput, LogSettings};
pub use outside::{Outside, Process};
pub(crate) use outside::{READ_FOR_SECRET, secret_from_bytes};
pub use warning::Warning;

/// Settings, and what a person should hear about them although they will do.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The settings.
    pub settings: T,
    /// What is not as it should be.
    pub warnings: Vec<Warning>,
}
