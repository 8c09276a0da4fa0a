//! Flags of `anyproxy group`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::with_fix;
use crate::values::{Bound, PortRules, bandwidth_bound, count_bound, group_name, user_name};

/// Flags of `anyproxy group`.
#[derive(Debug, Clone, Args)]
pub struct GroupArgs {
    /// The gateway's configuration file, whose groups win over the stored ones
    #[arg(short, long, global = true, env = "ANYPROXY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The gateway's data directory [default: the one that the file names, or anyproxy-data beside it]
    #[arg(long, global = true, env = "ANYPROXY_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: GroupCommand,
}

/// What to do with groups.
#[derive(Debug, Clone, Subcommand)]
pub enum GroupCommand {
    /// Add a group, and generate the secret of its clients
    Add(GroupAddArgs),
    /// Show all groups, and where each comes from
    List(GroupListArgs),
    /// Change the ports and limits of a group
    Set(GroupSetArgs),
    /// Generate another secret for the clients of a group; the old one ends at once
    Secret(GroupSecretArgs),
    /// Give a proxy user of a group a password; the user is added if there is none of that name
    Passwd(GroupPasswdArgs),
    /// Remove a group with its users
    Remove(GroupRemoveArgs),
}

/// Flags of `anyproxy group add`.
#[derive(Debug, Clone, Args)]
pub struct GroupAddArgs {
    /// The name of the group
    #[arg(value_parser = with_fix(group_name))]
    pub name: String,
    /// Its ports and limits.
    #[command(flatten)]
    pub share: ShareArgs,
    /// Where its secret goes.
    #[command(flatten)]
    pub out: SecretOutArgs,
}

/// Flags of `anyproxy group list`.
#[derive(Debug, Clone, Args)]
pub struct GroupListArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `anyproxy group set`.
#[derive(Debug, Clone, Args)]
pub struct GroupSetArgs {
    /// The name of the group
    #[arg(value_parser = with_fix(group_name))]
    pub name: String,
    /// Its ports and limits.
    #[command(flatten)]
    pub share: ShareArgs,
}

/// Flags of `anyproxy group secret`.
#[derive(Debug, Clone, Args)]
pub struct GroupSecretArgs {
    /// The name of the group
    #[arg(value_parser = with_fix(group_name))]
    pub name: String,
    /// Where the secret goes.
    #[command(flatten)]
    pub out: SecretOutArgs,
}

/// Flags of `anyproxy group passwd`.
#[derive(Debug, Clone, Args)]
pub struct GroupPasswdArgs {
    /// The name of the group
    #[arg(value_parser = with_fix(group_name))]
    pub name: String,
    /// The user [default: the one named as the group]
    #[arg(long, value_name = "USER", value_parser = with_fix(user_name))]
    pub user: Option<String>,
    /// Generate the password instead of asking for it
    #[arg(long)]
    pub generate: bool,
    /// Remove the user
    #[arg(long, conflicts_with_all = ["generate", "secret_out"])]
    pub remove: bool,
    /// Where a generated password goes.
    #[command(flatten)]
    pub out: SecretOutArgs,
}

/// Flags of `anyproxy group remove`.
#[derive(Debug, Clone, Args)]
pub struct GroupRemoveArgs {
    /// The name of the group
    #[arg(value_parser = with_fix(group_name))]
    pub name: String,
}

/// What a group may take of the gateway.
#[derive(Debug, Clone, Default, Args)]
pub struct ShareArgs {
    /// Ports of the gateway that its clients may ask for, as in 8000,9000-9010,127.0.0.1:7000, or none
    #[arg(long, value_name = "PORTS", value_parser = with_fix(str::parse::<PortRules>))]
    pub forwards: Option<PortRules>,
    /// How many sessions it may have, or none for no limit
    #[arg(long, value_name = "NUMBER", value_parser = with_fix(count_bound))]
    pub max_sessions: Option<Bound<usize>>,
    /// How many live connections it may have, or none for no limit
    #[arg(long, value_name = "NUMBER", value_parser = with_fix(count_bound))]
    pub max_connections: Option<Bound<usize>>,
    /// How many live UDP flows it may have, or none for no limit
    #[arg(long, value_name = "NUMBER", value_parser = with_fix(count_bound))]
    pub max_flows: Option<Bound<usize>>,
    /// How many bytes a second it may move each way, as in 10MB, or none for no limit
    #[arg(long, value_name = "SIZE", value_parser = with_fix(bandwidth_bound))]
    pub bandwidth: Option<Bound<u64>>,
}

/// Where a generated secret goes.
#[derive(Debug, Clone, Default, Args)]
pub struct SecretOutArgs {
    /// Write the secret to this new file (mode 0600), or - for standard output [default: the terminal]
    #[arg(long, value_name = "FILE")]
    pub secret_out: Option<PathBuf>,
}
