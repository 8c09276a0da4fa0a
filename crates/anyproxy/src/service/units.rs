//! The units, filled in.

use std::{
    collections::BTreeSet,
    env,
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    Place, ServiceError,
    basis::{ADVERTISE, Basis, DATA_DIR, FORWARD, LISTEN, STATE_DIR},
};
use crate::{
    cli::{GatewayArgs, Kind, LogArgs},
    config::{Source, raw::RawClient, raw::Text},
    settings::{GatewaySettings, Process},
    values::GatewayTransport,
};

macro_rules! shipped {
    ($name:literal) => {
        include_str!(concat!("../../../../configs/systemd/", $name))
    };
}

const GATEWAY: &str = shipped!("anyproxy-gateway.service");
const SOCKET: &str = shipped!("anyproxy-gateway.socket");
const CLIENT: &str = shipped!("anyproxy-client.service");
const USER_GATEWAY: &str = shipped!("user/anyproxy-gateway.service");
const USER_CLIENT: &str = shipped!("user/anyproxy-client.service");
const SYSUSERS: &str = shipped!("anyproxy.sysusers.conf");

/// The program, as the shipped units name it.
const PROGRAM: &str = "/usr/local/bin/anyproxy";

/// Where the shipped sockets have the tunnels.
const LISTENING: &str = "=[::]:8443\n";

/// A file to write.
pub(super) struct Unit {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Every file of the service but its configuration.
pub(super) fn of(place: &Place, basis: &Basis) -> Result<Vec<Unit>, ServiceError> {
    let program = program(place)?;
    let mut units = vec![];
    for name in place.units() {
        let text = match (*name, place.side) {
            ("anyproxy-gateway.socket", _) => socket(place, basis)?,
            (_, Kind::Gateway) => gateway(place, basis)?,
            (_, Kind::Client) => client(place, basis)?,
        };
        let text = text.replace(PROGRAM, &program);
        units.push(Unit { path: place.unit(name), text });
    }
    units.extend(place.sysusers().map(|path| Unit { path, text: SYSUSERS.into() }));
    Ok(units)
}

fn gateway(place: &Place, basis: &Basis) -> Result<String, ServiceError> {
    let shipped = if place.user { USER_GATEWAY } else { GATEWAY };
    let Basis::Own(own) = basis else { return Ok(shipped.into()) };
    let (directory, state) = if place.user {
        (own.directory.display().to_string(), "")
    } else {
        // systemd gives each to the gateway's user, with all that is in it, unless that has it already.
        ("%S/anyproxy/gateway".into(), "StateDirectory=anyproxy anyproxy/gateway")
    };
    let mut lines = vec![environment(DATA_DIR, &directory)?];
    lines.push(environment(ADVERTISE, &own.advertise.to_string())?);
    if let Some(listen) = own.listen {
        lines.push(environment(LISTEN, &listen.to_string())?);
    }
    let changes = Changes {
        about: "A gateway without a configuration file (docs/joining.md).",
        dropped: &["Environment=", "StateDirectory="],
        config: Config::None,
        lines: [lines, vec![state.to_owned()]].concat(),
    };
    Ok(changes.of(shipped))
}

/// What of a shipped unit is another for a service without a configuration file.
struct Changes {
    /// In place of how to set the unit up.
    about: &'static str,
    /// What the lines that go begin with.
    dropped: &'static [&'static str],
    config: Config,
    /// What comes after the program.
    lines: Vec<String>,
}

/// Whether the program is told of a configuration.
#[derive(PartialEq, Eq)]
enum Config {
    Named,
    None,
}

impl Changes {
    fn of(&self, shipped: &str) -> String {
        let unit = shipped.lines().skip_while(|line| line.starts_with('#'));
        let mut text = format!("# {} Written by `anyproxy service install`.\n", self.about);
        for line in unit.filter(|line| !self.dropped.iter().any(|start| line.starts_with(start))) {
            let command = line.starts_with("ExecStart=");
            let line = match line.split_once(" --config ") {
                Some((command, _)) if self.config == Config::None => command,
                Some(_) | None => line,
            };
            let more =
                self.lines.iter().map(String::as_str).filter(|line| command && !line.is_empty());
            for line in std::iter::once(line).chain(more) {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

/// A variable of the service. Texts that systemd would read as something else are refused.
fn environment(name: &str, value: &str) -> Result<String, ServiceError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.+:,=[]*".contains(c);
    let specifier = value.starts_with("%S/");
    match value.strip_prefix("%S").filter(|_| specifier).unwrap_or(value) {
        text if text.chars().all(plain) => Ok(format!("Environment={name}={value}")),
        _ => Err(ServiceError::Text(value.into())),
    }
}

/// The path of this program; below another root, the one that the units have.
fn program(place: &Place) -> Result<String, ServiceError> {
    if !place.is_live() {
        return Ok(PROGRAM.into());
    }
    let path = env::current_exe()
        .map_err(|cause| ServiceError::File { path: "anyproxy".into(), cause })?;
    let hidden = !place.user
        && ["/home", "/root", "/run/user", "/tmp", "/var/tmp"]
            .iter()
            .any(|dir| path.starts_with(dir));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '+');
    match path.to_str() {
        Some(text) if !hidden && text.chars().all(plain) => Ok(text.into()),
        Some(_) | None => Err(ServiceError::Program(path)),
    }
}

/// The sockets of the gateway's configuration, or of the defaults while there is none.
fn socket(place: &Place, basis: &Basis) -> Result<String, ServiceError> {
    match basis {
        Basis::Nothing | Basis::Joined(_) => return Ok(SOCKET.into()),
        // Its proxies are where they are by default.
        Basis::Own(own) => return Ok(SOCKET.replace(LISTENING, &format!("={}\n", own.listening))),
        Basis::File => {}
    }
    let args = GatewayArgs {
        config: Some(place.config.clone()),
        data_dir: place.data_dir(),
        ..GatewayArgs::default()
    };
    let settings = GatewaySettings::load(&args, &LogArgs::default(), &mut Process)?.settings;
    let is_socket =
        |line: &&str| line.starts_with("ListenStream=") || line.starts_with("ListenDatagram=");
    let mut text = String::new();
    for line in SOCKET.lines().filter(|line| !is_socket(line)) {
        // Writing to a string cannot fail.
        let _always = writeln!(text, "{line}");
        if line == "[Socket]" {
            text.push_str(&listeners(&settings));
        }
    }
    Ok(text)
}

fn listeners(settings: &GatewaySettings) -> String {
    let https = settings.https.iter().flat_map(|https| &https.addrs);
    let doors = settings.http.iter().chain(https).chain(&settings.socks5).chain(&settings.mixed);
    let (tcp, udp) = match settings.transport {
        GatewayTransport::Both => (true, true),
        GatewayTransport::Ws => (true, false),
        GatewayTransport::Quic => (false, true),
    };
    let tunnels = tcp.then_some(&settings.listen);
    // Port 0 is another port at each start, so it cannot be held over a restart.
    let fixed = |addr: &&SocketAddr| addr.port() != 0;
    let streams: BTreeSet<_> = tunnels.into_iter().chain(doors).filter(fixed).collect();
    let mut lines: Vec<_> = streams.iter().map(|addr| format!("ListenStream={addr}\n")).collect();
    if udp && settings.listen.port() != 0 {
        lines.push(format!("ListenDatagram={}\n", settings.listen));
    }
    lines.concat()
}

fn client(place: &Place, basis: &Basis) -> Result<String, ServiceError> {
    let shipped = if place.user { USER_CLIENT } else { CLIENT };
    let configured = place.config.exists();
    let shipped = if configured && !place.user { with_files(place)? } else { shipped.to_owned() };
    let Basis::Joined(joined) = basis else { return Ok(shipped) };
    let mut lines = if place.user {
        vec![environment(STATE_DIR, &joined.directory.display().to_string())?]
    } else {
        // As with the directory of a gateway; the user that systemd makes up gets it.
        let state =
            ["StateDirectory=anyproxy-client", "StateDirectoryMode=0700"].map(str::to_owned);
        [&state[..], &[environment(STATE_DIR, "%S/anyproxy-client")?]].concat()
    };
    if let Some(forwards) = &joined.forwards {
        lines.push(environment(FORWARD, forwards)?);
    }
    let (dropped, config): (&[_], _) = if configured {
        (&[], Config::Named)
    } else {
        (&["LoadCredential=", "# In client.toml"], Config::None)
    };
    let about = "A client that joined with a token (docs/joining.md).";
    Ok(Changes { about, dropped, config, lines }.of(&shipped))
}

/// The client's unit, which is handed every file that its configuration names.
fn with_files(place: &Place) -> Result<String, ServiceError> {
    let raw: RawClient = Source::read(&place.config)?.parse()?;
    let files = [
        ("ca", &raw.ca),
        ("extra_ca", &raw.extra_ca),
        ("secret_file", &raw.secret_file),
        ("client_certificate", &raw.client_certificate),
        ("client_key", &raw.client_key),
        ("proxy_password_file", &raw.proxy_password_file),
    ];
    let mut names = BTreeSet::from(["client.toml"]);
    for (key, file) in files {
        let Some(name) = file.as_ref().map(Text::get_ref) else { continue };
        let name = plain_name(name)
            .ok_or_else(|| ServiceError::Elsewhere { config: place.config.clone(), key })?;
        names.insert(name);
    }
    let credentials: String = names
        .iter()
        .map(|name| format!("LoadCredential={name}:/etc/anyproxy-client/{name}\n"))
        .collect();
    let mut text = String::new();
    let mut credentials = Some(credentials);
    for line in CLIENT.lines() {
        if line.starts_with("LoadCredential=") {
            text.extend(credentials.take());
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    Ok(text)
}

/// A name in the same directory, which can be the name of a credential.
fn plain_name(name: &str) -> Option<&str> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let one = Path::new(name).components().count() == 1 && name != "..";
    Some(name).filter(|name| one && name.chars().all(known))
}
