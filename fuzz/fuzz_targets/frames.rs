#![no_main]
//! A byte stream gives the same frames, or the same error, in whatever chunks it comes.

use anyproxy_fuzz::bounded;
use anyproxy_wire::WireError;
use anyproxy_wire::frame::{self, Frame, Stage};
use bytes::BytesMut;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    before_welcome: bool,
    sizes: [u8; 4],
    bytes: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let stage = if input.before_welcome { Stage::Handshake } else { Stage::Established };
    bounded(input.bytes.len(), || {
        let whole = decode(input.bytes, [usize::MAX].iter().copied(), stage);
        let sizes = input.sizes.iter().map(|&size| usize::from(size) + 1);
        assert_eq!(decode(input.bytes, sizes, stage), whole);
    });
});

fn decode(
    mut bytes: &[u8],
    sizes: impl Iterator<Item = usize> + Clone,
    stage: Stage,
) -> (Vec<Frame>, Result<BytesMut, WireError>) {
    let (mut input, mut frames) = (BytesMut::new(), Vec::new());
    for size in sizes.cycle() {
        let (chunk, rest) = bytes.split_at(size.min(bytes.len()));
        input.extend_from_slice(chunk);
        bytes = rest;
        loop {
            match frame::decode(&mut input, stage) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) if bytes.is_empty() => return (frames, Ok(input)),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, Ok(input))
}
