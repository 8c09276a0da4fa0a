//! Flags of `anyproxy client`.

use std::{path::PathBuf, time::Duration};

use anyproxy_transport::tls::Pin;
use clap::Args;

use super::{AdminArgs, JoinArgs, RollCommand, with_fix};
use crate::{
    join::Identity,
    values::{
        ClientTransport, CongestionControl, ForwardFlag, HostPort, Method, client_id, duration,
        gateway, group_name,
    },
};

/// `anyproxy client`: to run one, or to manage those of a gateway.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ClientCommand {
    /// What to do at the gateway instead.
    #[command(subcommand)]
    pub roll: Option<RollCommand>,
    /// How it runs.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Flags of `anyproxy client`; each wins over its key in the configuration file.
///
/// They are enough to run a client without any file, with a token or with the secret in `ANYPROXY_SECRET`.
#[derive(Debug, Clone, Default, Args)]
pub struct ClientArgs {
    /// How it joins.
    #[command(flatten)]
    pub join: JoinArgs,
    /// Who it is since it joined.
    #[arg(skip)]
    pub identity: Option<Identity>,
    /// The configuration file (see docs/configuration.md)
    #[arg(short, long, env = "ANYPROXY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The gateway to connect to; without a port it is 443
    #[arg(
        short, long, env = "ANYPROXY_GATEWAY", value_name = "HOST[:PORT]",
        value_parser = with_fix(gateway)
    )]
    pub gateway: Option<HostPort>,
    /// Which transport to use [default: auto]
    #[arg(long, env = "ANYPROXY_TRANSPORT")]
    pub transport: Option<ClientTransport>,
    /// What decides how fast a tunnel sends from here [default: bbr]
    #[arg(long, env = "ANYPROXY_CONGESTION", value_name = "CONTROL")]
    pub congestion: Option<CongestionControl>,
    /// Trust the gateway if its certificate was issued by one of these authorities, PEM [default:
    /// the system's]
    #[arg(long, env = "ANYPROXY_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Trust the gateway if its CA has this key: sha256:… as `anyproxy certs --show` prints it
    #[arg(long, env = "ANYPROXY_PIN", value_name = "PIN", conflicts_with = "ca")]
    pub pin: Option<Pin>,
    /// The name that the gateway's certificate must carry [default: the gateway's host]
    #[arg(long, env = "ANYPROXY_SERVER_NAME", value_name = "NAME")]
    pub server_name: Option<String>,
    /// The HTTP proxy for the WebSocket.
    // Not parsed here: an error of clap's would show a password that does not belong there.
    #[arg(
        long,
        env = "ANYPROXY_PROXY",
        hide_env_values = true,
        value_name = "URL",
        // Not from the comment, in which rustdoc takes the URL for a link.
        help = "The HTTP proxy for the WebSocket, http://[user@]host:port, or off [default: \
                HTTPS_PROXY or ALL_PROXY, unless NO_PROXY has the gateway]"
    )]
    pub proxy: Option<String>,
    /// A file with the proxy's password. Or set ANYPROXY_PROXY_PASSWORD to the password itself
    #[arg(long, env = "ANYPROXY_PROXY_PASSWORD_FILE", value_name = "FILE")]
    pub proxy_password_file: Option<PathBuf>,
    /// The group to join
    #[arg(long, env = "ANYPROXY_GROUP", value_name = "NAME", value_parser = with_fix(group_name))]
    pub group: Option<String>,
    /// The stable name of this client in its group [default: the host's name]
    #[arg(long, env = "ANYPROXY_CLIENT_ID", value_name = "ID", value_parser = with_fix(client_id))]
    pub client_id: Option<String>,
    /// How many tunnels to have in parallel, 1 to 64, each with its share of the load [default: 1]
    #[arg(
        long, env = "ANYPROXY_REPLICAS", value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=64)
    )]
    pub replicas: Option<u32>,
    /// How many TCP connections a session may have over the WebSocket, 1 to 8; those besides the first
    /// only while it is used [default: 4]
    #[arg(
        long, env = "ANYPROXY_WS_CONNECTIONS", value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=8)
    )]
    pub ws_connections: Option<u32>,
    /// How to prove membership: a generated secret, a password that a person chose, or this client's
    /// certificate [default: certificate if there is one, else secret]
    #[arg(long, env = "ANYPROXY_METHOD")]
    pub method: Option<Method>,
    /// A file with the group's secret. Or set ANYPROXY_SECRET to the secret itself
    #[arg(long, env = "ANYPROXY_SECRET_FILE", value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Read the group's secret from standard input
    #[arg(long, conflicts_with = "secret_file")]
    pub secret_stdin: bool,
    /// The certificate chain of this client, PEM; the group's gateway has to know its CA
    #[arg(long, env = "ANYPROXY_CLIENT_CERTIFICATE", value_name = "FILE")]
    pub client_certificate: Option<PathBuf>,
    /// The private key of that certificate, PEM
    #[arg(long, env = "ANYPROXY_CLIENT_KEY", value_name = "FILE")]
    pub client_key: Option<PathBuf>,
    /// Ask the gateway to listen on a port, and connect what arrives there to a host and port; without
    /// an IP it listens on its loopback. PORT may be a range. May be repeated, and replaces the forwards
    /// of the file
    #[arg(
        long, env = "ANYPROXY_FORWARD", value_name = "[udp:][IP:]PORT:HOST:PORT",
        value_delimiter = ',', value_parser = with_fix(str::parse::<ForwardFlag>)
    )]
    pub forward: Vec<ForwardFlag>,
    /// A target that may be reached (see docs/policy.md); may be repeated, and replaces the list of
    /// the file [default: all]
    #[arg(long, env = "ANYPROXY_ALLOW", value_name = "RULE", value_delimiter = ',')]
    pub allow: Vec<String>,
    /// A target that may not be reached; may be repeated, and replaces the list of the file
    #[arg(long, env = "ANYPROXY_DENY", value_name = "RULE", value_delimiter = ',')]
    pub deny: Vec<String>,
    /// How long live connections may go on at shutdown, in seconds or with a unit [default: 10s]
    #[arg(long, env = "ANYPROXY_DRAIN", value_name = "TIME", value_parser = with_fix(duration))]
    pub drain: Option<Duration>,
    /// What tells about the process.
    #[command(flatten)]
    pub admin: AdminArgs,
}
