//! Settings of a gateway.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use anyproxy_transport::{
    Behind,
    tls::{Identity, OldestTls},
};
use toml::Spanned;

use super::{
    AdminSettings, DataDir, Loaded, LogSettings, Outside,
    behind::behind,
    data, doors,
    groups::groups,
    identity::{self, Files},
    input::Input,
    limits::GatewayLimits,
};
use crate::{
    cli::{GatewayArgs, LogArgs},
    config::{
        ConfigError, Problem,
        raw::{OneOrMany, RawGateway},
    },
    groups::GroupSettings,
    values::{
        CongestionControl, GatewayTransport, HostPort, Listeners, advertised, choice, listen,
        ws_path,
    },
};

/// The port at which clients connect, for both transports.
pub(crate) const TUNNEL_PORT: u16 = 8443;
/// The port of the HTTP proxy.
const HTTP_PORT: u16 = 8088;
/// The port of the SOCKS5 proxy.
const SOCKS5_PORT: u16 = 1080;
/// The path at which the WebSocket is upgraded.
pub(super) const WS_PATH: &str = "/anyproxy";

/// What a gateway runs with.
#[derive(Debug)]
pub struct GatewaySettings {
    /// Where clients connect: UDP for QUIC, TCP for the WebSocket, the same port number.
    pub listen: SocketAddr,
    /// The address at which clients reach it, for join tokens.
    pub advertise: Option<HostPort>,
    /// Which transports are served.
    pub transport: GatewayTransport,
    /// How fast QUIC sends from here.
    pub congestion: CongestionControl,
    /// The certificate chain and its key.
    pub identity: Identity,
    /// The files of all certificates and keys.
    pub certificate_files: Vec<PathBuf>,
    /// The path of the WebSocket.
    pub ws_path: String,
    /// The oldest TLS that the WebSocket accepts.
    pub oldest_tls: OldestTls,
    /// What stands in front of the WebSocket.
    pub behind: Behind,
    /// Where the HTTP proxy listens; empty: it is off.
    pub http: Vec<SocketAddr>,
    /// The HTTP proxy behind TLS, if there is one.
    pub https: Option<HttpsSettings>,
    /// Where the SOCKS5 proxy listens; empty: it is off.
    pub socks5: Vec<SocketAddr>,
    /// Where HTTP and SOCKS5 share a port; empty: nowhere.
    pub mixed: Vec<SocketAddr>,
    /// Bounds of time, memory and numbers.
    pub limits: GatewayLimits,
    /// The groups of the file, with distinct names.
    pub groups: Vec<GroupSettings>,
    /// The groups of the store as it is now; they may change at any time.
    pub stored: Vec<GroupSettings>,
    /// Where the store is, if there can be one.
    pub data_dir: Option<DataDir>,
    /// What is logged, and where.
    pub log: LogSettings,
    /// Where it tells about itself.
    pub admin: AdminSettings,
}

/// The HTTP proxy behind TLS.
#[derive(Debug)]
pub struct HttpsSettings {
    /// Where it listens, at least one address.
    pub addrs: Vec<SocketAddr>,
    /// The certificate chain that users see, and its key.
    pub identity: Identity,
}

impl GatewaySettings {
    /// Joins flags, environment, the configuration file and the defaults, and reads every file that they name.
    ///
    /// # Errors
    ///
    /// The first thing with which a gateway could not start.
    pub fn load(
        args: &GatewayArgs,
        log: &LogArgs,
        outside: &mut dyn Outside,
    ) -> Result<Loaded<Self>, ConfigError> {
        let mut input = Input::open(args.config.as_deref(), outside)?;
        let raw: RawGateway = input.parse()?;
        let settings = Self::build(&mut input, args, log, &raw)?.with_stored(&mut input)?;
        doors::check(&input, &settings)?;
        Ok(Loaded { settings, warnings: input.warnings })
    }

    fn build(
        input: &mut Input<'_>,
        args: &GatewayArgs,
        log: &LogArgs,
        raw: &RawGateway,
    ) -> Result<Self, ConfigError> {
        let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, TUNNEL_PORT));
        let loopback = |port| vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        let files = identity::of_tunnels(input, args, raw)?;
        Ok(Self {
            listen: input.pick(args.listen, raw.listen.as_ref(), listen)?.unwrap_or(everywhere),
            advertise: input.pick(args.advertise.clone(), raw.advertise.as_ref(), advertised)?,
            transport: input
                .pick(args.transport, raw.transport.as_ref(), choice)?
                .unwrap_or_default(),
            congestion: input
                .pick(args.congestion, raw.congestion.as_ref(), choice)?
                .unwrap_or_default(),
            ws_path: input
                .pick(None, raw.ws_path.as_ref(), ws_path)?
                .unwrap_or_else(|| WS_PATH.into()),
            oldest_tls: oldest_tls(raw.tls12.as_ref()),
            behind: behind(input, raw)?,
            http: listeners(input, &args.http, &raw.http)?.unwrap_or_else(|| loopback(HTTP_PORT)),
            socks5: listeners(input, &args.socks5, &raw.socks5)?
                .unwrap_or_else(|| loopback(SOCKS5_PORT)),
            mixed: listeners(input, &args.mixed, &raw.mixed)?.unwrap_or_default(),
            limits: GatewayLimits::build(input, args.drain, raw)?,
            log: LogSettings::build(input, log, &raw.log)?,
            admin: AdminSettings::build(
                input,
                (args.admin.admin, args.admin.status_socket.as_deref()),
                (raw.admin.as_ref(), raw.status_socket.as_ref()),
            )?,
            identity: {
                files.note_open(input);
                files.read(input)?
            },
            https: https(input, args, raw, &files)?,
            certificate_files: {
                let https = identity::of_https(input, args, raw)?;
                [Some(files), https].into_iter().flatten().flat_map(|files| files.paths()).collect()
            },
            groups: groups(input, &raw.group)?,
            data_dir: data::data_dir(input, args.data_dir.as_deref(), raw.data_dir.as_ref()),
            stored: vec![],
        })
    }

    /// Reads the store once, so that whatever is wrong with it is found before anything starts.
    fn with_stored(mut self, input: &mut Input<'_>) -> Result<Self, ConfigError> {
        if let Some(dir) = &self.data_dir {
            match data::stored(input, dir)? {
                Some(stored) => self.stored = stored,
                None if self.groups.is_empty() && !dir.is_named() => return Err(no_group(input)),
                None => {}
            }
        } else if self.groups.is_empty() {
            return Err(no_group(input));
        }
        Ok(self)
    }
}

fn no_group(input: &Input<'_>) -> ConfigError {
    input.error_whole(Problem::Missing {
        what: "the gateway has no group, so no client could connect",
        fix: "add one with `anyproxy group add NAME`, or name a file with --config that has a \
              [[group]], or a directory for groups to come with --data-dir",
    })
}

/// The HTTP proxy behind TLS shows the gateway's own certificate unless it is given another.
fn https(
    input: &mut Input<'_>,
    args: &GatewayArgs,
    raw: &RawGateway,
    own: &Files,
) -> Result<Option<HttpsSettings>, ConfigError> {
    let other = identity::of_https(input, args, raw)?;
    if let Some(other) = &other {
        other.note_open(input);
    }
    let addrs = listeners(input, &args.https, &raw.https)?.unwrap_or_default();
    if addrs.is_empty() {
        return Ok(None);
    }
    let identity = other.as_ref().unwrap_or(own).read(input)?;
    Ok(Some(HttpsSettings { addrs, identity }))
}

/// The oldest TLS that the WebSocket accepts.
pub(super) fn oldest_tls(raw: Option<&Spanned<bool>>) -> OldestTls {
    match raw.map(Spanned::get_ref) {
        Some(true) => OldestTls::Tls12,
        Some(false) | None => OldestTls::Tls13,
    }
}

/// Where an entry point listens: the flag's addresses, or the file's.
fn listeners(
    input: &Input<'_>,
    flag: &Option<Listeners>,
    raw: &Option<Spanned<OneOrMany>>,
) -> Result<Option<Vec<SocketAddr>>, ConfigError> {
    match (flag, raw) {
        (Some(flag), _) => Ok(Some(flag.0.clone())),
        (None, Some(raw)) => {
            let entries = raw.get_ref().0.iter();
            let lists = entries.map(|entry| entry.parse::<Listeners>());
            let lists = lists.collect::<Result<Vec<_>, _>>();
            let lists = lists.map_err(|problem| input.error_at(raw, problem))?;
            Ok(Some(lists.into_iter().flat_map(|list| list.0).collect()))
        }
        (None, None) => Ok(None),
    }
}
