#![no_main]
//! Both forms of datagrams outside of frames.

use anyproxy_fuzz::bounded;
use anyproxy_wire::datagram;
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bounded(bytes.len(), || check(bytes)));

fn check(bytes: &[u8]) {
    if let Ok((stream, payload)) = datagram::decode(Bytes::copy_from_slice(bytes)) {
        let mut out = BytesMut::new();
        datagram::encode(stream, &payload, &mut out);
        assert_eq!(datagram::decode(out.freeze()), Ok((stream, payload)));
    }
    let mut input = BytesMut::from(bytes);
    while let Ok(Some(payload)) = datagram::get_framed(&mut input) {
        let mut out = BytesMut::new();
        datagram::put_framed(&mut out, &payload);
        assert_eq!(datagram::get_framed(&mut out), Ok(Some(payload)));
    }
}
