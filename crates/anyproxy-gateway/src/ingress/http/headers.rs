//! The header fields that end at a proxy (RFC 9110 section 7.6.1), in both directions.
//!
//! No `Via`, `Forwarded` or `X-Forwarded-For` is added: who uses the proxy is nobody else's
//! business, and the target sees the client as its peer. What a user sends of these is passed on
//! as any other field; nothing here believes it.

use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Version,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
    },
    request, response,
};
use hyper::body::Body;

use super::target::Origin;

/// Fields that end here even when `Connection` does not name them.
const ONE_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authentication-info"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The protocol that a request wants to switch to (RFC 9110 section 7.8).
pub(super) fn upgrade_of(request: &request::Parts) -> Option<HeaderValue> {
    // HTTP/1.0 has no upgrade.
    if request.version != Version::HTTP_11 || !has_option(&request.headers, "upgrade") {
        return None;
    }
    request.headers.get(UPGRADE).cloned()
}

/// Whether a message is coded in another way than `chunked`. Such a coding is of one hop (RFC 9112
/// section 7): who passes the body on has to undo it, and nobody here can.
pub(super) fn is_coded(headers: &HeaderMap) -> bool {
    let mut codings = headers
        .get_all(TRANSFER_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|coding| !coding.is_empty());
    let first = codings.next();
    first.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"chunked")) || codings.next().is_some()
}

/// Turns a user's request into the one for the target.
pub(super) fn to_target<B: Body>(
    request: &mut request::Parts,
    body: &B,
    origin: &Origin,
    upgrade: Option<&HeaderValue>,
) {
    let headers = &mut request.headers;
    let trailers = has_member(headers, &TE, "trailers");
    strip(headers);
    reframe(headers, body);
    if !body.is_end_stream() && body.size_hint().exact().is_none() {
        // hyper sends no body with GET unless the framing is given.
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.append(CONNECTION, HeaderValue::from_static("te"));
    }
    if let Some(protocol) = upgrade {
        set_upgrade(headers, protocol.clone());
    }
    if request.version == Version::HTTP_2 {
        join_cookies(headers);
    }
    // RFC 9112 section 3.2.2: what the user wrote in Host does not count.
    headers.remove(HOST);
    if let Ok(host) = HeaderValue::from_str(&origin.host) {
        headers.insert(HOST, host);
    }
    request.uri = origin.path.clone().into();
    request.version = Version::HTTP_11;
}

/// Turns a target's response into the one for a user who speaks `version`.
pub(super) fn to_user<B: Body>(response: &mut response::Parts, body: &B, version: Version) {
    let upgrade = response.headers.get(UPGRADE).cloned();
    strip(&mut response.headers);
    reframe(&mut response.headers, body);
    // 101 names the new protocol, 426 the one that is required; elsewhere it is only an offer that
    // holds for one hop.
    let names_protocol =
        matches!(response.status, StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED);
    // HTTP/2 has no upgrade (RFC 9113 section 8.6).
    if version != Version::HTTP_2
        && names_protocol
        && let Some(protocol) = upgrade
    {
        set_upgrade(&mut response.headers, protocol);
    }
    response.version = version.max(Version::HTTP_11);
}

/// What the user gets of an informational response's fields; it has no body.
pub(super) fn of_interim(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    strip(&mut headers);
    headers.remove(CONTENT_LENGTH);
    headers
}

/// Whether a request logs its *connection* in: NTLM, or Negotiate (RFC 4559), which proxies have to
/// take for the same.
pub(super) fn authenticates_connection(headers: &HeaderMap) -> bool {
    headers.get_all(AUTHORIZATION).iter().any(names_connection_scheme)
}

/// Whether a response asks for that. A challenge may stand anywhere in a list; what only looks
/// like one there costs a connection, nothing else.
pub(super) fn challenges_connection(headers: &HeaderMap) -> bool {
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter();
    challenges.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).any(is_of_connection)
}

fn names_connection_scheme(value: &HeaderValue) -> bool {
    is_of_connection(value.as_bytes())
}

fn is_of_connection(credentials: &[u8]) -> bool {
    let text = credentials.trim_ascii();
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    let (scheme, _) = text.split_at(end);
    [&b"NTLM"[..], b"Negotiate", b"Kerberos"].iter().any(|one| scheme.eq_ignore_ascii_case(one))
}

/// RFC 9113 section 8.2.3: HTTP/2 may carry a cookie in pieces, nothing else may.
fn join_cookies(headers: &mut HeaderMap) {
    let pieces = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    if pieces.len() < 2 {
        return;
    }
    if let Ok(whole) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        headers.insert(COOKIE, whole);
    }
}

fn set_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(UPGRADE, protocol);
    headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
}

/// Removes what belongs to one hop only.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = options(headers)
        .filter_map(|option| HeaderName::from_bytes(option.as_bytes()).ok())
        .collect();
    for name in named.iter().chain(&ONE_HOP) {
        headers.remove(name);
    }
}

/// Leaves the framing of a message to hyper, which knows how long the body really is. Two lengths,
/// or a length next to a transfer coding, are how requests are smuggled (RFC 9112 section 11.2).
fn reframe<B: Body>(headers: &mut HeaderMap, body: &B) {
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    // Without a body the length says something else: that of a HEAD's GET, or an explicit zero.
    if !body.is_end_stream() || lengths > 1 {
        headers.remove(CONTENT_LENGTH);
    }
}

/// The options of `Connection`.
fn options(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    members(headers, &CONNECTION)
}

fn has_option(headers: &HeaderMap, option: &str) -> bool {
    options(headers).any(|member| member.eq_ignore_ascii_case(option))
}

fn has_member(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    members(headers, name).any(|member| member.eq_ignore_ascii_case(wanted))
}

/// The members of a comma-separated field, over all its lines.
fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests;
