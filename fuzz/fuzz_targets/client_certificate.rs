#![no_main]
//! What a client shows as its certificate: no bytes are let in, and a name of any bytes is one short line.

use anyproxy_transport::{ClientCa, OfferedCertificate, tls::subject_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], Vec<Vec<u8>>)| {
    let (name, chain) = input;
    is_a_short_line(&subject_of(name));
    let chain: Vec<_> = chain.into_iter().map(Into::into).collect();
    if let Some(offered) = OfferedCertificate::new(&chain) {
        is_a_short_line(offered.subject());
        assert!(ClientCa::nobodys().check(&offered).is_err());
        assert!(offered.is_of_the_same(&offered));
    }
});

fn is_a_short_line(text: &str) {
    assert!(text.chars().count() <= 129 && !text.contains(char::is_control), "{text:?}");
}
