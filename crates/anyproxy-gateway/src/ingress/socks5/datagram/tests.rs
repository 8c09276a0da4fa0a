use proptest::prelude::*;

use super::*;

fn whole(header: &[u8], payload: &[u8]) -> Bytes {
    [header, payload].concat().into()
}

fn parsed(bytes: &[u8]) -> Result<(String, Form, Vec<u8>), Unusable> {
    parse(&Bytes::copy_from_slice(bytes))
        .map(|(head, payload)| (head.target.to_string(), head.form, payload.to_vec()))
}

#[test]
fn every_address_type_is_read() {
    let v4 = b"\0\0\0\x01\x0a\0\0\x01\0\x35";
    assert_eq!(parsed(&whole(v4, b"hi")), Ok(("10.0.0.1:53".into(), Form::Address, b"hi".into())));
    let name = b"\0\0\0\x03\x04Host\x01\xbb";
    assert_eq!(parsed(&whole(name, b"")), Ok(("Host:443".into(), Form::Name, vec![])));
    let v6 = b"\0\0\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x35";
    let expected = ("[2001:db8::1]:53".into(), Form::Address, vec![7; 9]);
    assert_eq!(parsed(&whole(v6, &[7; 9])), Ok(expected));
}

#[test]
fn fragments_and_nonsense_are_told_apart() {
    for fragment in [1, 0x7f, 0x80, 0xff] {
        let datagram = [0, 0, fragment, 1, 10, 0, 0, 1, 0, 53, 1];
        assert_eq!(parsed(&datagram), Err(Unusable::Fragment));
    }
    let nonsense: [&[u8]; 9] = [
        b"",
        b"\0\0\0",
        b"\0\x01\0\x01\x0a\0\0\x01\0\x35",
        b"\0\0\0\x01\x0a\0\0\x01\0",
        b"\0\0\0\x01\x0a\0\0\x01\0\0",
        b"\0\0\0\x02\x0a\0\0\x01\0\x35",
        b"\0\0\0\x03\0\0\x35",
        b"\0\0\0\x03\x02\xff\xff\0\x35",
        b"\0\0\0\x03\x03a/b\0\x35",
    ];
    for datagram in nonsense {
        assert_eq!(parsed(datagram), Err(Unusable::Malformed), "{datagram:?}");
    }
}

#[test]
fn replies_carry_what_the_user_can_compare() {
    let dialled = Some("192.0.2.7:53".parse().unwrap());
    let by_address = b"\0\0\0\x01\x0a\0\0\x01\0\x35";
    let (head, _) = parse(&Bytes::from_static(by_address)).unwrap();
    assert_eq!(&head.reply(dialled)[..], by_address);
    let by_name = b"\0\0\0\x03\x01h\0\x35";
    let (head, _) = parse(&Bytes::from_static(by_name)).unwrap();
    assert_eq!(&head.reply(dialled)[..], b"\0\0\0\x01\xc0\0\x02\x07\0\x35");
    assert_eq!(&head.reply(None)[..], by_name);
}

proptest! {
    /// Whatever arrives is judged, never a panic; what is accepted is its header and its payload.
    #[test]
    fn anything_is_judged(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        if let Ok((head, payload)) = parse(&bytes) {
            prop_assert_eq!(whole(&head.asked, &payload), bytes);
        }
    }

    /// The same where most of the header is right.
    #[test]
    fn nearly_right_headers_are_judged(
        head in (0_u8..2, 0_u8..6), rest in prop::collection::vec(any::<u8>(), 0..40)
    ) {
        let bytes = whole(&[0, 0, head.0, head.1], &rest);
        match parse(&bytes) {
            Ok((head, payload)) => prop_assert_eq!(whole(&head.asked, &payload), bytes),
            Err(Unusable::Fragment) => prop_assert_eq!(head.0, 1),
            Err(Unusable::Malformed) => prop_assert_eq!(head.0, 0),
        }
    }

    /// A header that we write for an address is read as that address.
    #[test]
    fn addresses_round_trip(ip in any::<std::net::IpAddr>(), port in 1_u16.., payload: Vec<u8>) {
        let name = parse(&Bytes::from_static(b"\0\0\0\x03\x01h\0\x35")).unwrap().0;
        let dialled = SocketAddr::new(ip.to_canonical(), port);
        let reply = whole(&name.reply(Some(dialled)), &payload);
        let (head, found) = parse(&reply).unwrap();
        prop_assert_eq!(head.target.as_str(), dialled.to_string());
        prop_assert_eq!(head.form, Form::Address);
        prop_assert_eq!(found, payload);
    }
}
