//! Tokens that lead nowhere, gateways that are not the right ones, and flags that contradict them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[allow(dead_code, reason = "shared with other tests")]
mod joining;
#[allow(dead_code, reason = "shared with other tests")]
mod program;

use std::fs;

use joining::{DATA, another_token, client, gateway, refused, token};
use program::{Directory, Running};

/// As time would do it.
fn expire(dir: &Directory) {
    let store = rusqlite::Connection::open(dir.path(DATA).join("groups.db")).unwrap();
    assert_eq!(store.execute("UPDATE tokens SET expires = created", []).unwrap(), 1);
}

fn a_token_that_is_over_is_refused(transport: &str) {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let token = token(&dir, &mut gateway);
    expire(&dir);
    let line = ["client", "--join", &token, "--transport", transport];
    refused(&dir.run(&line, ""), "this token has expired");
    assert!(dir.run(&["token", "list"], "").out.contains("expired"));
    // One that was taken back is no better than one that never was.
    let second = another_token(&dir);
    let list = dir.run(&["token", "list", "--json"], "").out;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let usable = list.as_array().unwrap().iter().find(|token| token["state"] == "usable");
    let id = usable.unwrap()["id"].as_str().unwrap();
    assert_eq!(dir.run(&["token", "revoke", id], "").code, 0);
    gateway.wait_for("a client was not enrolled");
    let line = ["client", "--join", &second, "--transport", transport];
    refused(&dir.run(&line, ""), "not known here");
    assert_eq!(dir.run(&["token", "revoke", id], "").code, 1);
    assert!(dir.run(&["client", "list"], "").out.contains("no client has joined"));
    gateway.end();
}

#[test]
fn a_token_that_is_over_is_refused_over_quic() {
    a_token_that_is_over_is_refused("quic");
}

#[test]
fn a_token_that_is_over_is_refused_over_websocket() {
    a_token_that_is_over_is_refused("ws");
}

fn another_gateway_learns_nothing(transport: &str) {
    let (dir, other) = (Directory::new(), Directory::new());
    let (mut gateway, mut stranger) = (gateway(&dir), self::gateway(&other));
    let token = token(&dir, &mut gateway);
    let at = stranger.address("tunnels=").to_string();
    let done =
        dir.run(&["client", "--join", &token, "--gateway", &at, "--transport", transport], "");
    assert_eq!(done.code, 1);
    let says = done.err.contains("is not the gateway that made the token")
        && done.err.contains("is not the pinned one");
    assert!(says, "{}", done.err);
    assert!(!stranger.end().contains("client enrolled"));
    // The token was not used.
    let mut client = client(&dir, &["--join", &token, "--transport", transport]);
    client.wait_for("joined");
    client.end();
    gateway.end();
}

#[test]
fn another_gateway_learns_nothing_over_quic() {
    another_gateway_learns_nothing("quic");
}

#[test]
fn another_gateway_learns_nothing_over_websocket() {
    another_gateway_learns_nothing("ws");
}

#[test]
fn another_ca_than_the_tokens_is_refused() {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let token = token(&dir, &mut gateway);
    let done = dir.run(&["client", "--join", &token, "--ca", "certs/ca.crt"], "");
    assert!(done.code == 2 && done.err.contains("--ca: the token had the pin"), "{}", done.err);
    gateway.end();
}

#[test]
fn mistakes_are_named() {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let token = token(&dir, &mut gateway);
    let mut wrong = token.clone();
    let other = if token.get(30..31) == Some("A") { "B" } else { "A" };
    wrong.replace_range(30..31, other);
    let done = dir.run(&["client", "--join", &wrong], "");
    assert!(done.code == 2 && done.err.contains("checksum"), "{}", done.err);
    assert!(!done.err.contains(wrong.get(10..40).unwrap()), "{}", done.err);
    let done = dir.run(&["client", "--join", &token, "--group", "other"], "");
    assert!(done.code == 2 && !done.err.contains(&token), "{}", done.err);
    let done = dir.run(&["client", "--state-dir", "nowhere"], "");
    assert!(done.code == 1 && done.err.contains("has not joined"), "{}", done.err);
    let done = dir.run(&["client"], "");
    assert!(done.code == 2 && done.err.contains("--join TOKEN"), "{}", done.err);
    for (line, what) in [
        (&["token", "create", "--ttl", "8d", "--secret-out", "x"][..], "7 days"),
        (&["token", "create", "--group", "x", "--secret-out", "x"], "no group `x`"),
        (&["token", "create"], "standard output is no terminal"),
        (&["token", "revoke", "0011223344556677"], "no token"),
        (&["client", "revoke", "x"], "no client `x`"),
    ] {
        let done = dir.run(line, "");
        assert!(done.code == 1 && done.err.contains(what), "{line:?}: {}", done.err);
        assert!(done.err.contains("fix: "), "{}", done.err);
    }
    gateway.end();
}

#[test]
fn a_token_that_is_missing_is_named_with_where_it_comes_from() {
    let dir = Directory::new();
    fs::write(dir.path("token"), "\n").unwrap();
    for (line, input, what) in [
        (&["client", "--join", "-"][..], "", "standard input is empty"),
        (&["client", "--join", "-"], " \n", "standard input is empty"),
        (&["client", "--join-file", "token"], "", "token is empty"),
        (&["client", "--join", ""], "", "--join is empty"),
    ] {
        let done = dir.run(line, input);
        assert!(done.code == 2 && done.err.contains(what), "{line:?}: {}", done.err);
        assert!(done.err.contains("anyproxy token create"), "{}", done.err);
    }
}

/// What would have no effect is refused, whatever says it; what is so anyway is not.
#[test]
fn flags_that_a_joined_client_would_ignore_are_refused() {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let token = token(&dir, &mut gateway);
    let mut first = client(&dir, &["--join", &token, "--state-dir", "state-of-one"]);
    first.wait_for("joined; this client");
    first.end();
    let pin = format!("sha256:{}", "0".repeat(64));
    for (flag, value) in [
        ("--group", "other"),
        ("--pin", &pin),
        ("--method", "secret"),
        ("--secret-file", "certs/demo.secret"),
    ] {
        let done = dir.run(&["client", "--state-dir", "state-of-one", flag, value], "");
        assert!(done.code == 2 && done.err.contains(&format!("{flag}: ")), "{}", done.err);
        assert!(done.err.contains("leave it out"), "{}", done.err);
    }
    let mut command = dir.command(&["client", "--join-file", "token"]);
    fs::write(dir.path("token"), &token).unwrap();
    command.env("ANYPROXY_GROUP", "other").env("ANYPROXY_STATE_DIR", "state-of-one");
    let done = command.output().unwrap();
    assert_eq!(done.status.code(), Some(2));
    let mut same = dir.command(&["client", "--state-dir", "state-of-one", "--group", "default"]);
    same.env("ANYPROXY_SECRET", "unused");
    let mut same = Running::of(same);
    same.wait_for("ANYPROXY_SECRET is ignored");
    same.wait_for("connected to the gateway");
    same.end();
    gateway.end();
}
