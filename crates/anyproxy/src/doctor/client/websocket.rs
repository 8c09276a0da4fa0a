//! The HTTP proxy and the WebSocket.

use anyproxy_transport::{DialError, ProxyError};

use super::{Need, Through, Tried};
use crate::{doctor::Finding, settings::ClientSettings};

/// Whether the HTTP proxy, if there is one, lets us through.
pub(super) fn proxy(settings: &ClientSettings, tried: &Tried, through: Through) -> Option<Finding> {
    let proxy = settings.route.proxy.as_ref()?;
    match tried.outcome.as_ref()? {
        Err(DialError::Proxy { source, .. }) => {
            let (value, fix) = of_proxy(source);
            Some(tried.failed("proxy", format!("{proxy}: {value}"), through).fix(fix))
        }
        Ok(_) | Err(DialError::Through { .. }) => {
            Some(Finding::ok("proxy", format!("{proxy} lets us through")))
        }
        Err(
            DialError::Resolve { .. }
            | DialError::Socket { .. }
            | DialError::Connect { .. }
            | DialError::TimedOut { .. },
        ) => None,
    }
}

/// What a proxy said, and what to do.
fn of_proxy(error: &ProxyError) -> (String, &'static str) {
    let text = error.to_string();
    let fix = match error {
        ProxyError::LoginWanted(_) => {
            "set proxy = \"http://USER@HOST:PORT\" and proxy_password_file = \"FILE\" (or \
             ANYPROXY_PROXY_PASSWORD)"
        }
        ProxyError::LoginRefused { .. } => {
            "correct the user and the password, in `proxy` and `proxy_password_file` or in HTTPS_PROXY"
        }
        ProxyError::OtherScheme(_) => {
            "run a relay that speaks it, such as cntlm, and set proxy = \"http://127.0.0.1:3128\""
        }
        ProxyError::Forbidden(_) => {
            "have the gateway allowed there; many proxies let only port 443 through"
        }
        ProxyError::BadGateway { .. } => "check the gateway's name and port in `gateway`",
        ProxyError::Resolve(_) | ProxyError::Connect(_) | ProxyError::TimedOut => {
            "check host and port in `proxy`, or set proxy = \"off\" if none is needed"
        }
        ProxyError::Tls(_) => {
            "write proxy = \"http://…\" if it speaks no TLS, or name its CA with `extra_ca`"
        }
        ProxyError::Refused { .. }
        | ProxyError::Garbage(_)
        | ProxyError::Closed
        | ProxyError::Broken(_) => "name an HTTP proxy that knows CONNECT with `proxy`",
    };
    let advised = matches!(
        error,
        ProxyError::LoginWanted(_)
            | ProxyError::LoginRefused { .. }
            | ProxyError::OtherScheme(_)
            | ProxyError::Forbidden(_)
            | ProxyError::BadGateway { .. }
    );
    // These end with their own advice.
    match text.split_once(": ").filter(|_| advised) {
        Some((what, _)) => (what.to_owned(), fix),
        None => (text, fix),
    }
}

/// Whether the gateway takes a WebSocket.
pub(super) fn upgrade(settings: &ClientSettings, tried: &Tried, through: Through) -> Finding {
    const CHECK: &str = "websocket";
    let path = &settings.ws_path;
    let Some(outcome) = &tried.outcome else {
        return Finding::skip(CHECK, "transport = \"quic\" does not use it");
    };
    let verified = tried.presented.as_ref().is_some_and(|shown| shown.verdict.is_ok());
    match outcome {
        Ok(connected) => {
            let tls = connected.tls().unwrap_or("TLS");
            Finding::ok(CHECK, format!("{tls}, upgraded at {path}")).took(tried.took)
        }
        Err(DialError::Proxy { .. }) => Finding::skip(CHECK, "the proxy lets nothing through"),
        Err(_) if tried.presented.as_ref().is_some_and(|shown| shown.verdict.is_err()) => {
            Finding::skip(CHECK, "the certificate is not accepted")
        }
        Err(DialError::Connect { source, .. } | DialError::Through { source, .. }) if verified => {
            tried.failed(CHECK, source.to_string(), through).fix(
                "set `ws_path` to the gateway's, and let a reverse proxy in front pass upgrades on \
                 (docs/firewalls.md)",
            )
        }
        Err(DialError::Resolve { .. }) => {
            Finding::skip(CHECK, "the gateway's name leads nowhere")
        }
        Err(DialError::Connect { source, .. } | DialError::Through { source, .. })
            if speaks_no_tls(&source.to_string()) =>
        {
            tried.failed(CHECK, "what answers there speaks no TLS", through).fix(
                "write the gateway's tunnel port into `gateway`; this one is of something else, or of a reverse \
                 proxy without TLS",
            )
        }
        Err(DialError::TimedOut { .. }) => {
            tried.failed(CHECK, "it is not answered in time", through).fix(other(tried.need))
        }
        Err(error) => tried.failed(CHECK, error.to_string(), through).fix(
            "start a gateway there whose `transport` is \"both\" or \"ws\", and let TCP pass to it",
        ),
    }
}

/// Whether bytes came that begin no TLS record (RFC 8446, section 5.1).
fn speaks_no_tls(error: &str) -> bool {
    error.contains("InvalidContentType")
}

fn other(need: Need) -> &'static str {
    match need {
        Need::Only => "let TCP pass to the gateway, or set transport = \"auto\"",
        Need::Either | Need::None => "let TCP pass to the gateway",
    }
}
