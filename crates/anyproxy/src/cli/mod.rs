//! The command line.
//!
//! Each flag that stands for a setting has an environment variable, shown in `--help`. No flag
//! takes a secret: whatever is on a command line is seen by every user of the machine. The one exception is
//! `--join`, whose token is void once it was used, and after ten minutes.

mod admin;
mod bench;
mod client;
mod doctor;
mod gateway;
mod group;
mod import;
mod join;
mod service;
mod tools;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use admin::{AdminArgs, StatusArgs};
pub use bench::BenchArgs;
pub use client::{ClientArgs, ClientCommand};
pub use doctor::{DoctorArgs, DoctorClientArgs, DoctorGatewayArgs, DoctorRole};
pub use gateway::GatewayArgs;
pub use group::{
    GroupAddArgs, GroupArgs, GroupCommand, GroupListArgs, GroupPasswdArgs, GroupRemoveArgs,
    GroupSecretArgs, GroupSetArgs, SecretOutArgs, ShareArgs,
};
pub use import::{Foreign, ImportArgs};
pub use join::{
    ClientRevokeArgs, JoinArgs, RollCommand, RollListArgs, StoreArgs, TokenArgs, TokenCommand,
    TokenCreateArgs, TokenRevokeArgs, TokenText,
};
pub use service::{
    OwnServiceArgs, ServiceArgs, ServiceCommand, ServiceFlags, ServiceInstallArgs,
    ServiceUninstallArgs,
};
pub use tools::{
    CertsArgs, CertsCommandArgs, CheckArgs, CompletionsArgs, DemoArgs, HashPasswordArgs,
    HealthArgs, Kind, ManArgs,
};

use crate::{config::Problem, settings::log_filter, values::LogFormat};

/// Reach private services through a public gateway, over QUIC or a WebSocket.
#[derive(Debug, Parser)]
#[command(name = "anyproxy", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// Logging.
    #[command(flatten)]
    pub log: LogArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a gateway: clients connect to it, users reach their services through it
    Gateway(GatewayArgs),
    /// Run a client: connect private services to a gateway
    Client(Box<ClientCommand>),
    /// Manage groups of a gateway, while it runs or not
    Group(GroupArgs),
    /// Let clients join a gateway with tokens
    Token(TokenArgs),
    /// Make the gateway's own CA and certificate, and secrets of groups
    Certs(CertsCommandArgs),
    /// Make a secret or the hash of a password for the gateway's configuration
    HashPassword(HashPasswordArgs),
    /// Check configuration files without starting anything
    Check(CheckArgs),
    /// Show sessions, transports, forwards and the latest warnings of what runs here
    Status(StatusArgs),
    /// Find out what is wrong with a gateway or a client, and what repairs it
    Doctor(DoctorArgs),
    /// Turn configurations of AnyProxy (Go), frp or rathole into ours
    Import(ImportArgs),
    /// Ask whether a gateway, or what a client forwards, answers; for health checks
    Health(HealthArgs),
    /// Run a gateway, a client and a target in one process and move bytes through them
    Demo(DemoArgs),
    /// Measure how fast a tunnel is: one of its own, or a live one
    Bench(BenchArgs),
    /// Install a gateway or a client as a service of systemd
    Service(ServiceArgs),
    /// Print what completes commands and flags in a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write one for each command
    Man(ManArgs),
}

/// Flags of the log, which every command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct LogArgs {
    /// What to log: a level (error, warn, info, debug, trace) or a filter (warn,anyproxy_client=trace)
    #[arg(
        short = 'l', long, global = true, env = "ANYPROXY_LOG", value_name = "LEVEL",
        value_parser = with_fix(log_filter), help_heading = "Logging"
    )]
    pub log_level: Option<String>,
    /// How log lines look
    #[arg(long, global = true, env = "ANYPROXY_LOG_FORMAT", help_heading = "Logging")]
    pub log_format: Option<LogFormat>,
    /// Log to this file instead of standard error; a new one is started each day
    #[arg(
        long,
        global = true,
        env = "ANYPROXY_LOG_FILE",
        value_name = "FILE",
        help_heading = "Logging"
    )]
    pub log_file: Option<PathBuf>,
}

/// Makes a reader of values one for clap, whose error says how to fix it.
fn with_fix<T>(
    reader: fn(&str) -> Result<T, Problem>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: 'static,
{
    move |text| {
        reader(text).map_err(|problem| match problem.fix() {
            Some(fix) => format!("{problem} ({fix})"),
            None => problem.to_string(),
        })
    }
}

#[cfg(test)]
mod tests;
