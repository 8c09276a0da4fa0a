#![no_main]
//! A PROXY header is read to its end and no further, whatever is there.

use anyproxy_fuzz::bounded;
use anyproxy_wire::proxy_header::{HeaderStep, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bounded(bytes.len(), || check(bytes)));

fn check(bytes: &[u8]) {
    let mut have = 0;
    while let Ok(HeaderStep::More(count)) = parse(&bytes[..have]) {
        assert!(count > 0 && have + count <= 16 + 4096);
        have += count;
        if have > bytes.len() {
            return;
        }
    }
    if let Ok(HeaderStep::Done(source)) = parse(&bytes[..have]) {
        // It is the same at once as in pieces.
        assert_eq!(parse(&bytes[..have]), Ok(HeaderStep::Done(source)));
        assert!(matches!(parse(&bytes[..have - 1]), Ok(HeaderStep::More(1..))));
    }
}
