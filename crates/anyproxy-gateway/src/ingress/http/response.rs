//! Responses of our own.
//!
//! Each is one line of plain text. What the target or the client did wrong is also in
//! `Proxy-Status` (RFC 9209), which no origin can be mistaken for.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, PROXY_AUTHENTICATE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS},
};

use super::{
    auth,
    body::Reply,
    pace::{Author, Pace},
};
use crate::ingress::Outcome;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// After how many seconds a busy gateway may be asked again.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// Bytes of `details` at most; it is a summary, the body has the rest.
const MOST_DETAILS: usize = 300;

/// An answer of this gateway instead of the target's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// The `error` of `Proxy-Status`; `None` where no type of error says it.
    pub(super) proxy_error: Option<&'static str>,
    /// One line for people.
    pub(super) text: String,
}

impl Problem {
    /// The request makes no sense to a proxy.
    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            proxy_error: Some("http_request_error"),
            text: text.into(),
        }
    }

    /// No login, or a wrong one.
    pub(super) fn login_needed(text: &str) -> Self {
        let status = StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        Self { status, proxy_error: Some("http_request_denied"), text: text.to_owned() }
    }

    /// Log-ins are held back for now.
    pub(super) fn busy() -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            proxy_error: Some("http_request_denied"),
            text: "too many log-in attempts; try again in a few seconds".to_owned(),
        }
    }

    /// The request is legal, but asks for something that this proxy does not do.
    pub(super) fn not_implemented(text: &str) -> Self {
        Self { status: StatusCode::NOT_IMPLEMENTED, proxy_error: None, text: text.to_owned() }
    }

    /// The request did not come in time.
    pub(super) fn too_slow() -> Self {
        Self {
            status: StatusCode::REQUEST_TIMEOUT,
            proxy_error: Some("http_request_error"),
            text: "the request did not come in time".to_owned(),
        }
    }

    /// The target was connected, but the exchange with it failed.
    pub(super) fn bad_gateway(proxy_error: &'static str, text: String) -> Self {
        Self { status: StatusCode::BAD_GATEWAY, proxy_error: Some(proxy_error), text }
    }

    /// The whole response as bytes, for connections that carry no HTTP yet, or no more; `name` is
    /// this gateway's in `Proxy-Status`. The connection is to be closed behind it.
    pub(super) fn last_words(&self, name: &str) -> String {
        let line = one_line(&self.text);
        let details = proxy_status(name, self.proxy_error, &line);
        let details = details.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
        format!(
            "HTTP/1.1 {}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
             X-Content-Type-Options: nosniff\r\nProxy-Status: {details}\r\n\
             Content-Length: {}\r\n\r\n{line}\n",
            self.status,
            line.len().saturating_add(1),
        )
    }

    /// The response; `name` is this gateway's in `Proxy-Status`.
    pub(super) fn response(self, name: &str, pace: &Arc<Pace>) -> Response<Reply> {
        pace.answered_by(Author::Gateway);
        let mut line = one_line(&self.text);
        let details = proxy_status(name, self.proxy_error, &line);
        line.push('\n');
        let mut response = Response::new(Reply::text(Bytes::from(line), pace));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        // The text names what the user asked for; no browser may take it for a page.
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(details) = details {
            headers.insert(PROXY_STATUS, details);
        }
        if self.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            headers.insert(PROXY_AUTHENTICATE, auth::CHALLENGE);
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(RETRY_AFTER, RETRY_SECONDS);
        }
        response
    }
}

impl From<Outcome> for Problem {
    fn from(outcome: Outcome) -> Self {
        Self { status: outcome.status, proxy_error: Some(outcome.proxy_error), text: outcome.text }
    }
}

/// 200 to a CONNECT: from here on the connection is the target's.
pub(super) fn connected(pace: &Arc<Pace>) -> Response<Reply> {
    pace.answered_by(Author::Gateway);
    Response::new(Reply::text(Bytes::new(), pace))
}

/// Control characters, which a peer may have sent, become spaces.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `name; error=…; details="…"`, or without an error (RFC 9209 section 2, with the strings of RFC 9651 section 3.3.3).
fn proxy_status(name: &str, error: Option<&str>, details: &str) -> Option<HeaderValue> {
    let name = if is_token(name) { name.to_owned() } else { quoted(name) };
    let error = error.map_or_else(String::new, |error| format!("; error={error}"));
    HeaderValue::from_str(&format!("{name}{error}; details={}", quoted(details))).ok()
}

/// An sf-token (RFC 9651 section 3.3.4).
fn is_token(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '*')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c))
}

/// An sf-string: printable ASCII in quotes, at most [`MOST_DETAILS`] characters.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for c in text.chars().take(MOST_DETAILS) {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => out.push('?'),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
