#![no_main]
//! What a request to the HTTP proxy asks for, and the log-in that it carries.

use anyproxy_fuzz::bounded;
use anyproxy_gateway::ingress::http::{
    auth::Login,
    target::{Asked, Origin},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Method, Request, Uri, Version, header};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    method: Verb,
    http_2: bool,
    uri: Text<'a>,
    fields: Vec<(Field, &'a [u8])>,
    login: Option<(&'a str, &'a [u8])>,
}

#[derive(Debug, Arbitrary)]
enum Verb {
    Get,
    Options,
    Connect,
}

#[derive(Debug, Arbitrary)]
enum Text<'a> {
    Raw(&'a [u8]),
    /// Gets past the scheme.
    Http(&'a str),
}

#[derive(Debug, Arbitrary)]
enum Field {
    Authorization,
    Host,
    Length,
    Coding,
}

fuzz_target!(|input: Input<'_>| {
    let fields: usize = input.fields.iter().map(|(_, value)| value.len() + 64).sum();
    let login = input.login.map_or(0, |(name, password)| name.len() + password.len());
    let uri = match input.uri {
        Text::Raw(bytes) => bytes.len(),
        Text::Http(text) => text.len(),
    };
    bounded(fields + login + uri, || check(&input));
});

fn check(input: &Input<'_>) {
    let uri = match input.uri {
        Text::Raw(bytes) => Uri::try_from(bytes),
        Text::Http(text) => Uri::try_from(format!("http://{text}")),
    };
    let Ok(uri) = uri else { return };
    let mut request = Request::new(());
    *request.uri_mut() = uri;
    *request.method_mut() = match input.method {
        Verb::Get => Method::GET,
        Verb::Options => Method::OPTIONS,
        Verb::Connect => Method::CONNECT,
    };
    *request.version_mut() = if input.http_2 { Version::HTTP_2 } else { Version::HTTP_11 };
    for (field, value) in &input.fields {
        let name = match field {
            Field::Authorization => header::PROXY_AUTHORIZATION,
            Field::Host => header::HOST,
            Field::Length => header::CONTENT_LENGTH,
            Field::Coding => header::TRANSFER_ENCODING,
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            request.headers_mut().append(name, value);
        }
    }
    let (mut parts, ()) = request.into_parts();
    match Asked::of(&parts) {
        Ok(Asked::Tunnel(_)) => assert_eq!(parts.method, Method::CONNECT),
        Ok(Asked::Forward(Origin { host, path, .. })) => {
            assert!(!host.contains('@') && HeaderValue::from_str(&host).is_ok());
            assert!(path.as_str().starts_with('/') || path.as_str() == "*");
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
    if let Some(login) = Login::of(&parts.headers) {
        assert!(!login.name().contains(':'));
    }
    // A log-in that is written as it should be is read as it was.
    if let Some((name, password)) = input.login {
        let text = STANDARD.encode([name.as_bytes(), b":", password].concat());
        let value = HeaderValue::from_str(&format!("Basic {text}")).expect("base64");
        parts.headers.insert(header::PROXY_AUTHORIZATION, value);
        let read = Login::of(&parts.headers);
        match name.contains(':') {
            false => {
                let read = read.expect("a log-in");
                assert_eq!((read.name(), read.password()), (name, password));
            }
            true => assert!(read.is_none_or(|read| name.starts_with(read.name()))),
        }
    }
}
