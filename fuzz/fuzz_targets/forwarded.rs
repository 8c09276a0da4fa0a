#![no_main]
//! `Forwarded` and `X-Forwarded-For`: whatever a client wrote, and a trusted proxy put its own element behind,
//! the client is where the proxy says, or nowhere.

use std::net::SocketAddr;

use anyproxy_fuzz::bounded;
use anyproxy_transport::behind::{ToldBy, Trusted, client};
use http::{HeaderMap, HeaderValue, header::FORWARDED};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    standard: bool,
    one_line: bool,
    lines: Vec<&'a [u8]>,
}

fuzz_target!(|input: Input<'_>| {
    let length = input.lines.iter().map(|line| line.len() + 64).sum();
    bounded(length, || check(&input));
});

fn check(input: &Input<'_>) {
    let told_by = if input.standard { ToldBy::Forwarded } else { ToldBy::XForwardedFor };
    let name = if input.standard { FORWARDED.as_str() } else { "x-forwarded-for" };
    let honest = if input.standard { "for=203.0.113.9" } else { "203.0.113.9" };
    let at = SocketAddr::from(([203, 0, 113, 9], 0));
    let trusted = Trusted::parse(&["10.0.0.0/8", "2001:db8::/32"]).expect("a list");

    let mut headers = HeaderMap::new();
    for line in &input.lines {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name, value);
        }
    }
    // Alone, anything may come out.
    let _ = client(&headers, told_by, &trusted);
    let last = headers.get_all(name).iter().next_back().cloned();
    match last.filter(|_| input.one_line) {
        Some(last) => {
            let line = [last.as_bytes(), b", ", honest.as_bytes()].concat();
            let mut lines: Vec<_> = headers.get_all(name).iter().cloned().collect();
            lines.pop();
            headers.remove(name);
            lines.push(HeaderValue::from_bytes(&line).expect("a legal line"));
            for line in lines {
                headers.append(name, line);
            }
            let found = client(&headers, told_by, &trusted);
            assert!(found.is_none() || found == Some(at), "{headers:?}: {found:?}");
        }
        None => {
            headers.append(name, HeaderValue::from_static(honest));
            assert_eq!(client(&headers, told_by, &trusted), Some(at));
        }
    }
}
