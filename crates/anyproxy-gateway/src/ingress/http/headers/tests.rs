use bytes::Bytes;
use http::{Request, Response, request::Builder};
use http_body_util::{Empty, Full};

use super::*;
use crate::ingress::http::target::Asked;

fn request(build: impl FnOnce(Builder) -> Builder) -> (request::Parts, Origin) {
    let builder = Request::builder().uri("http://ann@example.com:81/a?b").header(HOST, "evil");
    let (parts, ()) = build(builder).body(()).unwrap().into_parts();
    match Asked::of(&parts).unwrap() {
        Asked::Forward(origin) => (parts, origin),
        Asked::Tunnel(target) => panic!("a tunnel to {target}"),
    }
}

fn passed(build: impl FnOnce(Builder) -> Builder) -> request::Parts {
    let (mut parts, origin) = request(build);
    let upgrade = upgrade_of(&parts);
    to_target(&mut parts, &Empty::<Bytes>::new(), &origin, upgrade.as_ref());
    parts
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[test]
fn a_request_becomes_origin_form_with_the_host_of_its_uri() {
    let parts = passed(|builder| builder.header(HOST, "second").version(Version::HTTP_10));
    assert_eq!(parts.uri, "/a?b");
    assert_eq!(values(&parts.headers, "host"), ["example.com:81"]);
    assert_eq!(parts.version, Version::HTTP_11);
}

#[test]
fn fields_of_one_hop_are_removed() {
    let parts = passed(|builder| {
        builder
            .header("connection", "close, X-Private")
            .header("connection", "x-other,,")
            .header("x-private", "1")
            .header("x-other", "1")
            .header("keep-alive", "timeout=5")
            .header("proxy-connection", "keep-alive")
            .header("proxy-authorization", "Basic YTpi")
            .header("te", "gzip")
            .header("transfer-encoding", "chunked")
            .header("upgrade", "websocket")
            .header("accept", "*/*")
            .header("x-forwarded-for", "203.0.113.9")
    });
    let mut names: Vec<_> = parts.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    // What the user says about itself is its own affair; nothing is added.
    assert_eq!(names, ["accept", "host", "x-forwarded-for"]);
}

#[test]
fn the_wish_for_trailers_is_passed_on() {
    let parts = passed(|builder| builder.header("te", "gzip, Trailers").header("trailer", "x-sum"));
    assert_eq!(values(&parts.headers, "te"), ["trailers"]);
    assert_eq!(values(&parts.headers, "connection"), ["te"]);
    assert_eq!(values(&parts.headers, "trailer"), ["x-sum"]);
}

#[test]
fn an_upgrade_is_passed_on_only_when_connection_names_it() {
    let parts = passed(|builder| {
        builder.header("connection", "keep-alive, Upgrade").header("upgrade", "websocket")
    });
    assert_eq!(values(&parts.headers, "upgrade"), ["websocket"]);
    assert_eq!(values(&parts.headers, "connection"), ["upgrade"]);
    let parts = passed(|builder| {
        builder
            .version(Version::HTTP_10)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
    });
    assert!(values(&parts.headers, "upgrade").is_empty());
}

#[test]
fn two_framings_become_one() {
    let (mut parts, origin) =
        request(|builder| builder.header("content-length", "5").header("content-length", "7"));
    to_target(&mut parts, &Full::new(Bytes::from_static(b"hello")), &origin, None);
    assert!(values(&parts.headers, "content-length").is_empty(), "hyper sets the true one");

    let parts = passed(|builder| builder.header("content-length", "0"));
    assert_eq!(values(&parts.headers, "content-length"), ["0"]);
    let parts =
        passed(|builder| builder.header("content-length", "0").header("content-length", "9"));
    assert!(values(&parts.headers, "content-length").is_empty());
}

#[test]
fn a_response_loses_the_same_fields_and_keeps_proxy_status() {
    let mut parts = Response::builder()
        .version(Version::HTTP_10)
        .header("connection", "close, x-hop")
        .header("x-hop", "1")
        .header("upgrade", "h2c")
        .header("proxy-authenticate", "Basic realm=\"phish\"")
        .header("proxy-status", "inner; error=dns_error")
        .header("content-length", "12")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    to_user(&mut parts, &Empty::<Bytes>::new(), Version::HTTP_11);
    let mut names: Vec<_> = parts.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    // The length of a response to HEAD is that of the GET.
    assert_eq!(names, ["content-length", "proxy-status"]);
    assert_eq!(parts.version, Version::HTTP_11);
}

#[test]
fn a_101_and_a_426_name_their_protocol() {
    for status in [101, 426] {
        let response = Response::builder().status(status).header("upgrade", "websocket");
        let mut parts = response.header("connection", "Upgrade").body(()).unwrap().into_parts().0;
        to_user(&mut parts, &Empty::<Bytes>::new(), Version::HTTP_11);
        assert_eq!(values(&parts.headers, "upgrade"), ["websocket"], "{status}");
        assert_eq!(values(&parts.headers, "connection"), ["upgrade"], "{status}");
    }
}

#[test]
fn cookies_in_pieces_become_one_for_users_of_http_2() {
    for (version, expected) in
        [(Version::HTTP_2, &["a=1; b=2; c=3"][..]), (Version::HTTP_11, &["a=1; b=2", "c=3"])]
    {
        let parts = passed(|builder| {
            builder.version(version).header("cookie", "a=1; b=2").header("cookie", "c=3")
        });
        assert_eq!(values(&parts.headers, "cookie"), expected);
    }
}

#[test]
fn log_ins_of_a_connection_are_told_from_those_of_a_request() {
    for (value, of_connection) in [
        ("NTLM TlRM", true),
        ("ntlm", true),
        ("Negotiate YII=", true),
        ("Kerberos x", true),
        ("Basic bnRsbTpudGxt", false),
        ("Bearer NTLM", false),
        ("Negotiated x", false),
        ("", false),
    ] {
        let headers = |name| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        assert_eq!(authenticates_connection(&headers(AUTHORIZATION)), of_connection, "{value}");
        assert_eq!(challenges_connection(&headers(WWW_AUTHENTICATE)), of_connection, "{value}");
    }
    for (value, of_connection) in [
        ("Basic realm=\"x\", NTLM", true),
        ("Basic realm=\"x\",negotiate , Digest nonce=\"y\"", true),
        ("Basic realm=\"NTLM\"", false),
    ] {
        let challenge = HeaderMap::from_iter([(WWW_AUTHENTICATE, HeaderValue::from_static(value))]);
        assert_eq!(challenges_connection(&challenge), of_connection, "{value}");
    }
}

#[test]
fn an_upgrade_is_not_named_to_users_of_http_2() {
    let offer = Response::builder().status(426).header("connection", "upgrade");
    let (mut parts, ()) = offer.header("upgrade", "h2c").body(()).unwrap().into_parts();
    to_user(&mut parts, &Empty::<Bytes>::new(), Version::HTTP_2);
    assert!(parts.headers.is_empty(), "{:?}", parts.headers);
    assert_eq!(parts.version, Version::HTTP_2);
}

#[test]
fn only_chunked_is_understood() {
    for (codings, coded) in [
        (&[][..], false),
        (&["chunked"][..], false),
        (&["Chunked, "], false),
        (&["gzip, chunked"], true),
        (&["gzip", "chunked"], true),
        (&["chunked, chunked"], true),
        (&["gzip"], true),
        (&["identity"], true),
    ] {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(TRANSFER_ENCODING, HeaderValue::from_static(coding));
        }
        assert_eq!(is_coded(&headers), coded, "{codings:?}");
    }
}
