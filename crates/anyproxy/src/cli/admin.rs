//! Flags of what tells about a process, and of `anyproxy status`.

use std::path::PathBuf;

use clap::Args;

use super::with_fix;
use crate::values::AdminAddress;

/// Flags of a process that can be asked about itself.
#[derive(Debug, Clone, Default, Args)]
pub struct AdminArgs {
    /// Serve metrics and health: a port of loopback, an address, or off [default: off]
    #[arg(
        long, env = "ANYPROXY_ADMIN", value_name = "[IP:]PORT",
        value_parser = with_fix(str::parse::<AdminAddress>)
    )]
    pub admin: Option<AdminAddress>,
    /// The Unix socket of `anyproxy status`, or off [default: in the runtime directory]
    #[arg(long, env = "ANYPROXY_STATUS_SOCKET", value_name = "PATH")]
    pub status_socket: Option<PathBuf>,
}

/// Flags of `anyproxy status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// The Unix socket of the process to ask; may be repeated [default: all of this user]
    #[arg(long, env = "ANYPROXY_STATUS_SOCKET", value_name = "PATH", value_delimiter = ',')]
    pub socket: Vec<PathBuf>,
    /// Show it as JSON, a list with one object for each process (see docs/status.md)
    #[arg(long)]
    pub json: bool,
    /// Show it anew each second, until Ctrl-C
    #[arg(short, long)]
    pub watch: bool,
}
