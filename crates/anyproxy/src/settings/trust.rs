//! What makes a gateway the right one for a client.

use anyproxy_transport::tls::{Pin, Trust, TrustError};
use rustls_pki_types::ServerName;

use super::input::{Given, Input, Origin};
use crate::{
    cli::ClientArgs,
    config::{ConfigError, Problem, raw::RawClient},
    values::{HostPort, server_name},
};

/// The name that the gateway's certificate must carry: the one given, or the host to dial.
pub(super) fn expected_name(
    input: &Input<'_>,
    args: &ClientArgs,
    raw: &RawClient,
    gateway: &HostPort,
) -> Result<ServerName<'static>, ConfigError> {
    if let Some(flag) = &args.server_name {
        let origin = Origin::Flag("--server-name");
        return server_name(flag).map_err(|problem| input.error(&origin, problem));
    }
    if let Some(identity) = &args.identity {
        let origin = Origin::Flag("--join");
        return server_name(&identity.gateway.host)
            .map_err(|problem| input.error(&origin, problem));
    }
    if let Some(raw) = &raw.server_name {
        return input.read(raw, server_name);
    }
    let blame = |problem| match (&args.gateway, &raw.gateway) {
        (None, Some(raw)) => input.error_at(raw, problem),
        (Some(_), _) | (None, None) => input.error(&Origin::Flag("--gateway"), problem),
    };
    server_name(&gateway.host).map_err(blame)
}

/// What is trusted, with what `extra_ca` adds to it.
pub(super) fn trust(
    input: &Input<'_>,
    args: &ClientArgs,
    raw: &RawClient,
) -> Result<Trust, ConfigError> {
    let base = base(input, args, raw)?;
    and_extra(input, raw, base)
}

/// The CAs of `extra_ca` besides `base`.
pub(super) fn and_extra(
    input: &Input<'_>,
    raw: &RawClient,
    base: Trust,
) -> Result<Trust, ConfigError> {
    let Some(extra) = &raw.extra_ca else { return Ok(base) };
    if matches!(base, Trust::Pin(_)) {
        return Err(input.error_at(extra, Problem::Exclusive("extra_ca", "pin")));
    }
    let path = input.path(extra);
    let pem = input.read_pem(&path)?;
    base.and_ca_pem(&pem).map_err(|error| bad_ca(input, &path, &error))
}

/// A flag for any kind of trust replaces both keys of the file.
fn base(input: &Input<'_>, args: &ClientArgs, raw: &RawClient) -> Result<Trust, ConfigError> {
    // Without a pin it is as for any gateway.
    if let Some(pin) = args.identity.as_ref().and_then(|identity| identity.pin) {
        return match &args.ca {
            None => Ok(Trust::Pin(pin)),
            Some(_) => Err(input.error(&Origin::Flag("--ca"), pinned())),
        };
    }
    if let Some(path) = &args.ca {
        return ca(input, &Given { value: path.clone(), origin: Origin::Flag("--ca") });
    }
    if let Some(pin) = args.pin {
        return Ok(Trust::Pin(pin));
    }
    match (&raw.ca, &raw.pin) {
        (Some(_), Some(pin)) => Err(input.error_at(pin, Problem::Exclusive("ca", "pin"))),
        (Some(path), None) => ca(input, &input.path(path)),
        (None, Some(text)) => input.read(text, pin).map(Trust::Pin),
        (None, None) => Ok(Trust::System),
    }
}

fn pinned() -> Problem {
    Problem::Refused {
        what: "the token had the pin of the gateway's CA, and nothing else is trusted".into(),
        fix: "leave --ca out; it is for tokens without a pin".into(),
    }
}

fn pin(text: &str) -> Result<Pin, Problem> {
    text.parse().map_err(|_| Problem::NotA {
        text: text.into(),
        expected: "a pin (\"sha256:\" and 64 hexadecimal digits)",
        example: "what `anyproxy certs --show` prints",
    })
}

fn ca(input: &Input<'_>, path: &Given<std::path::PathBuf>) -> Result<Trust, ConfigError> {
    let pem = input.read_pem(path)?;
    Trust::from_ca_pem(&pem).map_err(|error| bad_ca(input, path, &error))
}

fn bad_ca(input: &Input<'_>, path: &Given<std::path::PathBuf>, error: &TrustError) -> ConfigError {
    let problem = Problem::BadFile {
        path: path.value.clone(),
        what: error.to_string(),
        fix: "name the gateway's ca.crt, or use its pin".into(),
    };
    input.error(&path.origin, problem)
}
