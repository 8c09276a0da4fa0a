//! What both logs say of a connection that is not opened, or that carries requests.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "this file needs a part of it")]
mod program;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use program::{Directory, Running};

/// A gateway and a client that log all, and what the proxy's user logs in with.
fn pair(dir: &Directory, transport: &str) -> (Running, Running, String) {
    let mut gateway = Running::gateway(dir, &["--socks5", "127.0.0.1:0", "-l", "debug"]);
    gateway.wait_for("SOCKS5 proxy started");
    let at = gateway.address("tunnels=").to_string();
    let line = ["client", "-g", &at, "--ca", "certs/ca.crt", "--group", "demo", "-l", "debug"];
    let more = ["--secret-file", "certs/demo.secret", "--transport", transport];
    let mut client = Running::start(dir, &[&line[..], &more].concat());
    client.wait_for("connected to the gateway");
    let secret = fs::read_to_string(dir.path("certs/demo.secret")).unwrap();
    (gateway, client, secret.trim().to_owned())
}

/// A port at which nobody listens.
fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The status of a plain request.
fn get(gateway: &Running, secret: &str, target: SocketAddr) -> String {
    let mut conn = TcpStream::connect(gateway.address("http=")).unwrap();
    let login = STANDARD.encode(format!("demo:{secret}"));
    let head = format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n");
    write!(conn, "{head}Proxy-Authorization: Basic {login}\r\n\r\n").unwrap();
    let mut answer = String::new();
    conn.read_to_string(&mut answer).unwrap();
    answer.split_whitespace().nth(1).unwrap().to_owned()
}

/// The reply code of SOCKS5 (RFC 1928, RFC 1929).
fn socks(gateway: &Running, secret: &str, target: SocketAddr) -> u8 {
    let mut conn = TcpStream::connect(gateway.address("socks5=")).unwrap();
    conn.write_all(&[5, 1, 2]).unwrap();
    let mut login = vec![1, 4];
    login.extend(b"demo");
    login.push(u8::try_from(secret.len()).unwrap());
    login.extend(secret.as_bytes());
    conn.write_all(&login).unwrap();
    let [high, low] = target.port().to_be_bytes();
    conn.write_all(&[5, 1, 0, 1, 127, 0, 0, 1, high, low]).unwrap();
    let mut answer = [0; 6];
    conn.read_exact(&mut answer).unwrap();
    answer[5]
}

/// The lines that have all of these.
fn lines<'a>(log: &'a str, parts: &[&str]) -> Vec<&'a str> {
    log.lines().filter(|line| parts.iter().all(|part| line.contains(part))).collect()
}

fn word(line: &str) -> &str {
    let words = line.split(|c: char| c.is_whitespace() || c == '{' || c == '}');
    words.into_iter().find(|word| word.starts_with("connection=")).unwrap()
}

fn a_refusal_is_told_under_one_word_at_both_ends(transport: &str) {
    let dir = Directory::new();
    let (mut gateway, mut client, secret) = pair(&dir, transport);
    let (tunnelled, plain, by_socks) = (closed(), closed(), closed());
    assert_eq!(gateway.connect(&format!("demo:{secret}"), tunnelled), 502);
    assert_eq!(get(&gateway, &secret, plain), "502");
    assert_eq!(socks(&gateway, &secret, by_socks), 5);
    let (at_gateway, at_client) = (gateway.end(), client.end());
    for target in [tunnelled, plain, by_socks] {
        let target = target.to_string();
        let parts = ["open refused", &target, "user{number=", "code=refused by the target"];
        let [line] = lines(&at_gateway, &parts)[..] else {
            panic!("{transport} {target}:\n{at_gateway}")
        };
        let there = lines(&at_client, &["open refused", &target, word(line)]);
        assert_eq!(there.len(), 1, "{transport} {line}:\n{at_client}");
    }
}

#[test]
fn a_refusal_is_told_under_one_word_at_both_ends_over_quic() {
    a_refusal_is_told_under_one_word_at_both_ends("quic");
}

#[test]
fn a_refusal_is_told_under_one_word_at_both_ends_over_websocket() {
    a_refusal_is_told_under_one_word_at_both_ends("ws");
}

#[test]
fn a_connection_that_carries_requests_is_its_users_to_its_end() {
    let dir = Directory::new();
    let (mut gateway, mut client, secret) = pair(&dir, "quic");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut conn, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            conn.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        conn.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
    });
    assert_eq!(get(&gateway, &secret, target), "204");
    server.join().unwrap();
    gateway.wait_for("a target's connection ended");
    let log = gateway.end();
    client.end();
    let opened = lines(&log, &["connection opened", &target.to_string()])[0];
    let ended = lines(&log, &["a target's connection ended", word(opened), "user{number="]);
    assert_eq!(ended.len(), 1, "{log}");
}

#[test]
fn a_client_that_does_not_answer_in_time_is_told_of_as_well() {
    let dir = Directory::new();
    let config = fs::read_to_string(dir.path("gateway.toml")).unwrap();
    fs::write(dir.path("gateway.toml"), format!("{config}[limits]\nproxy_timeout = \"1s\"\n"))
        .unwrap();
    let (mut gateway, mut client, secret) = pair(&dir, "quic");
    client.signal("-STOP");
    let target = closed();
    assert_eq!(gateway.connect(&format!("demo:{secret}"), target), 504);
    client.signal("-CONT");
    client.end();
    let log = gateway.end();
    let [line] = lines(&log, &["open given up", &target.to_string(), "user{number="])[..] else {
        panic!("{log}")
    };
    assert!(word(line).len() > "connection=".len(), "{line}");
}
