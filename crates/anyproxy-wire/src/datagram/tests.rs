use super::*;

#[test]
fn a_datagram_round_trips_even_if_empty() {
    for payload in [&b""[..], b"hello", &[7; MAX_DATAGRAM]] {
        let mut out = BytesMut::new();
        encode(70_001, payload, &mut out);
        assert_eq!(decode(out.freeze()), Ok((70_001, Bytes::copy_from_slice(payload))));
    }
}

#[test]
fn a_datagram_without_a_whole_id_is_refused() {
    for content in [&b""[..], &[0x40], &[0xc0, 0, 0]] {
        let error = decode(Bytes::from_static(content)).unwrap_err();
        assert_eq!(error, WireError::Truncated("Datagram"));
    }
}

#[test]
fn a_datagram_over_the_limit_is_refused() {
    let mut out = BytesMut::new();
    encode(1, &[7; MAX_DATAGRAM + 1], &mut out);
    assert!(matches!(decode(out.freeze()), Err(WireError::TooLarge { .. })));
}

#[test]
fn framed_datagrams_come_out_of_any_chunks() {
    let payloads = [&b"one"[..], b"", &[7; MAX_DATAGRAM], b"four"];
    let mut stream = BytesMut::new();
    payloads.iter().for_each(|payload| put_framed(&mut stream, payload));
    for size in [1, 2, 3, 1_000, stream.len()] {
        let (mut input, mut seen) = (BytesMut::new(), Vec::new());
        for chunk in stream.chunks(size) {
            input.extend_from_slice(chunk);
            while let Some(payload) = get_framed(&mut input).unwrap() {
                seen.push(payload);
            }
        }
        assert_eq!(seen, payloads);
        assert!(input.is_empty());
    }
}

#[test]
fn a_framed_length_over_the_limit_is_refused_before_any_payload() {
    for length in [MAX_DATAGRAM as u64 + 1, varint::MAX] {
        let mut input = BytesMut::new();
        varint::put(&mut input, length);
        assert!(matches!(get_framed(&mut input), Err(WireError::TooLarge { .. })));
    }
}
