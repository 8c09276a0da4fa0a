//! Flags of `anyproxy doctor`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ClientArgs, GatewayArgs};

/// Flags of `anyproxy doctor`.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DoctorArgs {
    /// The configuration file of the gateway or client; its keys tell which
    #[arg(short, long, env = "ANYPROXY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON (see docs/doctor.md)
    #[arg(long)]
    pub json: bool,
    /// Whose settings these are, when it is not to be seen from a file.
    #[command(subcommand)]
    pub role: Option<DoctorRole>,
}

/// Whose settings are looked at.
#[derive(Debug, Clone, Subcommand)]
pub enum DoctorRole {
    /// Check a gateway, given the flags of `anyproxy gateway`
    Gateway(Box<DoctorGatewayArgs>),
    /// Check a client, given the flags of `anyproxy client`
    Client(Box<DoctorClientArgs>),
}

/// Flags of `anyproxy doctor gateway`.
#[derive(Debug, Clone, Args)]
pub struct DoctorGatewayArgs {
    /// Those of `anyproxy gateway`.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// Print JSON (see docs/doctor.md)
    #[arg(long)]
    pub json: bool,
}

/// Flags of `anyproxy doctor client`.
#[derive(Debug, Clone, Args)]
pub struct DoctorClientArgs {
    /// Those of `anyproxy client`.
    #[command(flatten)]
    pub client: ClientArgs,
    /// Print JSON (see docs/doctor.md)
    #[arg(long)]
    pub json: bool,
}
