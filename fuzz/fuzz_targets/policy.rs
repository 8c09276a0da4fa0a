#![no_main]
//! An entry of the allow and deny lists: the policy is read from files, but what it is compared with comes from
//! the network.

use anyproxy_client::egress::Policy;
use anyproxy_fuzz::bounded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|entries: Vec<String>| {
    let length = entries.iter().map(|entry| entry.len() + 64).sum();
    bounded(length, || {
        let allow = Policy::parse(&entries, &[]);
        let deny = Policy::parse(&[], &entries);
        // Both lists have one language.
        assert_eq!(allow.is_ok(), deny.is_ok());
    });
});
