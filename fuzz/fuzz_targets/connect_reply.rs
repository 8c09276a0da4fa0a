#![no_main]
//! The head of an HTTP proxy's answer is found where it ends, whatever comes in.

use anyproxy_fuzz::bounded;
use anyproxy_wire::connect_reply::{MAX_HEAD, Reply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bounded(bytes.len(), || check(bytes)));

fn check(bytes: &[u8]) {
    match Reply::parse(bytes) {
        Ok(Some((reply, length))) => {
            assert!(length <= bytes.len() && length <= MAX_HEAD);
            assert!((100..1000).contains(&reply.status));
            assert!(!reply.reason.chars().any(char::is_control));
            assert_eq!(Reply::parse(&bytes[..length]), Ok(Some((reply, length))));
        }
        Ok(None) => assert!(bytes.len() < MAX_HEAD),
        Err(_) => {}
    }
}
