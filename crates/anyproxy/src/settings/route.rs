//! What a client's WebSocket meets on its way: an HTTP proxy, and the name in its request.
//!
//! The proxy is, in this order: `--proxy` or `ANYPROXY_PROXY`, `proxy` of the file, then what curl
//! takes: `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY`, unless `no_proxy` or `NO_PROXY` exempts
//! the gateway or it is on this machine. A proxy that a person names *here* is not subject to `NO_PROXY`.
//!
//! Its password comes from a file or a variable, like the group's secret. Only the common
//! variables may have it inside the URL, because there is no other place for it.

use anyproxy_transport::{HttpProxy, ProxyLogin, ProxyScheme, Route, tls::Trust};
use anyproxy_wire::handshake::Secret;

use super::{
    Warning,
    input::{Given, Input, Origin, Strength},
    outside::secret_from_bytes,
    trust::and_extra,
};
use crate::{
    cli::ClientArgs,
    config::{ConfigError, Place, Problem, raw::RawClient},
    values::{HostPort, ProxyTls, ProxyUrl, host_header, is_exempt},
};

/// What curl looks at, in its order: of each name the lower case first.
const PROXY_VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// Who is exempt.
const NO_PROXY_VARIABLES: [&str; 2] = ["no_proxy", "NO_PROXY"];
/// The proxy's password.
const PASSWORD_VARIABLE: &str = "ANYPROXY_PROXY_PASSWORD";

pub(super) fn route(
    input: &mut Input<'_>,
    args: &ClientArgs,
    raw: &RawClient,
    gateway: &HostPort,
) -> Result<Route, ConfigError> {
    let host = input.pick(None, raw.ws_host.as_ref(), host_header)?;
    let url = match named(input, args, raw)? {
        Some(Named::Off) => None,
        Some(Named::Proxy(url)) => Some(url),
        None => of_environment(input, gateway),
    };
    let proxy = url.map(|url| proxy(input, args, raw, url)).transpose()?;
    Ok(Route { proxy, host })
}

enum Named {
    Off,
    Proxy(ProxyUrl),
}

/// The proxy of the flag or the file.
fn named(
    input: &Input<'_>,
    args: &ClientArgs,
    raw: &RawClient,
) -> Result<Option<Named>, ConfigError> {
    let read = |text: &str| match text {
        "off" => Ok(Named::Off),
        text => {
            let url: ProxyUrl = text.parse()?;
            if url.password.is_some() { Err(password_in_url()) } else { Ok(Named::Proxy(url)) }
        }
    };
    if let Some(flag) = &args.proxy {
        let flag = read(flag).map_err(|problem| input.error(&Origin::Flag("--proxy"), problem));
        return flag.map(Some);
    }
    raw.proxy.as_ref().map(|text| input.read(text, read)).transpose()
}

fn password_in_url() -> Problem {
    Problem::Refused {
        what: "the proxy's password does not belong in its URL".into(),
        fix: "write http://user@host:port, and put the password into a file of mode 0600 that \
              `proxy_password_file` names, or into ANYPROXY_PROXY_PASSWORD"
            .into(),
    }
}

/// The proxy that all programs of this machine are to use. One that cannot be used is no error:
/// it was not set for us.
fn of_environment(input: &mut Input<'_>, gateway: &HostPort) -> Option<ProxyUrl> {
    let text = |name: &str| {
        input.outside.proxy_variable(name).and_then(|value| String::from_utf8(value).ok())
    };
    let exempt = NO_PROXY_VARIABLES.iter().find_map(|name| text(name)).unwrap_or_default();
    if is_here(&gateway.host) || is_exempt(&exempt, &gateway.host) {
        return None;
    }
    let (variable, url) =
        PROXY_VARIABLES.iter().find_map(|name| text(name).map(|url| (*name, url)))?;
    match url.parse() {
        Ok(url) => Some(url),
        Err(_) => {
            input.warnings.push(Warning::UnusableProxy { variable });
            None
        }
    }
}

/// No proxy leads back to this machine.
fn is_here(host: &str) -> bool {
    let ip = host.parse::<std::net::IpAddr>();
    ip.map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |ip| ip.to_canonical().is_loopback())
}

fn proxy(
    input: &mut Input<'_>,
    args: &ClientArgs,
    raw: &RawClient,
    url: ProxyUrl,
) -> Result<HttpProxy, ConfigError> {
    let given = password(input, args, raw)?;
    let login = match (url.user, given.or(url.password)) {
        (Some(user), Some(password)) => Some(ProxyLogin { user, password }),
        // Some proxies take a name, such as an API key, with an empty password.
        (Some(user), None) => Some(ProxyLogin { user, password: Secret::new("") }),
        (None, _) => None,
    };
    let scheme = match url.tls {
        ProxyTls::Off => ProxyScheme::Http,
        ProxyTls::On => ProxyScheme::Https(and_extra(input, raw, Trust::System)?),
    };
    Ok(HttpProxy { host: url.at.host, port: url.at.port, scheme, login })
}

/// The flag's file, the variable, or the file's file.
fn password(
    input: &mut Input<'_>,
    args: &ClientArgs,
    raw: &RawClient,
) -> Result<Option<Secret>, ConfigError> {
    if let Some(path) = &args.proxy_password_file {
        let origin = Origin::Flag("--proxy-password-file");
        let path = Given { value: path.clone(), origin };
        return input.secret_file(&path, Strength::Any).map(Some);
    }
    if let Some(value) = input.outside.proxy_variable(PASSWORD_VARIABLE) {
        let secret = secret_from_bytes(value, PASSWORD_VARIABLE);
        return secret.map(Some).map_err(|problem| ConfigError::new(Place::Start, problem));
    }
    let Some(path) = &raw.proxy_password_file else { return Ok(None) };
    let path = input.path(path);
    input.secret_file(&path, Strength::Any).map(Some)
}
