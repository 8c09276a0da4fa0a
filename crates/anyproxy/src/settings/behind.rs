//! What stands in front of a gateway.

use anyproxy_transport::{Behind, ToldBy, Trusted};

use super::input::Input;
use crate::{
    config::{ConfigError, Problem, raw::RawGateway},
    values::{TrustedHeader, choice},
};

/// Of trusted proxies and the way in which they tell, neither means anything without the other, and
/// which way it is cannot be guessed safely.
pub(super) fn behind(input: &Input<'_>, raw: &RawGateway) -> Result<Behind, ConfigError> {
    let told_by =
        input.pick(None, raw.trusted_header.as_ref(), choice)?.map(|header| match header {
            TrustedHeader::ProxyProtocol => ToldBy::ProxyProtocol,
            TrustedHeader::Forwarded => ToldBy::Forwarded,
            TrustedHeader::XForwardedFor => ToldBy::XForwardedFor,
        });
    let trusted = match &raw.trusted_proxies {
        Some(raw) => Trusted::parse(raw.get_ref()).map_err(|error| {
            let fix = "for example [\"10.0.0.0/8\", \"unix\"]".to_owned();
            input.error_at(raw, Problem::Refused { what: error.to_string(), fix })
        })?,
        None => Trusted::default(),
    };
    match (&raw.trusted_proxies, &raw.trusted_header) {
        (Some(proxies), None) if !trusted.is_empty() => {
            return Err(input.error_at(
                proxies,
                Problem::Missing {
                    what: "`trusted_proxies` is there without `trusted_header`",
                    fix: "say how they tell where a client comes from: trusted_header = \
                          \"proxy-protocol\", \"forwarded\" or \"x-forwarded-for\"",
                },
            ));
        }
        (_, Some(header)) if trusted.is_empty() => {
            return Err(input.error_at(
                header,
                Problem::Missing {
                    what: "`trusted_header` is there without `trusted_proxies`",
                    fix: "say who is believed, for example trusted_proxies = [\"10.0.0.1\"] or \
                          [\"unix\"]; anybody can write such a header",
                },
            ));
        }
        _ => {}
    }
    let socket = raw.ws_socket.as_ref().map(|path| input.path(path).value);
    Ok(Behind { socket, trusted, told_by: told_by.unwrap_or_default() })
}
