#![no_main]
//! Every varint has one value, and its shortest form gives it back.

use anyproxy_fuzz::bounded;
use anyproxy_wire::varint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bounded(bytes.len(), || check(bytes)));

fn check(bytes: &[u8]) {
    let mut input = bytes;
    let Some(value) = varint::get(&mut input) else {
        assert_eq!(input, bytes);
        assert!(bytes.first().is_none_or(|first| bytes.len() < 1 << (first >> 6)));
        return;
    };
    let taken = bytes.len() - input.len();
    let mut out = Vec::new();
    varint::put(&mut out, value);
    assert!(out.len() <= taken && out.len() == varint::size(value));
    assert_eq!(varint::get(&mut &out[..]), Some(value));
}
