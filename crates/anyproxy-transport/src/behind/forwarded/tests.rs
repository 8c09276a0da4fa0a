use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn told(told_by: ToldBy, name: &'static str, lines: &[&str]) -> Option<String> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(name, HeaderValue::from_str(line).unwrap());
    }
    let trusted = Trusted::parse(&["10.0.0.0/8", "fd00::/8", "unix"]).unwrap();
    client(&headers, told_by, &trusted).map(|addr| addr.to_string())
}

fn forwarded_for(lines: &[&str]) -> Option<String> {
    told(ToldBy::XForwardedFor, "x-forwarded-for", lines)
}

#[test]
fn the_last_address_that_is_not_a_trusted_proxy() {
    for (lines, expected) in [
        (&["203.0.113.9"][..], Some("203.0.113.9:0")),
        (&["203.0.113.9:4711"], Some("203.0.113.9:4711")),
        (&["2001:db8::9"], Some("[2001:db8::9]:0")),
        (&["[2001:db8::9]:1"], Some("[2001:db8::9]:1")),
        (&["::ffff:203.0.113.9"], Some("203.0.113.9:0")),
        // What the client itself wrote stands further left.
        (&["198.51.100.66, 203.0.113.9"], Some("203.0.113.9:0")),
        (&["198.51.100.66", "203.0.113.9"], Some("203.0.113.9:0")),
        (&["198.51.100.66, 203.0.113.9, 10.1.1.1"], Some("203.0.113.9:0")),
        (&["203.0.113.9, 10.1.1.1", "10.2.2.2, fd00::1"], Some("203.0.113.9:0")),
        // All trusted: the first of them was the client.
        (&["10.1.1.1, 10.2.2.2"], Some("10.1.1.1:0")),
        // Nothing to the left of what cannot be read counts.
        (&["198.51.100.66, unknown"], None),
        (&["198.51.100.66, , 10.1.1.1"], Some("10.1.1.1:0")),
        (&["198.51.100.66, _hidden, 10.1.1.1"], Some("10.1.1.1:0")),
        (&["unknown"], None),
        (&[""], None),
        (&[], None),
    ] {
        assert_eq!(forwarded_for(lines).as_deref(), expected, "{lines:?}");
    }
}

#[test]
fn forwarded_of_rfc_7239() {
    for (lines, expected) in [
        (&["for=192.0.2.43"][..], Some("192.0.2.43:0")),
        (&["For=\"[2001:db8:cafe::17]:4711\""], Some("[2001:db8:cafe::17]:4711")),
        (&["for=192.0.2.60;proto=http;by=203.0.113.43"], Some("192.0.2.60:0")),
        (&["for=192.0.2.43, for=198.51.100.17"], Some("198.51.100.17:0")),
        (&["for=192.0.2.43", "for=10.0.0.1;by=10.0.0.2"], Some("192.0.2.43:0")),
        (&["for=\"192.0.2.43:_x\""], Some("192.0.2.43:0")),
        (&["for=\"_gazonk\""], None),
        (&["for=unknown"], None),
        (&["proto=https"], None),
        (&["for=1.1.1.1;for=2.2.2.2"], None),
        // A comma and a semicolon inside quotes are text.
        // A quote that the client left open would make the proxy's own element part of its.
        (&["for=1.2.3.4;x=\", for=\"203.0.113.9\""], None),
        (&["for=1.2.3.4;x=\"\\, for=\"203.0.113.9\""], None),
        (&["for=192.0.2.43;by=\"a,for=1.1.1.1;\\\",\""], Some("192.0.2.43:0")),
    ] {
        let got = told(ToldBy::Forwarded, "forwarded", lines);
        assert_eq!(got.as_deref(), expected, "{lines:?}");
    }
}

#[test]
fn only_the_header_that_was_named_counts() {
    let lines = ["for=192.0.2.43"];
    assert_eq!(told(ToldBy::XForwardedFor, "forwarded", &lines), None);
    assert_eq!(told(ToldBy::Nothing, "forwarded", &lines), None);
    assert_eq!(told(ToldBy::ProxyProtocol, "forwarded", &lines), None);
    assert_eq!(told(ToldBy::Forwarded, "x-forwarded-for", &["192.0.2.43"]), None);
}

proptest! {
    /// Whatever a client writes in front, the address that the proxy appended wins.
    #[test]
    fn a_forged_prefix_changes_nothing(forged in "[ -~]{0,60}") {
        let line = format!("{forged}, 203.0.113.9");
        let expected = Some("203.0.113.9:0".to_owned());
        prop_assert_eq!(forwarded_for(&[&line]), expected.clone());
        prop_assert_eq!(forwarded_for(&[&forged, "203.0.113.9"]), expected);
    }

    /// With quotes a client can spoil the proxy's element, but not put its own in the place.
    #[test]
    fn a_forged_prefix_with_quotes_is_never_believed(forged in "(for=1[.]2[.]3[.]4|;x=\"|[;,\"\\\\x= ]){0,12}") {
        for own in ["for=203.0.113.9", "for=\"203.0.113.9\"", "for=\"203.0.113.9\";proto=https"] {
            let line = format!("{forged}, {own}");
            let got = told(ToldBy::Forwarded, "forwarded", &[&line]);
            prop_assert!(matches!(got.as_deref(), None | Some("203.0.113.9:0")), "{:?}: {:?}", line, got);
        }
    }
}
