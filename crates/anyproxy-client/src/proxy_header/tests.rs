use super::*;

fn header(version: ProxyHeader, source: &str, destination: &str) -> Vec<u8> {
    let parse = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
    encode(version, parse(source), parse(destination))
}

/// Written as in the specification: hexadecimal, blanks between the fields.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

const SIGNED: &str = "0d0a0d0a000d0a515549540a";

#[test]
fn version_1_is_the_line_of_the_specification() {
    for (source, destination, line) in [
        // The example of section 2.1.
        ("192.168.0.1:56324", "192.168.0.11:443", "TCP4 192.168.0.1 192.168.0.11 56324 443"),
        ("0.0.0.0:0", "255.255.255.255:65535", "TCP4 0.0.0.0 255.255.255.255 0 65535"),
        ("[2001:db8::1]:1", "[2001:db8::2]:2", "TCP6 2001:db8::1 2001:db8::2 1 2"),
        ("[::1]:1", "[::1]:2", "TCP6 ::1 ::1 1 2"),
        ("[fe80::1%3]:1", "[fe80::2%3]:2", "TCP6 fe80::1 fe80::2 1 2"),
        // A dual-stack listener's IPv4 user.
        ("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2", "TCP4 192.0.2.1 192.0.2.2 1 2"),
        ("[::ffff:192.0.2.1]:1", "192.0.2.2:2", "TCP4 192.0.2.1 192.0.2.2 1 2"),
        // Two families: both as IPv6, in hexadecimal.
        ("192.0.2.1:1", "[2001:db8::2]:2", "TCP6 ::ffff:c000:201 2001:db8::2 1 2"),
        ("[2001:db8::1]:1", "192.0.2.2:2", "TCP6 2001:db8::1 ::ffff:c000:202 1 2"),
        ("", "192.0.2.2:2", "UNKNOWN"),
        ("192.0.2.1:1", "", "UNKNOWN"),
        ("", "", "UNKNOWN"),
    ] {
        let expected = format!("PROXY {line}\r\n");
        let got = String::from_utf8(header(ProxyHeader::V1, source, destination)).unwrap();
        assert_eq!(got, expected, "{source} {destination}");
    }
}

#[test]
fn version_1_is_never_longer_than_the_specification_lets_it_be() {
    let longest = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
    assert_eq!(header(ProxyHeader::V1, longest, longest).len(), 104);
    let longest = "255.255.255.255:65535";
    assert_eq!(header(ProxyHeader::V1, longest, longest).len(), 56);
}

#[test]
fn version_2_is_byte_for_byte_the_structure_of_the_specification() {
    for (source, destination, rest) in [
        ("192.168.0.1:56324", "192.168.0.11:443", "21 11 000c c0a80001 c0a8000b dc04 01bb"),
        ("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2", "21 11 000c c0000201 c0000202 0001 0002"),
        (
            "[2001:db8::1]:1",
            "[2001:db8::2]:65535",
            "21 21 0024 20010db8000000000000000000000001 20010db8000000000000000000000002 0001 ffff",
        ),
        (
            "192.0.2.1:1",
            "[2001:db8::2]:2",
            "21 21 0024 00000000000000000000ffffc0000201 20010db8000000000000000000000002 0001 0002",
        ),
        ("", "192.0.2.2:2", "20 00 0000"),
        ("192.0.2.1:1", "", "20 00 0000"),
    ] {
        let expected = hex(&format!("{SIGNED} {rest}"));
        assert_eq!(
            header(ProxyHeader::V2, source, destination),
            expected,
            "{source} {destination}"
        );
    }
}
