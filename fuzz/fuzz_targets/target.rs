#![no_main]
//! Targets and listen addresses as text: what the gateway takes from a user, what the client takes from
//! the gateway, and what the gateway takes from a client.

use anyproxy_client::egress::Target;
use anyproxy_fuzz::bounded;
use anyproxy_gateway::{ingress::target::TargetAddr, listen_address};
use anyproxy_wire::message::Open;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &str)| {
    let (port, text) = input;
    bounded(text.len(), || {
        for taken in [
            TargetAddr::parse(text, None),
            TargetAddr::parse(text, Some(80)),
            TargetAddr::new(text, port),
        ] {
            let Ok(target) = taken else { continue };
            let written = target.as_str();
            assert!(written.len() <= Open::MAX_TARGET);
            assert!(!written.contains(['\r', '\n', '\0', ' ', '/', '@']));
            // It is one text: reading it again changes nothing.
            assert_eq!(TargetAddr::parse(written, None), Ok(target.clone()));
        }
        if let Ok(target) = text.parse::<Target>() {
            let again = target.to_string().parse::<Target>();
            assert_eq!(again, Ok(target));
        }
        if let Some(listen) = listen_address(text) {
            assert_eq!(listen_address(&listen.to_string()), Some(listen));
        }
    });
});
