//! Properties of the codec that hold for all frames and for all bytes.
#![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

mod common;

use anyproxy_wire::frame::{self, Frame, Stage};
use anyproxy_wire::{WireError, datagram, varint};
use bytes::{Bytes, BytesMut};
use common::{frame, handshake_frame, number};
use proptest::collection::vec;
use proptest::prelude::*;

fn encoded<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> BytesMut {
    let mut out = BytesMut::new();
    frames.into_iter().for_each(|frame| frame.encode(&mut out));
    out
}

/// Feeds `bytes` in chunks of the given sizes, over and over; stops at an error.
fn decode_in_chunks(
    mut bytes: &[u8],
    sizes: &[usize],
    stage: Stage,
) -> (Vec<Frame>, Result<BytesMut, WireError>) {
    let (mut input, mut frames) = (BytesMut::new(), Vec::new());
    for size in sizes.iter().cycle() {
        let (chunk, rest) = bytes.split_at((*size).min(bytes.len()));
        input.extend_from_slice(chunk);
        bytes = rest;
        loop {
            match frame::decode(&mut input, stage) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    (frames, Ok(input))
}

fn decode_whole(mut message: Bytes) -> Result<Vec<Frame>, WireError> {
    let mut frames = Vec::new();
    while let Some(frame) = frame::decode_message(&mut message, Stage::Established)? {
        frames.push(frame);
    }
    Ok(frames)
}

/// A frame's bytes with some of them changed: it gets past more checks than noise does.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>());
    (vec(frame(), 1..3), vec(change, 1..6)).prop_map(|(frames, changes)| {
        let mut bytes = encoded(&frames).to_vec();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        bytes
    })
}

fn optional() -> impl Strategy<Value = Vec<u8>> {
    // 0x41 is known.
    let kind = prop_oneof![Just(0x40), 0x42..=varint::MAX];
    (kind, vec(any::<u8>(), 0..100)).prop_map(|(kind, payload)| {
        let mut out = Vec::new();
        varint::put(&mut out, kind);
        varint::put(&mut out, payload.len() as u64);
        out.extend(payload);
        out
    })
}

proptest! {
    #[test]
    fn every_frame_round_trips(frame in frame()) {
        let mut input = encoded([&frame]);
        prop_assert_eq!(frame::decode(&mut input, Stage::Established), Ok(Some(frame)));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn every_handshake_frame_fits_into_the_handshake(frame in handshake_frame()) {
        let mut input = encoded([&frame]);
        prop_assert_eq!(frame::decode(&mut input, Stage::Handshake), Ok(Some(frame)));
    }

    #[test]
    fn chunks_do_not_matter(frames in vec(frame(), 0..6), sizes in vec(1_usize..50, 1..8)) {
        let bytes = encoded(&frames);
        let (decoded, left) = decode_in_chunks(&bytes, &sizes, Stage::Established);
        prop_assert_eq!(&decoded, &frames);
        prop_assert_eq!(left, Ok(BytesMut::new()));
        prop_assert_eq!(decode_whole(bytes.freeze()), Ok(frames));
    }

    #[test]
    fn optional_frames_in_between_do_not_matter(
        frames in vec((frame(), optional()), 0..4),
        sizes in vec(1_usize..50, 1..8),
    ) {
        let mut bytes = BytesMut::new();
        for (frame, optional) in &frames {
            bytes.extend_from_slice(optional);
            frame.encode(&mut bytes);
        }
        let frames = frames.into_iter().map(|(frame, _)| frame).collect::<Vec<_>>();
        let (decoded, left) = decode_in_chunks(&bytes, &sizes, Stage::Established);
        prop_assert_eq!(&decoded, &frames);
        prop_assert_eq!(left, Ok(BytesMut::new()));
    }

    #[test]
    fn a_frame_cut_short_asks_for_more(frame in frame(), end in any::<prop::sample::Index>()) {
        let mut whole = encoded([&frame]);
        let end = end.index(whole.len());
        let mut message = whole.clone().freeze().slice(..end);
        whole.truncate(end);
        prop_assert_eq!(frame::decode(&mut whole, Stage::Established), Ok(None));
        let whole_only = frame::decode_message(&mut message, Stage::Established);
        let expected = if end == 0 { Ok(None) } else { Err(WireError::Truncated("frame")) };
        prop_assert_eq!(whole_only, expected);
    }

    #[test]
    fn garbage_gives_the_same_in_any_chunks(
        bytes in prop_oneof![vec(any::<u8>(), 0..200), damaged()],
        sizes in vec(1_usize..50, 1..8),
    ) {
        for stage in [Stage::Handshake, Stage::Established] {
            let whole = decode_in_chunks(&bytes, &[bytes.len().max(1)], stage);
            prop_assert_eq!(decode_in_chunks(&bytes, &sizes, stage), whole);
        }
    }

    #[test]
    fn what_is_accepted_is_stable(bytes in damaged()) {
        let (frames, _) = decode_in_chunks(&bytes, &[bytes.len()], Stage::Established);
        prop_assert_eq!(decode_whole(encoded(&frames).freeze()), Ok(frames));
    }

    #[test]
    fn varints_round_trip(value in number(), behind in any::<u8>()) {
        let mut bytes = Vec::new();
        varint::put(&mut bytes, value);
        prop_assert_eq!(bytes.len(), varint::size(value));
        bytes.push(behind);
        let mut input = &bytes[..];
        prop_assert_eq!(varint::get(&mut input), Some(value));
        prop_assert_eq!(input, &[behind][..]);
    }

    #[test]
    fn datagrams_survive_garbage(bytes in vec(any::<u8>(), 0..100)) {
        if let Ok((stream, payload)) = datagram::decode(Bytes::from(bytes.clone())) {
            let mut out = BytesMut::new();
            datagram::encode(stream, &payload, &mut out);
            prop_assert_eq!(datagram::decode(out.freeze()), Ok((stream, payload)));
        }
        let mut input = BytesMut::from(&bytes[..]);
        while let Ok(Some(_)) = datagram::get_framed(&mut input) {}
        prop_assert!(input.len() <= bytes.len());
    }
}
