//! Flags of `anyproxy gateway`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::{AdminArgs, with_fix};
use crate::values::{
    CongestionControl, GatewayTransport, HostPort, Listeners, advertised, duration, listen,
};

/// Flags of `anyproxy gateway`; each wins over its key in the configuration file.
///
/// Without a configuration file and a certificate it makes all that it needs, and says how clients join.
#[derive(Debug, Clone, Default, Args)]
pub struct GatewayArgs {
    /// The configuration file (see docs/configuration.md)
    #[arg(short, long, env = "ANYPROXY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where clients connect.
    #[arg(
        long,
        env = "ANYPROXY_LISTEN",
        value_name = "IP:PORT",
        value_parser = with_fix(listen),
        // Not from the comment, in which rustdoc takes the address for a link.
        help = "Where clients connect: UDP for QUIC and TCP for the WebSocket [default: \
                [::]:8443; without --config and --advertise 127.0.0.1:8443]"
    )]
    pub listen: Option<SocketAddr>,
    /// The address at which clients reach the gateway, which their tokens carry.
    #[arg(
        long,
        env = "ANYPROXY_ADVERTISE",
        value_name = "HOST:PORT",
        value_parser = with_fix(advertised),
        help = "The address at which clients reach the gateway, which join tokens carry [default: \
                the one to listen on, if that is loopback]"
    )]
    pub advertise: Option<HostPort>,
    /// Which transports to serve [default: both]
    #[arg(long, env = "ANYPROXY_TRANSPORT")]
    pub transport: Option<GatewayTransport>,
    /// What decides how fast a tunnel sends from here [default: bbr]
    #[arg(long, env = "ANYPROXY_CONGESTION", value_name = "CONTROL")]
    pub congestion: Option<CongestionControl>,
    /// The certificate chain, PEM [default: without --config the gateway makes its own]
    #[arg(long, env = "ANYPROXY_CERTIFICATE", value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, env = "ANYPROXY_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The HTTP proxy for users: addresses separated by commas, or off [default: 127.0.0.1:8088]
    #[arg(
        long, env = "ANYPROXY_HTTP", value_name = "IP:PORT,…",
        value_parser = with_fix(str::parse::<Listeners>)
    )]
    pub http: Option<Listeners>,
    /// The SOCKS5 proxy for users: addresses separated by commas, or off [default: 127.0.0.1:1080]
    #[arg(
        long, env = "ANYPROXY_SOCKS5", value_name = "IP:PORT,…",
        value_parser = with_fix(str::parse::<Listeners>)
    )]
    pub socks5: Option<Listeners>,
    /// The HTTP proxy behind TLS: addresses separated by commas, or off [default: off]
    #[arg(
        long, env = "ANYPROXY_HTTPS", value_name = "IP:PORT,…",
        value_parser = with_fix(str::parse::<Listeners>)
    )]
    pub https: Option<Listeners>,
    /// The certificate chain of the HTTP proxy behind TLS, PEM [default: the gateway's own]
    #[arg(long, env = "ANYPROXY_HTTPS_CERTIFICATE", value_name = "FILE")]
    pub https_certificate: Option<PathBuf>,
    /// The private key of that certificate, PEM
    #[arg(long, env = "ANYPROXY_HTTPS_KEY", value_name = "FILE")]
    pub https_key: Option<PathBuf>,
    /// HTTP and SOCKS5 on one port: addresses separated by commas, or off [default: off]
    #[arg(
        long, env = "ANYPROXY_MIXED", value_name = "IP:PORT,…",
        value_parser = with_fix(str::parse::<Listeners>)
    )]
    pub mixed: Option<Listeners>,
    /// The directory of the groups that `anyproxy group` manages [default: anyproxy-data beside the
    /// configuration file; without one ~/.local/state/anyproxy/gateway, for root /var/lib/anyproxy/gateway]
    #[arg(long, env = "ANYPROXY_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// How long live connections may go on at shutdown, in seconds or with a unit [default: 10s]
    #[arg(long, env = "ANYPROXY_DRAIN", value_name = "TIME", value_parser = with_fix(duration))]
    pub drain: Option<Duration>,
    /// What tells about the process.
    #[command(flatten)]
    pub admin: AdminArgs,
}
