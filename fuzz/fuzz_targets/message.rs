#![no_main]
//! A WebSocket message; the frames it holds survive our encoder.

use anyproxy_fuzz::bounded;
use anyproxy_wire::frame::{self, Stage};
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bounded(bytes.len(), || check(bytes)));

fn check(bytes: &[u8]) {
    let mut message = Bytes::copy_from_slice(bytes);
    while let Ok(Some(frame)) = frame::decode_message(&mut message, Stage::Established) {
        let mut out = BytesMut::new();
        frame.encode(&mut out);
        let mut again = out.freeze();
        let decoded = frame::decode_message(&mut again, Stage::Established);
        assert_eq!(decoded, Ok(Some(frame)));
        assert!(again.is_empty());
    }
}
