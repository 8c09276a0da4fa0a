//! `anyproxy doctor client` about a gateway or a proxy that is not where it should be.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "this file needs a part of it")]
mod program;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
};

use program::{Directory, Done};

/// A port at which nobody listens.
fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn doctor(dir: &Directory, gateway: &str, flags: &[&str]) -> Done {
    let line =
        ["doctor", "client", "--gateway", gateway, "--ca", "certs/ca.crt", "--group", "demo"];
    let secret = ["--secret-file", "certs/demo.secret", "--transport", "ws"];
    let done = dir.run(&[&line[..], &secret, flags].concat(), "");
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
    done
}

/// The line of a check with the fix below it.
fn check(done: &Done, name: &str) -> String {
    let lines: Vec<_> = done.out.lines().collect();
    let at = lines.iter().position(|line| line.split_whitespace().nth(1) == Some(name));
    let at = at.unwrap_or_else(|| panic!("no {name}:\n{}", done.out));
    let fix = lines.get(at + 1).filter(|line| line.trim_start().starts_with("fix:"));
    format!("{}{}", lines[at], fix.copied().unwrap_or_default())
}

#[test]
fn of_a_proxy_that_cannot_be_reached_the_proxy_is_named() {
    let dir = Directory::new();
    let proxy = format!("http://{}", closed());
    let done = doctor(&dir, "127.0.0.1:1", &["--proxy", &proxy]);
    let tcp = check(&done, "tcp");
    assert!(tcp.contains("`proxy`") && !tcp.contains("start the gateway"), "{}", done.out);
    assert!(check(&done, "proxy").starts_with("FAIL"), "{}", done.out);
    assert!(check(&done, "websocket").starts_with("-"), "{}", done.out);
}

#[test]
fn of_a_name_without_an_address_only_the_name_is_blamed() {
    let dir = Directory::new();
    // Reserved for that (RFC 6761, section 6.4).
    let done = doctor(&dir, "gateway.invalid:1", &["--proxy", "off"]);
    assert!(check(&done, "resolve").starts_with("FAIL"), "{}", done.out);
    for name in ["tcp", "tls", "websocket"] {
        assert!(check(&done, name).starts_with("-"), "{}", done.out);
    }
    assert!(!done.out.contains("start a gateway"), "{}", done.out);
}

#[test]
fn a_port_that_speaks_no_tls_is_named_as_that() {
    let dir = Directory::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for conn in listener.incoming() {
            let mut conn = conn.unwrap();
            // Whoever only looks whether the port is open has left.
            if conn.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                let _left =
                    conn.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            }
        }
    });
    let done = doctor(&dir, &at, &["--proxy", "off"]);
    let websocket = check(&done, "websocket");
    assert!(websocket.starts_with("FAIL") && websocket.contains("speaks no TLS"), "{}", done.out);
    assert!(
        websocket.contains("`gateway`") && !done.out.contains("InvalidContentType"),
        "{}",
        done.out
    );
    assert!(check(&done, "tls").starts_with("-"), "{}", done.out);
}
