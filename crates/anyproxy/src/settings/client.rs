//! Settings of a client.

use anyproxy_client::egress::{Policy, PolicyError};
use anyproxy_transport::{
    Route,
    tls::{OldestTls, Trust},
};
use anyproxy_wire::handshake::Secret;
use rustls_pki_types::ServerName;

use super::{
    AdminSettings, CertificateSettings, ForwardSettings, Loaded, LogSettings, Outside, Warning,
    certificate,
    forwards::forwards,
    gateway::{WS_PATH, oldest_tls},
    input::{Given, Input, Origin, Strength},
    joined,
    limits::{self, ClientLimits},
    route::route,
    trust::{expected_name, trust},
};
use crate::{
    cli::{ClientArgs, LogArgs},
    config::{
        ConfigError, Problem,
        raw::{RawClient, RawPolicy, Text},
    },
    values::{
        self, ClientTransport, CongestionControl, HostPort, Method, choice, client_id, group_name,
        ws_path,
    },
};

/// What a client runs with.
#[derive(Debug)]
pub struct ClientSettings {
    /// The gateway to connect to.
    pub gateway: HostPort,
    /// Which transport to use.
    pub transport: ClientTransport,
    /// How fast QUIC sends from here.
    pub congestion: CongestionControl,
    /// The path of the WebSocket.
    pub ws_path: String,
    /// The oldest TLS that the WebSocket may use.
    pub oldest_tls: OldestTls,
    /// What makes a gateway the right one.
    pub trust: Trust,
    /// What the WebSocket meets on its way.
    pub route: Route,
    /// The name that its certificate must carry.
    pub server_name: ServerName<'static>,
    /// The group to join.
    pub group: String,
    /// The stable name of this client in its group.
    pub client_id: String,
    /// Parallel sessions, each with a tunnel of its own; at least one.
    pub replicas: u32,
    /// TCP connections that each of them may have over the WebSocket; at least one.
    pub ws_connections: usize,
    /// The group's secret, or the seed of the client's own key; empty where a certificate proves who it is.
    pub secret: Secret,
    /// How it is proven.
    pub method: Method,
    /// What it shows where it is asked.
    pub certificate: Option<CertificateSettings>,
    /// Bounds of time, memory and numbers.
    pub limits: ClientLimits,
    /// Which targets may be dialled.
    pub policy: Policy,
    /// Gateway ports to ask for, with distinct names and addresses.
    pub forwards: Vec<ForwardSettings>,
    /// What is logged, and where.
    pub log: LogSettings,
    /// Where it tells about itself.
    pub admin: AdminSettings,
}

impl ClientSettings {
    /// Joins flags, environment, the configuration file and the defaults, and reads every file that they name.
    ///
    /// # Errors
    ///
    /// The first thing with which a client could not start.
    pub fn load(
        args: &ClientArgs,
        log: &LogArgs,
        outside: &mut dyn Outside,
    ) -> Result<Loaded<Self>, ConfigError> {
        let mut input = Input::open(args.config.as_deref(), outside)?;
        let raw: RawClient = input.parse()?;
        let settings = Self::build(&mut input, args, log, &raw)?;
        Ok(Loaded { settings, warnings: input.warnings })
    }

    fn build(
        input: &mut Input<'_>,
        args: &ClientArgs,
        log: &LogArgs,
        raw: &RawClient,
    ) -> Result<Self, ConfigError> {
        joined::check(input, args)?;
        let gateway = gateway(input, args, raw)?;
        let certificate = certificate::certificate(input, args, raw)?;
        let method = method(input, args, raw, certificate.as_ref())?;
        Ok(Self {
            server_name: expected_name(input, args, raw, &gateway)?,
            route: route(input, args, raw, &gateway)?,
            gateway,
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
            trust: {
                if method == Method::Password && raw.extra_ca.is_some() {
                    input.warnings.push(Warning::ReadablePassword);
                }
                trust(input, args, raw)?
            },
            group: group(input, args, raw)?,
            client_id: id(input, args, raw)?,
            certificate,
            replicas: limits::replicas(input, args.replicas, raw.replicas.as_ref())?,
            ws_connections: limits::ws_connections(
                input,
                args.ws_connections,
                raw.ws_connections.as_ref(),
            )?,
            method,
            limits: ClientLimits::build(input, args.drain, raw)?,
            policy: policy(input, args, &raw.policy)?,
            forwards: forwards(input, &args.forward, &raw.forward)?,
            log: LogSettings::build(input, log, &raw.log)?,
            admin: AdminSettings::build(
                input,
                (args.admin.admin, args.admin.status_socket.as_deref()),
                (raw.admin.as_ref(), raw.status_socket.as_ref()),
            )?,
            secret: secret(input, args, raw, method)?,
        })
    }
}

/// Who has joined has a key; else a certificate goes before a secret, unless the method is named.
fn method(
    input: &Input<'_>,
    args: &ClientArgs,
    raw: &RawClient,
    certificate: Option<&CertificateSettings>,
) -> Result<Method, ConfigError> {
    if args.identity.is_some() {
        return Ok(Method::Key);
    }
    let named = input.pick(args.method, raw.method.as_ref(), choice)?;
    match (named, certificate) {
        (None | Some(Method::Certificate), Some(_)) => {
            certificate::not_with_tls12(input, raw)?;
            Ok(Method::Certificate)
        }
        (Some(Method::Certificate), None) => Err(certificate::missing(input, args, raw)),
        (named, _) => Ok(named.unwrap_or_default()),
    }
}

fn gateway(input: &Input<'_>, args: &ClientArgs, raw: &RawClient) -> Result<HostPort, ConfigError> {
    let joined = args.identity.as_ref().map(|identity| identity.gateway.clone());
    let given = args.gateway.clone().or(joined);
    let given = input.pick(given, raw.gateway.as_ref(), values::gateway)?;
    given.ok_or_else(|| {
        input.error_whole(Problem::Missing {
            what: "no gateway is named",
            fix: "use --join TOKEN, with what `anyproxy token create` prints on the gateway; or \
                  --gateway HOST:PORT, ANYPROXY_GATEWAY, or `gateway` in the file",
        })
    })
}

fn group(input: &Input<'_>, args: &ClientArgs, raw: &RawClient) -> Result<String, ConfigError> {
    let joined = args.identity.as_ref().map(|identity| identity.group.clone());
    let given = input.pick(joined.or(args.group.clone()), raw.group.as_ref(), group_name)?;
    given.ok_or_else(|| {
        input.error_whole(Problem::Missing {
            what: "no group is named",
            fix: "use --group NAME, ANYPROXY_GROUP, or `group` in the file",
        })
    })
}

fn id(input: &Input<'_>, args: &ClientArgs, raw: &RawClient) -> Result<String, ConfigError> {
    let joined = args.identity.as_ref().map(|identity| identity.client_id.clone());
    let given = input.pick(joined.or(args.client_id.clone()), raw.client_id.as_ref(), client_id)?;
    let host = || input.outside.host_name().and_then(|name| client_id(&name).ok());
    given.or_else(host).ok_or_else(|| {
        input.error_whole(Problem::Missing {
            what: "this client has no id, and the host no name to use instead",
            fix: "use --client-id ID, ANYPROXY_CLIENT_ID, or `client_id` in the file",
        })
    })
}

/// Flags first, then the environment, then the file; none of them shows the secret.
fn secret(
    input: &mut Input<'_>,
    args: &ClientArgs,
    raw: &RawClient,
    method: Method,
) -> Result<Secret, ConfigError> {
    if let Some(identity) = &args.identity {
        return Ok(identity.seed.clone());
    }
    let strength = match method {
        Method::Secret | Method::Key => Strength::Generated,
        Method::Password => Strength::Any,
        Method::Certificate => return Ok(Secret::new(Vec::new())),
    };
    if let Some(text) = raw.secret.as_ref().filter(|text| text.get_ref() != "-") {
        return Err(input.error_at(text, Problem::InlineSecret));
    }
    if args.secret_stdin {
        return input.secret_input(strength);
    }
    if let Some(path) = &args.secret_file {
        let path = Given { value: path.clone(), origin: Origin::Flag("--secret-file") };
        return input.secret_file(&path, strength);
    }
    if let Some(secret) = input.secret_variable(strength)? {
        return Ok(secret);
    }
    match (&raw.secret, &raw.secret_file) {
        (Some(text), Some(_)) => {
            Err(input.error_at(text, Problem::Exclusive("secret", "secret_file")))
        }
        (Some(_), None) => input.secret_input(strength),
        (None, Some(path)) => {
            let path = input.path(path);
            input.secret_file(&path, strength)
        }
        (None, None) => Err(input.error_whole(Problem::Missing {
            what: "this client has no secret",
            fix: "use --secret-file FILE, ANYPROXY_SECRET, --secret-stdin, or `secret_file` in the \
                  file; or a certificate, with `client_certificate` and `client_key`",
        })),
    }
}

fn policy(input: &Input<'_>, args: &ClientArgs, raw: &RawPolicy) -> Result<Policy, ConfigError> {
    let texts = |flags: &[String], raw: Option<&Vec<Text>>| match (flags, raw) {
        ([], Some(raw)) => raw.iter().map(|text| text.get_ref().clone()).collect(),
        (flags, _) => flags.to_vec(),
    };
    let allow = texts(&args.allow, raw.allow.as_ref());
    let deny = texts(&args.deny, raw.deny.as_ref());
    Policy::parse(&allow, &deny).map_err(|error| {
        let fix = "docs/policy.md has the syntax".to_owned();
        let problem = Problem::Refused { what: error.to_string(), fix };
        match entry(raw, &error) {
            Some(text) => input.error_at(text, problem),
            None => input.error_whole(problem),
        }
    })
}

/// The text of the file that `error` is about.
fn entry<'a>(raw: &'a RawPolicy, error: &PolicyError) -> Option<&'a Text> {
    let lists = raw.allow.iter().chain(&raw.deny).flatten();
    lists.into_iter().find(|text| *text.get_ref() == error.entry)
}
