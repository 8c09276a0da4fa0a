//! The units, filled in.

use std::{
    collections::BTreeSet,
    env,
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{Place, ServiceError};
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

/// A file to write.
pub(super) struct Unit {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Every file of the service but its configuration.
pub(super) fn of(place: &Place) -> Result<Vec<Unit>, ServiceError> {
    let program = program(place)?;
    let mut units = vec![];
    for name in place.units() {
        let text = match (*name, place.user) {
            ("anyproxy-gateway.socket", _) => socket(place)?,
            (_, true) if place.side == Kind::Gateway => USER_GATEWAY.into(),
            (_, true) => USER_CLIENT.into(),
            (_, false) if place.side == Kind::Gateway => GATEWAY.into(),
            (_, false) => client(place)?,
        };
        let text = text.replace(PROGRAM, &program);
        units.push(Unit { path: place.unit(name), text });
    }
    units.extend(place.sysusers().map(|path| Unit { path, text: SYSUSERS.into() }));
    Ok(units)
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
fn socket(place: &Place) -> Result<String, ServiceError> {
    if !place.config.exists() {
        return Ok(SOCKET.into());
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

/// The client's unit, which is handed every file that its configuration names.
fn client(place: &Place) -> Result<String, ServiceError> {
    if !place.config.exists() {
        return Ok(CLIENT.into());
    }
    let raw: RawClient = Source::read(&place.config)?.parse()?;
    let files = [
        ("ca", &raw.ca),
        ("extra_ca", &raw.extra_ca),
        ("secret_file", &raw.secret_file),
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
