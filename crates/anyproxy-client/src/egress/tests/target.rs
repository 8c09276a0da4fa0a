use std::net::IpAddr;

use crate::egress::{NameError, Target, TargetError, name::Name, target::Host};

fn parse(text: &str) -> Result<Target, TargetError> {
    text.parse()
}

fn address(text: &str) -> Option<IpAddr> {
    match parse(text).unwrap().host {
        Host::Address(ip) => Some(ip),
        Host::Name(_) => None,
    }
}

#[test]
fn canonical_addresses_are_addresses() {
    for (text, ip) in [
        ("10.0.0.1:80", "10.0.0.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:DB8:0:0::1]:443", "2001:db8::1"),
        ("[::1]:1", "::1"),
        ("[::]:1", "::"),
    ] {
        assert_eq!(address(text), Some(ip.parse().unwrap()), "{text}");
    }
}

#[test]
fn ipv4_inside_ipv6_is_ipv4() {
    for text in ["[::ffff:10.0.0.1]:80", "[::ffff:a00:1]:80", "[::10.0.0.1]:80", "[::a00:1]:80"] {
        assert_eq!(address(text), Some("10.0.0.1".parse().unwrap()), "{text}");
    }
}

#[test]
fn numbers_in_other_bases_are_names() {
    for text in [
        "2130706433:80",
        "0177.0.0.1:80",
        "0x7f.1:80",
        "0x7f000001:80",
        "127.1:80",
        "127.0.1:80",
        "0:80",
        "10.0.0.01:80",
        "127.0.0.1.:80",
        "1.2.3.4.5:80",
        "256.0.0.1:80",
    ] {
        assert_eq!(address(text), None, "{text}");
    }
}

#[test]
fn names_are_lower_case_and_keep_their_final_dot_for_the_resolver() {
    let Host::Name(name) = parse("DB.Corp.:5432").unwrap().host else { panic!("an address") };
    assert_eq!((name.asked(), name.compared()), ("db.corp.", "db.corp"));
}

#[test]
fn bad_targets_say_what_is_wrong() {
    use TargetError as E;
    for (text, error) in [
        ("", E::PortMissing),
        ("host", E::PortMissing),
        ("[::1]", E::PortMissing),
        ("[::1]80", E::PortMissing),
        ("host:", E::Port),
        ("host:0", E::Port),
        ("host:65536", E::Port),
        ("host:+80", E::Port),
        ("host: 80", E::Port),
        ("host:http", E::Port),
        ("host:８０", E::Port),
        ("::1:80", E::Brackets),
        ("fe80::1%1:80", E::Brackets),
        ("[::1:80", E::Brackets),
        ("::1]:80", E::Brackets),
        ("a[b]:80", E::Brackets),
        ("[10.0.0.1]:80", E::Ipv6),
        ("[]:80", E::Ipv6),
        ("[host]:80", E::Ipv6),
        ("[::ffff:010.0.0.1]:80", E::Ipv6),
        ("[fe80::1%eth0]:80", E::Zone),
        ("[fe80::1%251]:80", E::Zone),
        (":80", E::Name(NameError::Missing)),
        (".:80", E::Name(NameError::Missing)),
        ("a..b:80", E::Name(NameError::Label)),
        (".a:80", E::Name(NameError::Label)),
        ("a%41:80", E::Name(NameError::Character('%'))),
        ("user@host:80", E::Name(NameError::Character('@'))),
        ("host/x:80", E::Name(NameError::Character('/'))),
        ("evil。corp:80", E::Name(NameError::Character('。'))),
        ("a\0b:80", E::Name(NameError::Character('\0'))),
        ("a b:80", E::Name(NameError::Character(' '))),
    ] {
        assert_eq!(parse(text), Err(error), "{text:?}");
    }
    let long = format!("{}:80", ["a"; 128].join("."));
    assert_eq!(parse(&long), Err(E::Name(NameError::TooLong)));
    assert_eq!(parse(&format!("{}:80", "a".repeat(64))), Err(E::Name(NameError::Label)));
    assert!(parse(&format!("{}:80", ["a"; 127].join("."))).is_ok());
}

#[test]
fn targets_are_shown_as_they_are_written() {
    for text in ["db.corp:5432", "db.corp.:5432", "10.0.0.1:80", "[2001:db8::1]:443"] {
        assert_eq!(parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn what_ends_in_a_number() {
    for (text, expected) in [
        ("127.1", true),
        ("0x7f.1", true),
        ("host.0x", true),
        ("host.0xff", true),
        ("1.2.3.4.5", true),
        ("127.0.0.1.", true),
        ("1.example", false),
        ("0xfg", false),
        ("host1", false),
        ("xn--p1ai", false),
    ] {
        assert_eq!(Name::parse(text).unwrap().ends_in_number(), expected, "{text}");
    }
}
