use super::*;

#[test]
fn hosts_and_ports_are_read() {
    for (text, default, expected) in [
        ("example.com:443", None, "example.com:443"),
        ("example.com", Some(80), "example.com:80"),
        ("example.com:", Some(80), "example.com:80"),
        ("10.0.0.1:22", None, "10.0.0.1:22"),
        ("[::1]:22", None, "[::1]:22"),
        ("[2001:DB8::1]", Some(80), "[2001:db8::1]:80"),
        ("a_b.internal:65535", None, "a_b.internal:65535"),
    ] {
        assert_eq!(TargetAddr::parse(text, default).unwrap().as_str(), expected, "{text}");
    }
}

#[test]
fn malformed_targets_are_refused() {
    for (text, expected) in [
        ("example.com", BadTarget::NoPort),
        ("example.com:", BadTarget::NoPort),
        (":80", BadTarget::NoHost),
        ("", BadTarget::NoPort),
        ("example.com:0", BadTarget::Port),
        ("example.com:65536", BadTarget::Port),
        ("example.com:+80", BadTarget::Port),
        ("example.com:8o", BadTarget::Port),
        ("::1:22", BadTarget::Ipv6),
        ("[::1:22", BadTarget::Ipv6),
        ("[::1]22", BadTarget::Ipv6),
        ("[example.com]:22", BadTarget::Ipv6),
        ("[fe80::1%eth0]:22", BadTarget::Ipv6),
        ("a]b:22", BadTarget::Ipv6),
        ("user@example.com:22", BadTarget::Character),
        ("exa mple.com:22", BadTarget::Character),
        ("exa\u{7f}mple.com:22", BadTarget::Character),
        ("exa/mple.com:22", BadTarget::Character),
    ] {
        assert_eq!(TargetAddr::parse(text, None), Err(expected), "{text}");
    }
    let long = format!("{}:80", "a".repeat(510));
    assert_eq!(TargetAddr::parse(&long, None), Err(BadTarget::TooLong));
}

#[test]
fn bare_hosts_get_brackets_where_needed() {
    assert_eq!(TargetAddr::new("::1", 80).unwrap().as_str(), "[::1]:80");
    assert_eq!(TargetAddr::new("example.com", 80).unwrap().as_str(), "example.com:80");
    assert_eq!(TargetAddr::new("exam:ple", 80), Err(BadTarget::Ipv6));
    assert_eq!(TargetAddr::new("[", 80), Err(BadTarget::Ipv6));
    assert_eq!(TargetAddr::new("example.com", 0), Err(BadTarget::Port));
    assert_eq!(TargetAddr::new("", 80), Err(BadTarget::NoHost));
}
