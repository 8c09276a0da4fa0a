use super::*;

fn asked(method: &str, uri: &str) -> Result<Asked, NotAsked> {
    let request = http::Request::builder().method(method).uri(uri).body(()).unwrap();
    Asked::of(&request.into_parts().0)
}

fn origin(uri: &str) -> (String, String, String) {
    match asked("GET", uri).unwrap() {
        Asked::Forward(origin) => {
            (origin.target.to_string(), origin.host, origin.path.as_str().to_owned())
        }
        Asked::Tunnel(target) => panic!("a tunnel to {target}"),
    }
}

#[test]
fn options_of_a_server_is_not_options_of_its_first_page() {
    let path = |version: Version, uri: http::Uri| {
        let request = http::Request::options(uri).version(version).body(()).unwrap();
        match Asked::of(&request.into_parts().0).unwrap() {
            Asked::Forward(origin) => origin.path.as_str().to_owned(),
            Asked::Tunnel(target) => panic!("a tunnel to {target}"),
        }
    };
    for (uri, expected) in [
        ("http://example.com", "*"),
        ("http://ann:secret@example.com:81", "*"),
        ("http://example.com/", "/"),
        ("http://example.com:81/", "/"),
        ("http://example.com?q", "/?q"),
        ("http://example.com/x", "/x"),
    ] {
        assert_eq!(path(Version::HTTP_11, uri.parse().unwrap()), expected, "{uri}");
    }
    for expected in ["*", "/", "/x"] {
        let uri = http::Uri::builder().scheme("http").authority("example.com");
        let uri = uri.path_and_query(expected).build().unwrap();
        assert_eq!(path(Version::HTTP_2, uri), expected);
    }
}

#[test]
fn a_connect_with_a_body_is_refused() {
    for (name, value, refused) in [
        ("content-length", "5", true),
        ("content-length", "0", false),
        ("transfer-encoding", "chunked", true),
    ] {
        let request = http::Request::connect("example.com:443").header(name, value);
        let asked = Asked::of(&request.body(()).unwrap().into_parts().0);
        assert_eq!(asked == Err(NotAsked::Body), refused, "{name}: {value}");
    }
}

#[test]
fn connect_takes_host_and_port() {
    for text in ["example.com:443", "[2001:db8::1]:443", "10.0.0.1:22"] {
        let target = TargetAddr::parse(text, None).unwrap();
        assert_eq!(asked("CONNECT", text), Ok(Asked::Tunnel(target)), "{text}");
    }
}

#[test]
fn connect_without_a_usable_port_is_refused() {
    for (text, wrong) in [
        ("example.com", BadTarget::NoPort),
        ("example.com:0", BadTarget::Port),
        ("example.com:99999", BadTarget::Port),
        ("user:pw@example.com:1", BadTarget::Ipv6),
        ("user@example.com:1", BadTarget::Character),
    ] {
        assert_eq!(asked("CONNECT", text), Err(NotAsked::Target(wrong)), "{text}");
    }
    assert_eq!(asked("CONNECT", "/path"), Err(NotAsked::Target(BadTarget::NoPort)));
    assert_eq!(
        asked("CONNECT", "http://example.com:80/"),
        Err(NotAsked::Target(BadTarget::NoPort))
    );
}

#[test]
fn absolute_form_gives_target_host_and_path() {
    for (uri, target, host, path) in [
        ("http://example.com", "example.com:80", "example.com", "/"),
        ("http://example.com?q=1", "example.com:80", "example.com", "/?q=1"),
        ("HTTP://Example.com:8080/a/b?c#d", "Example.com:8080", "Example.com:8080", "/a/b?c"),
        ("http://[2001:db8::1]/x", "[2001:db8::1]:80", "[2001:db8::1]", "/x"),
        ("http://[::1]:81/x", "[::1]:81", "[::1]:81", "/x"),
        ("http://ann:secret@example.com/x", "example.com:80", "example.com", "/x"),
    ] {
        assert_eq!(origin(uri), (target.into(), host.into(), path.into()), "{uri}");
    }
}

#[test]
fn other_forms_are_refused_with_advice() {
    assert_eq!(asked("GET", "/index.html"), Err(NotAsked::NotAProxyRequest));
    assert_eq!(asked("OPTIONS", "*"), Err(NotAsked::NotAProxyRequest));
    assert_eq!(asked("GET", "https://example.com/"), Err(NotAsked::Https));
    assert_eq!(asked("GET", "ftp://example.com/"), Err(NotAsked::Scheme));
    assert_eq!(asked("GET", "http://example.com:99999/"), Err(NotAsked::Target(BadTarget::Port)));
    assert!(NotAsked::NotAProxyRequest.to_string().contains("this is a proxy"));
}
