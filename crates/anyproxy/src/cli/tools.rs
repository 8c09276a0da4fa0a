//! Flags of the commands that run no service.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::with_fix;
use crate::values::{HostPort, duration, group_name, size};

/// Flags of `anyproxy certs`.
#[derive(Debug, Clone, Args)]
pub struct CertsCommandArgs {
    /// Only show what is there, with the pin; without --dir also that of a gateway without a file
    #[arg(long, conflicts_with_all = ["name", "group"])]
    pub show: bool,
    /// What to make.
    #[command(flatten)]
    pub make: CertsArgs,
}

/// What `anyproxy certs` makes, and where.
#[derive(Debug, Clone, Args)]
pub struct CertsArgs {
    /// The directory for keys, certificates and secrets
    #[arg(long, value_name = "DIR", default_value = "certs")]
    pub dir: PathBuf,
    /// A DNS name or IP address at which clients reach the gateway; may be repeated [default: those
    /// of the certificate that is renewed, else localhost, 127.0.0.1, ::1 and the host's name]
    #[arg(long, value_name = "NAME")]
    pub name: Vec<String>,
    /// Also generate a secret for this group, in NAME.secret; may be repeated
    #[arg(long, value_name = "NAME", value_parser = with_fix(group_name))]
    pub group: Vec<String>,
}

/// Flags of `anyproxy hash-password`.
#[derive(Debug, Clone, Args)]
pub struct HashPasswordArgs {
    /// Generate a secret, and print it with what the gateway needs to check it
    #[arg(long, conflicts_with = "verifier")]
    pub generate: bool,
    /// Read a generated secret instead of a password, and print what the gateway needs to check it
    #[arg(long)]
    pub verifier: bool,
}

/// Whose configuration a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// For `anyproxy gateway`.
    Gateway,
    /// For `anyproxy client`.
    Client,
}

/// Flags of `anyproxy check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Whose files they are [default: seen from their keys]
    #[arg(long)]
    pub kind: Option<Kind>,
    /// The configuration files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Flags of `anyproxy health`.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// What must answer: the HTTP proxy or the tunnels' port of a gateway, or a port that a client
    /// forwards
    #[arg(
        env = "ANYPROXY_HEALTH", value_name = "HOST:PORT", default_value = "127.0.0.1:8088",
        value_delimiter = ',', value_parser = with_fix(str::parse::<HostPort>)
    )]
    pub addresses: Vec<HostPort>,
    /// How long the answers may take together, in seconds or with a unit
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = with_fix(duration))]
    pub timeout: Duration,
}

/// Flags of `anyproxy demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Exit after the table instead of staying up
    #[arg(long)]
    pub once: bool,
    /// How much to move through each ingress and transport
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = with_fix(size))]
    pub size: u64,
}

/// Flags of `anyproxy completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Flags of `anyproxy man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Write a page for each command into this directory, which is made if need be
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
