//! What a user is told about a connection that was not opened.
//!
//! The table of `docs/protocol.md` section 11, once: an [`OpenFailure`] becomes an HTTP status, the
//! error of `Proxy-Status` (RFC 9209 section 2.3), a SOCKS5 reply (RFC 1928 section 6), and one
//! line of text that names what failed and, where there is one, the fix.

use anyproxy_transport::OpenOutcome;
use anyproxy_wire::codes::OpenCode;
use http::StatusCode;

use super::{OpenFailure, Opened};

/// The four faces of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// For an HTTP proxy's user.
    pub status: StatusCode,
    /// The `error` parameter of `Proxy-Status`.
    pub proxy_error: &'static str,
    /// The REP field for a SOCKS5 user.
    pub socks: u8,
    /// One line for people. It may quote a peer: escape it for where it goes.
    pub text: String,
}

/// SOCKS5: general server failure.
const GENERAL: u8 = 0x01;
/// SOCKS5: not allowed by the rules.
const NOT_ALLOWED: u8 = 0x02;
/// SOCKS5: network unreachable.
const NETWORK: u8 = 0x03;
/// SOCKS5: host unreachable.
const HOST: u8 = 0x04;
/// SOCKS5: connection refused.
const REFUSED: u8 = 0x05;

impl Outcome {
    /// What to tell a user who asked for `target`.
    #[must_use]
    pub fn of(failure: &OpenFailure, target: &str) -> Self {
        match failure {
            OpenFailure::Refused { code, detail } => refused(*code, detail, target),
            OpenFailure::NoSession => row(
                (StatusCode::SERVICE_UNAVAILABLE, "destination_unavailable", GENERAL),
                format!("cannot reach {target}: no client of this group is connected; start one"),
            ),
            OpenFailure::Lost => row(
                (StatusCode::SERVICE_UNAVAILABLE, "destination_unavailable", GENERAL),
                format!(
                    "cannot reach {target}: the client left while it was connecting; try again"
                ),
            ),
            OpenFailure::TimedOut => row(
                (StatusCode::GATEWAY_TIMEOUT, "connection_timeout", HOST),
                format!("cannot reach {target}: the client did not answer in time"),
            ),
        }
    }
}

/// What is counted of it.
pub(super) fn counted(opened: &Result<Opened, OpenFailure>) -> OpenOutcome {
    match opened {
        Ok(_) => OpenOutcome::Answered(OpenCode::Connected),
        Err(OpenFailure::Refused { code, .. }) => OpenOutcome::Answered(*code),
        Err(OpenFailure::NoSession) => OpenOutcome::NoSession,
        Err(OpenFailure::Lost) => OpenOutcome::Lost,
        Err(OpenFailure::TimedOut) => OpenOutcome::NoAnswer,
    }
}

fn refused(code: OpenCode, detail: &str, target: &str) -> Outcome {
    let mut text = format!("cannot reach {target}: {code}");
    // A client may repeat the code as its detail.
    if !detail.is_empty() && !detail.eq_ignore_ascii_case(&code.to_string()) {
        text.push_str(" (");
        text.push_str(detail);
        text.push(')');
    }
    if let Some(fix) = fix(code) {
        text.push_str("; ");
        text.push_str(fix);
    }
    row(codes(code), text)
}

fn codes(code: OpenCode) -> (StatusCode, &'static str, u8) {
    match code {
        OpenCode::Refused => (StatusCode::BAD_GATEWAY, "connection_refused", REFUSED),
        OpenCode::NameNotFound => (StatusCode::BAD_GATEWAY, "dns_error", HOST),
        OpenCode::Denied => (StatusCode::FORBIDDEN, "http_request_denied", NOT_ALLOWED),
        OpenCode::HostUnreachable => (StatusCode::BAD_GATEWAY, "destination_ip_unroutable", HOST),
        OpenCode::NetworkUnreachable => {
            (StatusCode::BAD_GATEWAY, "destination_ip_unroutable", NETWORK)
        }
        OpenCode::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "connection_timeout", HOST),
        OpenCode::Reset => (StatusCode::BAD_GATEWAY, "connection_terminated", REFUSED),
        OpenCode::Overloaded => {
            (StatusCode::SERVICE_UNAVAILABLE, "connection_limit_reached", GENERAL)
        }
        OpenCode::Draining => (StatusCode::SERVICE_UNAVAILABLE, "destination_unavailable", GENERAL),
        OpenCode::BadTarget => (StatusCode::BAD_REQUEST, "http_request_error", GENERAL),
        OpenCode::LookupFailed => (StatusCode::GATEWAY_TIMEOUT, "dns_timeout", HOST),
        OpenCode::Abandoned
        | OpenCode::Connected
        | OpenCode::UnknownForward
        | OpenCode::Internal => (StatusCode::BAD_GATEWAY, "proxy_internal_error", GENERAL),
    }
}

/// What the user, or whoever runs the client, can do about it.
fn fix(code: OpenCode) -> Option<&'static str> {
    match code {
        OpenCode::Refused => Some("check that the service listens on that port"),
        OpenCode::NameNotFound => {
            Some("check the name; it is looked up where the client runs, not here")
        }
        OpenCode::Denied => Some("the client's allow list decides"),
        OpenCode::Overloaded | OpenCode::Draining | OpenCode::LookupFailed => Some("try again"),
        OpenCode::Abandoned
        | OpenCode::Connected
        | OpenCode::HostUnreachable
        | OpenCode::NetworkUnreachable
        | OpenCode::TimedOut
        | OpenCode::Reset
        | OpenCode::UnknownForward
        | OpenCode::BadTarget
        | OpenCode::Internal => None,
    }
}

fn row((status, proxy_error, socks): (StatusCode, &'static str, u8), text: String) -> Outcome {
    Outcome { status, proxy_error, socks, text }
}

#[cfg(test)]
mod tests;
