use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use crate::egress::{NameError, RuleError, name::Name, rule::Rule};

fn rule(text: &str) -> Rule {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn every_form_has_one_canonical_spelling() {
    for (text, canonical) in [
        ("*", "*"),
        ("*:443", "*:443"),
        ("*:*", "*"),
        ("host", "host"),
        ("Host.Example.", "host.example"),
        ("host:*", "host"),
        ("host:1-65535", "host"),
        ("host:22", "host:22"),
        ("host:22-22", "host:22"),
        ("*.Corp:8000-9000", "*.corp:8000-9000"),
        ("localhost:8080", "localhost:8080"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1/32:22", "10.0.0.1:22"),
        ("10.0.0.0/8:8000-9000", "10.0.0.0/8:8000-9000"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("[::1]:22", "[::1]:22"),
        ("2001:db8::/32", "[2001:db8::]/32"),
        ("2001:db8::/32:443", "[2001:db8::]/32:443"),
        ("[2001:db8::]/32:443", "[2001:db8::]/32:443"),
        ("[2001:db8::]/128", "[2001:db8::]"),
        ("fd00:ec2::254", "[fd00:ec2::254]"),
        ("2001:db8::8a2e:370f", "[2001:db8::8a2e:370f]"),
        ("::/0", "[::]/0"),
    ] {
        assert_eq!(rule(text).to_string(), canonical, "{text}");
    }
}

#[test]
fn mistakes_are_named() {
    use RuleError as E;
    let address = |text: &str| E::Address(text.into());
    for (text, error) in [
        ("", E::Empty),
        ("host:", E::Ports),
        ("host:0", E::Ports),
        ("host:http", E::Ports),
        ("host:1-", E::Ports),
        ("host:80,443", E::Ports),
        ("[::1]443", E::Ports),
        ("host:9-8", E::Backwards),
        ("10.0.0.*", E::Star),
        ("a.*.b", E::Star),
        ("*.*", E::Star),
        ("*a.b", E::Star),
        ("*.", E::Name(NameError::Missing)),
        (":80", E::Name(NameError::Missing)),
        ("a b", E::Name(NameError::Character(' '))),
        (" a", E::Name(NameError::Character(' '))),
        ("^10\\.", E::Name(NameError::Character('^'))),
        ("a..b", E::Name(NameError::Label)),
        ("127.1", E::Number),
        ("2130706433", E::Number),
        ("0177.0.0.1", E::Number),
        ("0x7f.1:80", E::Number),
        ("10.0.0", E::Number),
        ("*.1", E::Number),
        ("[::1", E::Ipv6),
        ("host:80:81", E::Ipv6),
        ("fe80::1%eth0", E::Ipv6),
        ("[10.0.0.1]", address("10.0.0.1")),
        ("[fe80::1%1]:80", address("fe80::1%1")),
        ("host/8", address("host")),
        ("10.0.0.0:80/8", address("10.0.0.0:80")),
        ("10.0.0.0/33", E::Length(32)),
        ("10.0.0.0/", E::Length(32)),
        ("10.0.0.0/+8", E::Length(32)),
        ("10.0.0.0/255.0.0.0", E::Length(32)),
        ("[2001:db8::]/129", E::Length(128)),
        ("10.0.0.1/8", E::HostBits("10.0.0.0/8".into())),
        ("[2001:db8::1]/32", E::HostBits("[2001:db8::]/32".into())),
        ("[::ffff:10.0.0.1]", E::Ipv4AsIpv6),
        ("::ffff:0:0/96", E::Ipv4AsIpv6),
        ("::ffff:a00:0/104", E::Ipv4AsIpv6),
        ("[::10.0.0.1]:80", E::Ipv4AsIpv6),
        ("::/96", E::Ipv4AsIpv6),
        ("::/127", E::Ipv4AsIpv6),
    ] {
        assert_eq!(text.parse::<Rule>(), Err(error), "{text:?}");
    }
    let two_ways = "2001:db8::1:443".parse::<Rule>().unwrap_err().to_string();
    assert_eq!(
        two_ways,
        "it can be read in two ways: write [2001:db8::1:443] or [2001:db8::1]:443"
    );
}

#[test]
fn names_match_whole_labels() {
    for (text, asked, expected) in [
        ("db.corp", "DB.Corp.", true),
        ("db.corp", "xdb.corp", false),
        ("db.corp", "db.corp.evil", false),
        ("db.corp", "db-corp", false),
        ("*.corp", "db.corp", true),
        ("*.corp", "a.b.corp.", true),
        ("*.corp", "corp", false),
        ("*.corp", "evilcorp", false),
        ("*.corp", "db.corp.evil", false),
        ("localhost", "LOCALHOST", true),
        ("localhost", "localhost.evil", false),
        ("*", "anything", true),
        ("10.0.0.0/8", "10.evil", false),
    ] {
        assert_eq!(rule(text).has_name(&name(asked)), expected, "{text} {asked}");
    }
}

#[test]
fn addresses_match_whole_networks() {
    for (text, asked, expected) in [
        ("10.0.0.1", "10.0.0.1", true),
        ("10.0.0.1", "110.0.0.12", false),
        ("10.0.0.1", "10.0.0.12", false),
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("::/0", "10.0.0.1", false),
        ("::/0", "2001:db8::1", true),
        ("2001:db8::/32", "2001:db9::", false),
        ("localhost", "127.8.9.10", true),
        ("localhost", "::1", true),
        ("localhost", "10.0.0.1", false),
        ("db.corp", "10.0.0.1", false),
        ("*", "::1", true),
    ] {
        assert_eq!(rule(text).has_address(ip(asked)), expected, "{text} {asked}");
    }
}

#[test]
fn ports_match_inclusively() {
    for (text, ports) in [
        ("*:443", vec![(442, false), (443, true), (444, false)]),
        ("*:8000-9000", vec![(7999, false), (8000, true), (9000, true), (9001, false)]),
        ("*", vec![(1, true), (65535, true)]),
    ] {
        for (port, expected) in ports {
            assert_eq!(rule(text).has_port(port), expected, "{text} {port}");
        }
    }
}

fn ports() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just(":*".to_owned()),
        (1u16..).prop_map(|port| format!(":{port}")),
        (1u16.., 0u16..1000)
            .prop_map(|(first, more)| format!(":{first}-{}", first.saturating_add(more))),
    ]
}

fn subject() -> impl Strategy<Value = String> {
    let v4 = (any::<u32>(), 0u8..=32).prop_map(|(bits, length)| {
        let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
        format!("{}/{length}", Ipv4Addr::from(bits & mask))
    });
    // The top bit keeps it out of the range of IPv4 inside IPv6.
    let v6 = (any::<u128>(), 0u8..=128).prop_map(|(bits, length)| {
        let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
        format!("[{}]/{length}", Ipv6Addr::from((bits | 1 << 127) & mask))
    });
    prop_oneof![
        Just("*".to_owned()),
        "(\\*\\.)?[a-zA-Z][a-zA-Z0-9_-]{0,9}(\\.[a-z][a-z0-9]{0,9}){0,3}\\.?",
        v4,
        v6,
    ]
}

proptest! {
    #[test]
    fn a_rule_survives_being_shown((subject, ports) in (subject(), ports())) {
        let first = rule(&format!("{subject}{ports}"));
        prop_assert_eq!(&rule(&first.to_string()), &first);
    }

    #[test]
    fn any_text_is_a_rule_or_an_error(text in any::<String>()) {
        let _ = text.parse::<Rule>();
    }

    #[test]
    fn texts_of_the_right_characters_survive_too(text in "[0-9a-f.:*/\\[\\]x-]{0,24}") {
        if let Ok(first) = text.parse::<Rule>() {
            prop_assert_eq!(&rule(&first.to_string()), &first);
        }
    }
}
