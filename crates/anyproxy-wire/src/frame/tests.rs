//! Framing and its limits; what is in the frames is checked with the messages.

use bytes::{BufMut, Bytes, BytesMut};

use super::*;
use crate::codes::CloseCode;
use crate::{WireError, varint};

fn header(kind: u64, length: u64) -> BytesMut {
    let mut out = BytesMut::new();
    varint::put(&mut out, kind);
    varint::put(&mut out, length);
    out
}

fn encoded(frame: &Frame) -> BytesMut {
    let mut out = BytesMut::new();
    frame.encode(&mut out);
    out
}

#[test]
fn each_limit_is_judged_by_the_header_alone() {
    let limits = [
        (Stage::Established, 0x10, MAX_CONTROL),
        (Stage::Established, 0x01, MAX_CONTROL),
        (Stage::Established, 0x20, MAX_DATA + 8),
        (Stage::Established, 0x25, MAX_DATAGRAM + 8),
        (Stage::Established, 0x40, MAX_CONTROL),
        (Stage::Established, varint::MAX, MAX_CONTROL),
        (Stage::Handshake, 0x01, MAX_HANDSHAKE),
        (Stage::Handshake, 0x05, MAX_HANDSHAKE),
        (Stage::Handshake, 0x40, MAX_HANDSHAKE),
    ];
    for (stage, kind, limit) in limits {
        let limit = limit as u64;
        assert_eq!(decode(&mut header(kind, limit), stage), Ok(None), "{kind:#x}");
        for length in [limit + 1, u64::from(u32::MAX), varint::MAX] {
            let error = decode(&mut header(kind, length), stage).unwrap_err();
            assert_eq!(error.close_code(), CloseCode::TooLarge, "{kind:#x} {length}");
        }
    }
}

#[test]
fn a_decoder_never_reserves_room() {
    let mut input = header(0x20, MAX_DATA as u64);
    let capacity = input.capacity();
    assert_eq!(decode(&mut input, Stage::Established), Ok(None));
    assert_eq!(input.capacity(), capacity);
}

#[test]
fn unknown_types_are_refused_below_0x40_and_skipped_from_there() {
    for kind in 0..0x40 {
        let known = matches!(kind, 1..=5 | 8..=14 | 16 | 17 | 0x20..=0x25);
        let error = decode(&mut header(kind, 0), Stage::Established).err();
        assert_eq!(error == Some(WireError::UnknownFrame(kind)), !known, "{kind:#x}");
    }
    for kind in [0x40, 0x42, varint::MAX] {
        for stage in [Stage::Handshake, Stage::Established] {
            let mut input = header(kind, 3);
            assert_eq!(decode(&mut input, stage), Ok(None));
            input.put_slice(b"new");
            assert_eq!(decode(&mut input, stage), Ok(None));
            assert!(input.is_empty());
        }
    }
}

#[test]
fn an_unknown_type_is_refused_before_its_length_is_known() {
    let mut input = BytesMut::from(&[0x06][..]);
    assert_eq!(decode(&mut input, Stage::Established), Err(WireError::UnknownFrame(6)));
}

#[test]
fn many_optional_frames_are_skipped_without_deep_recursion() {
    let mut input = BytesMut::new();
    for _ in 0..100_000 {
        input.put_slice(&header(0x40, 0));
    }
    input.put_slice(&encoded(&Frame::FinAck { stream: 1 }));
    let frame = decode(&mut input, Stage::Established);
    assert_eq!(frame, Ok(Some(Frame::FinAck { stream: 1 })));
}

#[test]
fn before_welcome_only_the_handshake_may_be_said() {
    for kind in [8, 9, 10, 11, 12, 13, 14, 16, 17, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25] {
        let error = decode(&mut header(kind, 0), Stage::Handshake).unwrap_err();
        assert!(matches!(error, WireError::UnexpectedFrame(_)), "{kind:#x}");
    }
    for kind in 1..=5 {
        assert_eq!(decode(&mut header(kind, 100), Stage::Handshake), Ok(None));
    }
}

/// A peer that does not know it skips it there too.
#[test]
fn an_optional_frame_that_is_known_is_skipped_before_welcome() {
    let mut input = encoded(&Frame::Strain);
    assert_eq!(decode(&mut input.clone(), Stage::Established), Ok(Some(Frame::Strain)));
    assert_eq!(decode(&mut input, Stage::Handshake), Ok(None));
    assert!(input.is_empty());
}

#[test]
fn data_is_not_copied() {
    let frame = Frame::Data { stream: 1, bytes: Bytes::from(vec![7; 1_000]) };
    let mut message = encoded(&frame).freeze();
    let range = message.as_ptr_range();
    let Ok(Some(Frame::Data { bytes, .. })) = decode_message(&mut message, Stage::Established)
    else {
        panic!("not decoded");
    };
    assert!(range.contains(&bytes.as_ptr()));
    let mut input = encoded(&frame);
    let range = input.as_ptr_range();
    let Ok(Some(Frame::Data { bytes, .. })) = decode(&mut input, Stage::Established) else {
        panic!("not decoded");
    };
    assert!(range.contains(&bytes.as_ptr()));
}

#[test]
fn the_largest_data_and_datagram_round_trip() {
    let data = |stream| Frame::Data { stream, bytes: Bytes::from(vec![7; MAX_DATA]) };
    let datagram = |stream| Frame::Datagram { stream, bytes: Bytes::from(vec![7; MAX_DATAGRAM]) };
    for frame in [data(1), data(varint::MAX), datagram(1), datagram(varint::MAX)] {
        assert_eq!(decode(&mut encoded(&frame), Stage::Established), Ok(Some(frame)));
    }
}

#[test]
fn a_datagram_over_65507_bytes_is_refused_though_its_frame_fits() {
    let frame = Frame::Datagram { stream: 1, bytes: Bytes::from(vec![7; MAX_DATAGRAM + 1]) };
    let error = decode(&mut encoded(&frame), Stage::Established).unwrap_err();
    assert_eq!(error.close_code(), CloseCode::TooLarge);
}

#[test]
fn a_data_header_and_its_bytes_are_a_data_frame() {
    let bytes = Bytes::from_static(b"hello");
    let mut out = BytesMut::new();
    encode_data_header(&mut out, 70_001, bytes.len());
    out.put_slice(&bytes);
    assert_eq!(out, encoded(&Frame::Data { stream: 70_001, bytes }));
}

#[test]
fn many_credits_go_out_in_several_frames() {
    let pairs = (0..600).map(|i| (i, 1_000 + i)).collect::<Vec<_>>();
    let mut input = encoded(&Frame::Credit(pairs.clone()));
    let (mut received, mut sizes) = (Vec::new(), Vec::new());
    while let Some(Frame::Credit(some)) = decode(&mut input, Stage::Established).unwrap() {
        sizes.push(some.len());
        received.extend(some);
    }
    assert_eq!((received, sizes), (pairs, vec![256, 256, 88]));
}

#[test]
fn more_than_256_credits_in_one_frame_are_refused() {
    let mut input = header(0x0a, 2 * 257);
    input.put_bytes(0, 2 * 257);
    let error = decode(&mut input, Stage::Established).unwrap_err();
    assert_eq!(error.close_code(), CloseCode::TooLarge);
}

#[test]
fn a_message_must_hold_whole_frames() {
    let whole = encoded(&Frame::Ping([7; 8])).freeze();
    for end in 1..whole.len() {
        let mut message = [&whole[..], &whole[..end]].concat().into();
        let first = decode_message(&mut message, Stage::Established);
        assert_eq!(first, Ok(Some(Frame::Ping([7; 8]))));
        let second = decode_message(&mut message, Stage::Established);
        assert_eq!(second, Err(WireError::Truncated("frame")));
    }
    assert_eq!(decode_message(&mut Bytes::new(), Stage::Established), Ok(None));
}
