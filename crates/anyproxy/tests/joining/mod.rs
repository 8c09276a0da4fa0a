//! A gateway without a file, tokens, and clients that join with them.

use std::fs;

use crate::program::{Directory, Done, Running};

pub(crate) const GATEWAY: [&str; 7] =
    ["gateway", "--http", "127.0.0.1:0", "--socks5", "off", "--log-level", "trace"];
pub(crate) const DATA: &str = "state/anyproxy/gateway";

/// A gateway without a file that listens at `at`.
pub(crate) fn gateway_at(dir: &Directory, at: &str) -> Running {
    let mut gateway = Running::start(dir, &[&GATEWAY[..], &["--listen", at]].concat());
    gateway.wait_for("HTTP proxy started");
    gateway
}

pub(crate) fn gateway(dir: &Directory) -> Running {
    gateway_at(dir, "127.0.0.1:0")
}

/// A new token. The gateway has to have said where it is.
pub(crate) fn token(dir: &Directory, gateway: &mut Running) -> String {
    gateway.wait_for("clients join with tokens");
    another_token(dir)
}

pub(crate) fn another_token(dir: &Directory) -> String {
    let done = dir.run(&["token", "create", "--secret-out", "-"], "");
    assert_eq!(done.code, 0, "{}", done.err);
    let token = done.out.trim_end().to_owned();
    assert!(token.starts_with("apj1_") && !token.contains(char::is_whitespace), "{token}");
    token
}

pub(crate) fn client(dir: &Directory, line: &[&str]) -> Running {
    Running::start(dir, &[&["--log-level", "trace", "client"], line].concat())
}

/// The proxy user that the gateway made.
pub(crate) fn user(dir: &Directory) -> String {
    let password = fs::read_to_string(dir.path(DATA).join("default.password")).unwrap();
    format!("default:{}", password.trim_end())
}

pub(crate) fn refused(done: &Done, what: &str) {
    assert_eq!(done.code, 1, "{}", done.err);
    assert!(done.err.contains(what), "{}", done.err);
    assert!(done.err.contains("anyproxy token create"), "{}", done.err);
}

/// The id of the only client.
pub(crate) fn only_client(dir: &Directory) -> String {
    let list = dir.run(&["client", "list", "--json"], "").out;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    list[0]["id"].as_str().unwrap().to_owned()
}
