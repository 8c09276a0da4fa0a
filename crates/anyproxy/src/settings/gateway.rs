//! Settings of a gateway.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use anyproxy_transport::tls::{Identity, OldestTls};
use toml::Spanned;

use super::{
    Credential, Loaded, LogSettings, Outside, Warning,
    input::{Given, Input, Strength},
    limits::{self, Limits},
};
use crate::{
    cli::{GatewayArgs, LogArgs},
    config::{
        ConfigError, Problem,
        raw::{OneOrMany, RawGateway, RawGroup, Text},
    },
    values::{ForwardRule, GatewayTransport, Listeners, choice, group_name, listen, ws_path},
};

/// The port at which clients connect, for both transports.
const TUNNEL_PORT: u16 = 8443;
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
    /// Which transports are served.
    pub transport: GatewayTransport,
    /// The certificate chain and its key.
    pub identity: Identity,
    /// The path of the WebSocket.
    pub ws_path: String,
    /// The oldest TLS that the WebSocket accepts.
    pub oldest_tls: OldestTls,
    /// Where the HTTP proxy listens; empty: it is off.
    pub http: Vec<SocketAddr>,
    /// Where the SOCKS5 proxy listens; empty: it is off.
    pub socks5: Vec<SocketAddr>,
    /// Bounds of time and memory.
    pub limits: Limits,
    /// Live connections in one session, at most.
    pub max_streams: u32,
    /// Groups, at least one, with distinct names.
    pub groups: Vec<GroupSettings>,
    /// What is logged, and where.
    pub log: LogSettings,
}

/// A group: whose clients serve it, and who may use them.
#[derive(Debug, Clone)]
pub struct GroupSettings {
    /// Its name, also the user name of its proxy users.
    pub name: String,
    /// What its clients' secret is checked with.
    pub tunnel: Credential,
    /// What its proxy users' password is checked with.
    pub user: Credential,
    /// Gateway ports that its clients may ask for.
    pub forwards: Vec<ForwardRule>,
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
        let settings = Self::build(&mut input, args, log, &raw)?;
        Ok(Loaded { settings, warnings: input.warnings })
    }

    fn build(
        input: &mut Input<'_>,
        args: &GatewayArgs,
        log: &LogArgs,
        raw: &RawGateway,
    ) -> Result<Self, ConfigError> {
        let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, TUNNEL_PORT));
        Ok(Self {
            listen: input.pick(args.listen, raw.listen.as_ref(), listen)?.unwrap_or(everywhere),
            transport: input
                .pick(args.transport, raw.transport.as_ref(), choice)?
                .unwrap_or_default(),
            ws_path: input
                .pick(None, raw.ws_path.as_ref(), ws_path)?
                .unwrap_or_else(|| WS_PATH.into()),
            oldest_tls: oldest_tls(raw.tls12.as_ref()),
            http: listeners(input, args.http.as_ref(), raw.http.as_ref(), HTTP_PORT)?,
            socks5: listeners(input, args.socks5.as_ref(), raw.socks5.as_ref(), SOCKS5_PORT)?,
            limits: Limits::build(
                input,
                args.drain,
                (&raw.drain, &raw.proxy_timeout, &raw.stall_budget),
            )?,
            max_streams: limits::max_streams(input, raw.max_streams.as_ref())?,
            log: LogSettings::build(input, log, &raw.log)?,
            identity: identity(input, args, raw)?,
            groups: groups(input, &raw.group)?,
        })
    }
}

/// The oldest TLS that the WebSocket accepts.
pub(super) fn oldest_tls(raw: Option<&Spanned<bool>>) -> OldestTls {
    match raw.map(Spanned::get_ref) {
        Some(true) => OldestTls::Tls12,
        Some(false) | None => OldestTls::Tls13,
    }
}

/// Where an entry point listens: the flag's addresses, the file's, or loopback.
fn listeners(
    input: &Input<'_>,
    flag: Option<&Listeners>,
    raw: Option<&Spanned<OneOrMany>>,
    port: u16,
) -> Result<Vec<SocketAddr>, ConfigError> {
    match (flag, raw) {
        (Some(flag), _) => Ok(flag.0.clone()),
        (None, Some(raw)) => {
            let entries = raw.get_ref().0.iter();
            let lists = entries.map(|entry| entry.parse::<Listeners>());
            let lists = lists.collect::<Result<Vec<_>, _>>();
            let lists = lists.map_err(|problem| input.error_at(raw, problem))?;
            Ok(lists.into_iter().flat_map(|list| list.0).collect())
        }
        (None, None) => Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]),
    }
}

fn identity(
    input: &mut Input<'_>,
    args: &GatewayArgs,
    raw: &RawGateway,
) -> Result<Identity, ConfigError> {
    let path = |flag: Option<(&'static str, &PathBuf)>, raw: &Option<Text>, what| {
        let flag = flag.map(|(name, path)| (name, path.as_path()));
        input.pick_path(flag, raw.as_ref()).ok_or_else(|| input.error_whole(missing_tls(what)))
    };
    let flag = args.certificate.as_ref().map(|path| ("--certificate", path));
    let certificate = path(flag, &raw.certificate, "the gateway has no `certificate`")?;
    let flag = args.key.as_ref().map(|path| ("--key", path));
    let key = path(flag, &raw.key, "the gateway has no `key`")?;
    let chain = input.read_pem(&certificate)?;
    let secret = zeroize::Zeroizing::new(input.read_pem(&key)?);
    input.note_open(&key.value);
    let identity = Identity::from_pem(&chain, &secret)
        .map_err(|error| bad_identity(input, &certificate, &key, error))?;
    not_expired(&certificate, &chain)
        .map_err(|problem| input.error(&certificate.origin, problem))?;
    Ok(identity)
}

fn missing_tls(what: &'static str) -> Problem {
    Problem::Missing {
        what,
        fix: "run `anyproxy certs` and set certificate = \"…/gateway.crt\" and key = \
              \"…/gateway.key\"; there is no mode without encryption",
    }
}

/// Blames the file that is at fault.
fn bad_identity(
    input: &Input<'_>,
    certificate: &Given<PathBuf>,
    key: &Given<PathBuf>,
    error: anyproxy_transport::tls::IdentityError,
) -> ConfigError {
    use anyproxy_transport::tls::IdentityError;
    let at = match &error {
        IdentityError::Certificate(_) => certificate,
        IdentityError::Key(_) | IdentityError::Mismatch(_) => key,
    };
    let problem = Problem::BadFile {
        path: at.value.clone(),
        what: error.to_string(),
        fix: "name the PEM files that belong together, or make new ones: anyproxy certs".into(),
    };
    input.error(&at.origin, problem)
}

/// Checks that the leaf of a PEM chain is not over: every client would refuse it.
fn not_expired(certificate: &Given<PathBuf>, chain: &[u8]) -> Result<(), Problem> {
    match crate::certs::expiry(chain) {
        Some(expiry) if expiry.is_over() => Err(Problem::BadFile {
            path: certificate.value.clone(),
            what: format!("the certificate expired on {expiry}"),
            fix: "renew it: anyproxy certs".into(),
        }),
        Some(_) | None => Ok(()),
    }
}

fn groups(
    input: &mut Input<'_>,
    raw: &[Spanned<RawGroup>],
) -> Result<Vec<GroupSettings>, ConfigError> {
    let variable = match raw {
        [] => {
            return Err(input.error_whole(Problem::Missing {
                what: "the gateway has no group, so no client could connect",
                fix: "name a file with --config that has a [[group]]",
            }));
        }
        [_] => input.secret_variable(Strength::Generated)?.map(|secret| Credential::of(&secret)),
        [..] => {
            if input.outside.secret_variable().is_some() {
                input.warnings.push(Warning::UnusedSecret);
            }
            None
        }
    };
    let mut names = HashSet::new();
    let mut groups = Vec::with_capacity(raw.len());
    for raw in raw {
        let group = group(input, raw, variable.clone())?;
        if !names.insert(group.name.clone()) {
            let name = group.name;
            let problem = Problem::Duplicate { what: "the group", name };
            return Err(input.error_at(&raw.get_ref().name, problem));
        }
        groups.push(group);
    }
    Ok(groups)
}

fn group(
    input: &mut Input<'_>,
    raw: &Spanned<RawGroup>,
    variable: Option<Credential>,
) -> Result<GroupSettings, ConfigError> {
    let table = raw.get_ref();
    let name = input.read(&table.name, group_name)?;
    let keys = ("secret_file", "secret_hash");
    let sources = (table.secret_file.as_ref(), table.secret_hash.as_ref());
    let tunnel = match variable {
        Some(credential) => Some(credential),
        None => credential(input, keys, sources, Strength::Generated)?,
    };
    let tunnel = tunnel.ok_or_else(|| {
        let what = "the group has neither `secret_file` nor `secret_hash`";
        let fix = "run `anyproxy certs --group NAME` and set secret_file = \"…/NAME.secret\"";
        input.error_at(&table.name, Problem::Missing { what, fix })
    })?;
    let keys = ("password_file", "password_hash");
    let sources = (table.password_file.as_ref(), table.password_hash.as_ref());
    let user = credential(input, keys, sources, Strength::Password)?;
    let forwards = table.forwards.iter().map(|raw| input.read(raw, str::parse));
    Ok(GroupSettings {
        name,
        user: user.unwrap_or_else(|| tunnel.clone()),
        tunnel,
        forwards: forwards.collect::<Result<_, _>>()?,
    })
}

/// Makes a credential of `(file, hash)`, of which at most one may be given.
fn credential(
    input: &mut Input<'_>,
    keys: (&'static str, &'static str),
    sources: (Option<&Text>, Option<&Text>),
    strength: Strength,
) -> Result<Option<Credential>, ConfigError> {
    match sources {
        (Some(_), Some(hash)) => Err(input.error_at(hash, Problem::Exclusive(keys.0, keys.1))),
        (Some(file), None) => {
            let path = input.path(file);
            let secret = input.secret_file(&path, strength)?;
            let kept = match strength {
                Strength::Generated => Ok(Credential::of(&secret)),
                Strength::Password | Strength::Any => Credential::of_password(&secret),
            };
            kept.map(Some).map_err(|problem| input.error_at(file, problem))
        }
        (None, Some(hash)) => input.read(hash, Credential::from_hash).map(Some),
        (None, None) => Ok(None),
    }
}
