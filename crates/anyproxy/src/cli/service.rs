//! Flags of `anyproxy service`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand};

use super::{Kind, with_fix};
use crate::{
    config::Problem,
    values::{ForwardFlag, HostPort, advertised, listen},
};

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
    /// Write the units of a gateway or a client, and start them if there is what they run from: a configuration, what
    /// a gateway without a file has made, or the identity of a client that joined
    Install(ServiceInstallArgs),
    /// Stop the units and remove them; configuration and data stay
    Uninstall(ServiceUninstallArgs),
    /// Say which units are there, and whether they run; exit code 3 if they are not installed
    Status(ServiceFlags),
}

/// Which service is meant.
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
}

/// Flags of `anyproxy service install`.
#[derive(Debug, Clone, Args)]
pub struct ServiceInstallArgs {
    /// Which service.
    #[command(flatten)]
    pub service: ServiceFlags,
    /// What it runs from when it has no configuration.
    #[command(flatten)]
    pub own: OwnServiceArgs,
    /// Print what would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// Flags of `anyproxy service uninstall`.
#[derive(Debug, Clone, Args)]
pub struct ServiceUninstallArgs {
    /// Which service.
    #[command(flatten)]
    pub service: ServiceFlags,
    /// Print what would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// What a service runs from that has no configuration file. What is left out stays as it was installed.
#[derive(Debug, Clone, Default, Args)]
pub struct OwnServiceArgs {
    /// Gateway without a file: the address at which clients reach it [default: the one with which it ran]
    #[arg(long, value_name = "HOST:PORT", value_parser = with_fix(advertised))]
    pub advertise: Option<HostPort>,
    /// Gateway without a file: where clients connect [default: the port of --advertise]
    #[arg(long, value_name = "IP:PORT", value_parser = with_fix(listen))]
    pub listen: Option<SocketAddr>,
    /// Gateway without a file: take over what it made in this directory [default: what is where the service keeps it]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Client that joined: take over its identity from this directory [default: that of the user who runs this]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Client that joined: what it forwards, as for `anyproxy client`; may be repeated
    #[arg(
        long, value_name = "[udp:][IP:]PORT:HOST:PORT", value_delimiter = ',',
        value_parser = with_fix(forward)
    )]
    pub forward: Vec<String>,
}

/// A forward as it was written, for a unit.
fn forward(text: &str) -> Result<String, Problem> {
    text.parse::<ForwardFlag>().map(|_| text.to_owned())
}
