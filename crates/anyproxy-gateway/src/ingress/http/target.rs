//! What a request to the proxy asks for (RFC 9112 section 3.2).
//!
//! ```text
//! CONNECT host:443            authority-form: a tunnel
//! GET http://host/path        absolute-form:  a request to pass on
//! GET /path, OPTIONS *        meant for a web server, which this is not
//! ```

use http::{
    HeaderMap, Method, Uri, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    request::Parts,
    uri::{PathAndQuery, Scheme},
};

use crate::ingress::target::{BadTarget, TargetAddr};

/// A request that can be served.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// CONNECT.
    Tunnel(TargetAddr),
    /// A plain request.
    Forward(Origin),
}

/// Where a plain request goes.
#[derive(Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whom to connect to.
    pub target: TargetAddr,
    /// The value of `Host`: the authority of the URI, without user information.
    pub host: String,
    /// The origin-form of the URI.
    pub path: PathAndQuery,
}

/// Why a request cannot be served. Its display is the text for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAsked {
    /// Origin-form or asterisk-form.
    #[error(
        "this is a proxy, not a web server; use it as one, for example: \
         curl --proxy http://user:password@gateway:port http://host/"
    )]
    NotAProxyRequest,
    /// A plain request for `https://`.
    #[error(
        "a proxy cannot make the TLS connection for you; ask for a tunnel with CONNECT host:443"
    )]
    Https,
    /// Any other scheme.
    #[error(
        "only http:// can be passed on; for anything else ask for a tunnel with CONNECT host:port"
    )]
    Scheme,
    /// CONNECT with a body, which means nothing (RFC 9110 section 9.3.6): behind the head of a
    /// CONNECT come bytes for the target, but not before the target is there.
    #[error("CONNECT takes no body; send what is for the target behind the 200")]
    Body,
    /// No usable target.
    #[error("the target {0}")]
    Target(#[from] BadTarget),
}

impl Asked {
    /// Reads the request line.
    pub fn of(request: &Parts) -> Result<Self, NotAsked> {
        if request.method == Method::CONNECT {
            if announces_body(&request.headers) {
                return Err(NotAsked::Body);
            }
            return tunnel(&request.uri).map(Self::Tunnel);
        }
        let (Some(scheme), Some(authority)) = (request.uri.scheme(), request.uri.authority())
        else {
            return Err(NotAsked::NotAProxyRequest);
        };
        if *scheme == Scheme::HTTPS {
            return Err(NotAsked::Https);
        }
        if *scheme != Scheme::HTTP {
            return Err(NotAsked::Scheme);
        }
        // RFC 9110 section 4.2.4: user information is not passed on.
        let host = without_userinfo(authority.as_str());
        let target = TargetAddr::parse(host, Some(80))?;
        Ok(Self::Forward(Origin { target, host: host.to_owned(), path: origin_form(request) }))
    }
}

/// RFC 9112 section 3.2.3: host and port, nothing else.
fn tunnel(uri: &Uri) -> Result<TargetAddr, NotAsked> {
    match (uri.scheme(), uri.authority(), uri.path_and_query()) {
        (None, Some(authority), None) => Ok(TargetAddr::parse(authority.as_str(), None)?),
        _ => Err(NotAsked::Target(BadTarget::NoPort)),
    }
}

fn announces_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
        || headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0")
}

/// Path and query. RFC 9112 section 3.2.1: an empty path is sent as `/`, also before a query; but
/// OPTIONS of the whole server as `*` (section 3.2.4).
fn origin_form(request: &Parts) -> PathAndQuery {
    let root = || PathAndQuery::from_static("/");
    if request.method == Method::OPTIONS && is_of_server(request) {
        return PathAndQuery::from_static("*");
    }
    match request.uri.path_and_query() {
        Some(path) if path.as_str().starts_with('/') => path.clone(),
        Some(query) => format!("/{}", query.as_str()).parse().unwrap_or_else(|_| root()),
        None => root(),
    }
}

/// Whether a request names no path at all. HTTP/2 says so (RFC 9113 section 8.3.1).
///
/// An [`Uri`] from an HTTP/1 head shows an empty path as `/`, and `OPTIONS http://host/`, which asks
/// about a page, must not become one about the server. But a path that was written is a piece of the
/// text that was read, right behind the authority.
fn is_of_server(request: &Parts) -> bool {
    let Some(path) = request.uri.path_and_query() else { return true };
    let Some(authority) = request.uri.authority() else { return false };
    let behind = authority.as_str().as_bytes().as_ptr_range().end;
    let is_written = request.version == Version::HTTP_2 || path.as_str().as_ptr() == behind;
    path.as_str() == "*" || (path.as_str() == "/" && !is_written)
}

fn without_userinfo(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests;
