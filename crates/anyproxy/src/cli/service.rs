//! Flags of `anyproxy service`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Kind;

/// Flags of `anyproxy service`.
#[derive(Debug, Clone, Args)]
pub struct ServiceArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ServiceCommand,
}

/// What to do with a service.
#[derive(Debug, Clone, Subcommand)]
pub enum ServiceCommand {
    /// Write the units of a gateway or a client, and start them if there is a configuration
    Install(ServiceFlags),
    /// Stop the units and remove them; configuration and data stay
    Uninstall(ServiceFlags),
    /// Say which units are there, and whether they run
    Status(ServiceFlags),
}

/// Flags of each of them.
#[derive(Debug, Clone, Args)]
pub struct ServiceFlags {
    /// Which side
    pub side: Kind,
    /// A service of your own instead of the system's
    #[arg(long)]
    pub user: bool,
    /// Work on the files below this directory, and start nothing; for images and packages
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Print what would be done
    #[arg(long)]
    pub dry_run: bool,
}
