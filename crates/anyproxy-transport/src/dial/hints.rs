//! What a person may do about a failure to reach the gateway.

use std::io;

use super::Dialer;
use crate::{
    error::TunnelError,
    net::{MORE_FILES, is_out_of_files},
    tls::Trust,
};

/// What rustls says of a certificate, and what a person may do.
const HINTS: [(&str, &str); 3] = [
    (
        "certificate not valid for name",
        "; set `server_name` to a name in the gateway's certificate",
    ),
    ("certificate expired", "; renew it on the gateway, for example with `anyproxy certs`"),
    ("certificate not valid yet", "; compare the clocks of both machines"),
];

/// Whoever answers there knows nothing newer than TLS 1.2.
const OLD_TLS: &str = "; TLS 1.3 is not spoken there: switch it on (nginx: ssl_protocols), or set \
                       `tls12 = true` if a middlebox speaks nothing newer";

/// The fix when there is no socket because there is no descriptor.
pub(super) fn files(error: &io::Error) -> String {
    if is_out_of_files(error) { format!("; {MORE_FILES}") } else { String::new() }
}

impl Dialer {
    /// The fix when the gateway's certificate is not accepted. Both transports pass rustls' own words
    /// on; a CA of the same name but another key is a bad signature to it, which would send people
    /// looking in the wrong place.
    pub(super) fn certificate_hint(&self, error: &TunnelError) -> &'static str {
        let TunnelError::Transport(text) = error else { return "" };
        if text.ends_with("fatal alert: ProtocolVersion") {
            return OLD_TLS;
        }
        let Some((_, what)) = text.split_once("invalid peer certificate: ") else { return "" };
        let other = HINTS.iter().find(|(words, _)| what.contains(words));
        if !what.starts_with("UnknownIssuer") && !what.starts_with("BadSignature") {
            return other.map_or("", |(_, hint)| hint);
        }
        match &self.config.trust {
            Trust::Ca(_) => {
                "; no CA of the client's CA file signed the gateway's certificate: use the CA file \
                 of this gateway"
            }
            Trust::SystemAnd(_) => {
                "; neither a CA of this system nor one of `extra_ca` signed it: set the CA file or \
                 pin of this gateway, or the CA of the proxy that inspects TLS"
            }
            Trust::System => {
                "; no CA of this system signed the gateway's certificate: set the CA file or pin of \
                 this gateway"
            }
            Trust::Pin(_) => "; the CA that the pin names did not sign it",
        }
    }
}
