use proptest::prelude::*;

use super::*;

/// Reads `bytes` as a connection would: no more than was asked for. Gives what was read too.
fn read(bytes: &[u8]) -> (Result<Option<Source>, BadHeader>, usize) {
    let mut have = 0;
    loop {
        match parse(&bytes[..have]) {
            Ok(HeaderStep::Done(source)) => return (Ok(Some(source)), have),
            Err(error) => return (Err(error), have),
            Ok(HeaderStep::More(count)) => {
                assert!(count > 0);
                if have + count > bytes.len() {
                    return (Ok(None), have);
                }
                have += count;
            }
        }
    }
}

fn client(addr: &str) -> Result<Option<Source>, BadHeader> {
    Ok(Some(Source::Client(addr.parse().unwrap())))
}

fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, block].concat()
}

#[test]
fn version_1() {
    for (line, expected) in [
        ("PROXY TCP4 203.0.113.9 198.51.100.1 40000 443\r\n", client("203.0.113.9:40000")),
        ("PROXY TCP6 2001:db8::9 ::1 1 65535\r\n", client("[2001:db8::9]:1")),
        ("PROXY TCP6 ::ffff:cb00:7109 ::1 1 2\r\n", client("203.0.113.9:1")),
        ("PROXY UNKNOWN\r\n", Ok(Some(Source::Unknown))),
        (
            "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
            Ok(Some(Source::Unknown)),
        ),
        ("PROXY TCP4 203.0.113.9 198.51.100.1 40000 443\n\n", Err(BadHeader::Malformed)),
        ("PROXY TCP4 203.0.113.9 198.51.100.1 40000\r\n", Err(BadHeader::Malformed)),
        ("PROXY TCP4 203.0.113.9 198.51.100.1 040 443\r\n", Err(BadHeader::Malformed)),
        ("PROXY TCP4 203.0.113.9 198.51.100.1 +40 443\r\n", Err(BadHeader::Malformed)),
        ("PROXY TCP4 203.0.113.9 198.51.100.1 1 65536\r\n", Err(BadHeader::Malformed)),
        ("PROXY TCP4 2001:db8::9 198.51.100.1 1 443\r\n", Err(BadHeader::Malformed)),
        ("PROXY UDP4 203.0.113.9 198.51.100.1 1 443\r\n", Err(BadHeader::Malformed)),
        ("PROXY TCP4 203.0.113.9 198.51.100.1 1 443 5\r\n", Err(BadHeader::Malformed)),
        ("GET / HTTP/1.1\r\n", Err(BadHeader::Absent)),
        ("PROXYTCP4 203.0.113.9 198.51.100.1 1 2\r\n", Err(BadHeader::Absent)),
        ("\u{16}\u{3}\u{1}", Err(BadHeader::Absent)),
    ] {
        assert_eq!(read(line.as_bytes()).0, expected, "{line}");
    }
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
    assert_eq!(read(endless.as_bytes()), (Err(BadHeader::TooLong), MAX_LINE));
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_LINE - 16));
    assert_eq!(read(longest.as_bytes()), (Ok(Some(Source::Unknown)), MAX_LINE));
}

/// The bytes of section 2.2, written out by hand.
#[test]
fn version_2() {
    let v4 = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x0c\
               \xcb\x00\x71\x09\xc6\x33\x64\x01\x9c\x40\x01\xbb";
    assert_eq!(read(v4), (client("203.0.113.9:40000"), v4.len()));
    let mut v6 = [0; 36];
    v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    v6[15] = 9;
    v6[32..34].copy_from_slice(&[0x9c, 0x40]);
    assert_eq!(read(&v2(0x21, 0x21, &v6)).0, client("[2001:db8::9]:40000"));
    let with_tlvs = [&v4[16..], &[4, 0, 1, 0]].concat();
    assert_eq!(read(&v2(0x21, 0x11, &with_tlvs)).0, client("203.0.113.9:40000"));
    for (command, family) in [(0x20, 0), (0x20, 0x11), (0x21, 0), (0x21, 0x31), (0x21, 0x12)] {
        assert_eq!(read(&v2(command, family, &[0; 12])).0, Ok(Some(Source::Unknown)));
    }
    for bytes in [v2(0x21, 0x11, &[0; 11]), v2(0x21, 0x21, &[0; 35]), v2(0x11, 0x11, &[0; 12])] {
        assert_eq!(read(&bytes).0, Err(BadHeader::Malformed), "{bytes:x?}");
    }
    assert_eq!(read(&v2(0x21, 0x11, &[0; MAX_BLOCK + 1])).0, Err(BadHeader::TooLong));
}

proptest! {
    #[test]
    fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
        let _ = read(&[&SIGNATURE[..], &bytes].concat());
        let _ = read(&[V1, &bytes].concat());
    }

    /// What follows belongs to TLS.
    #[test]
    fn no_byte_after_the_header_is_read(
        source in any::<[u8; 4]>(),
        ports in any::<[u16; 2]>(),
        follows in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let addr = SocketAddr::new(source.into(), ports[0]);
        let text = format!("PROXY TCP4 {} 0.0.0.0 {} {}\r\n", addr.ip(), ports[0], ports[1]);
        let mut block = [0; 12];
        block[..4].copy_from_slice(&source);
        block[8..10].copy_from_slice(&ports[0].to_be_bytes());
        for header in [text.into_bytes(), v2(0x21, 0x11, &block)] {
            let all = [&header[..], &follows].concat();
            prop_assert_eq!(read(&all), (Ok(Some(Source::Client(addr))), header.len()));
            for cut in 0..header.len() {
                prop_assert_eq!(read(&header[..cut]).0, Ok(None));
            }
        }
    }
}
