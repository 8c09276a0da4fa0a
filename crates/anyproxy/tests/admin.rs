//! Health and readiness of the program.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![allow(dead_code, reason = "not every test needs all of the program")]

mod program;
mod telling;

use std::{fs, net::TcpListener};

use program::{Directory, Running, echo};
use telling::{Pair, client, gateway, get, metrics, told, value};

#[test]
fn a_client_with_a_wrong_secret_is_counted_and_says_so() {
    let dir = Directory::new();
    let gateway = told(gateway(&dir, &[]));
    fs::write(dir.path("certs/demo.secret"), "wrong-secret-wrong-secret-wrong\n").unwrap();
    let mut client = told(client(&dir, gateway.address("tunnels="), "quic"));
    client.wait_for_all(&["not connected to the gateway"]);
    let text = metrics(&gateway);
    assert_eq!(value(&text, "anyproxy_handshakes_failed_total{code=\"unauthorised\"}"), 1.0);
    let text = metrics(&client);
    assert_eq!(value(&text, "anyproxy_client_failures_total{code=\"unauthorised\"}"), 1.0);
    assert_eq!(get(client.address("admin="), "/readyz"), (503, "no session is up\n".into()));
    assert_eq!(get(client.address("admin="), "/healthz").0, 200);
    let shown = dir.run(&["status", "--socket", "client.sock"], "");
    assert_eq!(shown.code, 0, "{}", shown.err);
    for part in ["NOT READY: no session is up", "check group and secret on both sides"] {
        assert!(shown.out.contains(part), "{}", shown.out);
    }
}

#[test]
fn a_client_that_has_not_joined_yet_is_alive_and_says_why() {
    let dir = Directory::new();
    let without_a_file = |at: &str| {
        let line = ["gateway", "--listen", at, "--http", "127.0.0.1:0", "--socks5", "off"];
        let mut gateway = Running::start(&dir, &line);
        gateway.wait_for("clients join with tokens");
        gateway
    };
    let mut gateway = without_a_file("127.0.0.1:0");
    let at = gateway.address("tunnels=").to_string();
    let token = dir.run(&["token", "create", "--secret-out", "-"], "").out;
    gateway.end();
    let telling = ["--admin", "127.0.0.1:0", "--status-socket", "client.sock"];
    let line = ["client", "--join", token.trim_end(), "--forward", "8000:127.0.0.1:1"];
    let mut client = told(Running::start(&dir, &[&line[..], &telling].concat()));
    client.wait_for("not joined yet");
    let admin = client.address("admin=");
    assert_eq!(get(admin, "/healthz"), (200, "ok\n".into()));
    let (code, why) = get(admin, "/readyz");
    assert!(code == 503 && why.starts_with("this client has not joined yet: "), "{code} {why}");
    assert!(metrics(&client).contains("anyproxy_ready 0"));
    let shown = dir.run(&["status", "--socket", "client.sock"], "");
    for part in ["NOT READY: this client has not joined yet", "last failure", "8000"] {
        assert!(shown.code == 0 && shown.out.contains(part), "{}{}", shown.out, shown.err);
    }
    let mut gateway = without_a_file(&at);
    client.wait_for("connected to the gateway");
    // It says so a moment before it is so.
    let mut asks = 0..10_000;
    while get(admin, "/readyz").0 != 200 && asks.next().is_some() {}
    assert_eq!(get(admin, "/readyz"), (200, "ready\n".into()));
    client.end();
    gateway.end();
}

#[test]
fn a_gateway_that_drains_is_not_ready_and_alive() {
    let mut pair = Pair::start("quic");
    let admin = pair.gateway.address("admin=");
    assert_eq!(get(admin, "/readyz"), (200, "ready\n".into()));
    let held = pair.connect(echo());

    pair.gateway.signal("-TERM");
    pair.gateway.wait_for("shutting down");
    // It says so a moment before it does so.
    let mut asks = 0..10_000;
    while get(admin, "/readyz").0 == 200 && asks.next().is_some() {}
    assert_eq!(get(admin, "/readyz"), (503, "the gateway is shutting down\n".into()));
    assert_eq!(get(admin, "/healthz"), (200, "ok\n".into()));
    drop(held);
}

#[test]
fn a_client_that_drains_is_not_ready_and_alive() {
    let mut pair = Pair::start("quic");
    let admin = pair.client.address("admin=");
    assert_eq!(get(admin, "/readyz"), (200, "ready\n".into()));
    let held = pair.connect(echo());
    pair.client.signal("-TERM");
    pair.client.wait_for("shutting down");
    // It says so a moment before it does so.
    let mut asks = 0..10_000;
    while get(admin, "/readyz").0 == 200 && asks.next().is_some() {}
    assert_eq!(get(admin, "/readyz"), (503, "the client is shutting down\n".into()));
    assert_eq!(get(admin, "/healthz"), (200, "ok\n".into()));
    drop(held);
}

#[test]
fn a_gateway_whose_metrics_have_no_port_does_not_say_that_it_started() {
    let dir = Directory::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let done = dir.run(&["gateway", "-c", "gateway.toml", "--admin", &at], "");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("for metrics and health"), "{}", done.err);
    assert!(!done.err.contains("started"), "{}", done.err);
}
