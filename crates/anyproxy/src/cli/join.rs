//! Flags of `anyproxy token` and `anyproxy client list|revoke`.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::{SecretOutArgs, with_fix};
use crate::values::{HostPort, advertised, client_id, duration, group_name};

/// The gateway whose store is meant.
#[derive(Debug, Clone, Default, Args)]
pub struct StoreArgs {
    /// The gateway's configuration file
    #[arg(short, long, env = "ANYPROXY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The gateway's data directory [default: the one that the file names, or anyproxy-data beside it; without a
    /// file that of a gateway without a file]
    #[arg(long, env = "ANYPROXY_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Flags of `anyproxy token`.
#[derive(Debug, Clone, Args)]
pub struct TokenArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TokenCommand,
}

/// What to do with tokens.
#[derive(Debug, Clone, Subcommand)]
pub enum TokenCommand {
    /// Make a token with which one client can join
    Create(TokenCreateArgs),
    /// Show all tokens, without their secrets
    List(RollListArgs),
    /// Take a token back that was not used yet
    Revoke(TokenRevokeArgs),
}

/// Flags of `anyproxy token create`.
#[derive(Debug, Clone, Default, Args)]
pub struct TokenCreateArgs {
    /// Whose gateway.
    #[command(flatten)]
    pub store: StoreArgs,
    /// The group to join [default: the only one]
    #[arg(long, value_name = "NAME", value_parser = with_fix(group_name))]
    pub group: Option<String>,
    /// How long it can be used, in seconds or with a unit, at most 7d
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = with_fix(duration))]
    pub ttl: Duration,
    /// The address at which clients reach the gateway [default: the gateway's own --advertise]
    #[arg(
        long, env = "ANYPROXY_ADVERTISE", value_name = "HOST:PORT",
        value_parser = with_fix(advertised)
    )]
    pub advertise: Option<HostPort>,
    /// Where the token goes.
    #[command(flatten)]
    pub out: SecretOutArgs,
}

/// Flags of the commands that list tokens or clients.
#[derive(Debug, Clone, Default, Args)]
pub struct RollListArgs {
    /// Whose gateway.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `anyproxy token revoke`.
#[derive(Debug, Clone, Args)]
pub struct TokenRevokeArgs {
    /// Whose gateway.
    #[command(flatten)]
    pub store: StoreArgs,
    /// The token's id, as `token list` shows it
    pub id: String,
}

/// What to do with enrolled clients, at the gateway.
#[derive(Debug, Clone, Subcommand)]
pub enum RollCommand {
    /// At the gateway: show the clients that joined with a token
    List(RollListArgs),
    /// At the gateway: end a client's sessions and let it in no more
    Revoke(ClientRevokeArgs),
}

/// Flags of `anyproxy client revoke`.
#[derive(Debug, Clone, Args)]
pub struct ClientRevokeArgs {
    /// Whose gateway.
    #[command(flatten)]
    pub store: StoreArgs,
    /// The client's id, as `client list` shows it
    #[arg(value_parser = with_fix(client_id))]
    pub id: String,
    /// Its group, if several have a client of that id
    #[arg(long, value_name = "NAME", value_parser = with_fix(group_name))]
    pub group: Option<String>,
}

/// Flags with which a client joins a gateway.
#[derive(Debug, Clone, Default, Args)]
pub struct JoinArgs {
    /// Join with this token, or with - the one on standard input. It is good for one client and ten
    /// minutes; afterwards a key of this client's own is used, and no token is needed. Or set
    /// ANYPROXY_JOIN
    #[arg(long, value_name = "TOKEN", conflicts_with_all = WITHOUT_TOKEN)]
    pub join: Option<TokenText>,
    /// Join with the token in this file
    #[arg(long, value_name = "FILE", conflicts_with_all = WITHOUT_TOKEN, conflicts_with = "join")]
    pub join_file: Option<PathBuf>,
    /// Where this client keeps its key [default: ~/.local/state/anyproxy/client, for root
    /// /var/lib/anyproxy/client]
    #[arg(long, env = "ANYPROXY_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// What a token says, or makes needless.
const WITHOUT_TOKEN: [&str; 5] = ["pin", "group", "method", "secret_file", "secret_stdin"];

/// A token as it was typed. It is secret, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenText(pub Zeroizing<String>);

impl FromStr for TokenText {
    type Err = Infallible;

    /// Takes any text: an error of the command line would repeat it.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(..)")
    }
}
