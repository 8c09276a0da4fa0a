//! Clients that have joined: what becomes of their ids and keys, and of the gateway they know.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[allow(dead_code, reason = "shared with other tests")]
mod joining;
#[allow(dead_code, reason = "shared with other tests")]
mod program;

use std::{
    fs,
    time::{Duration, SystemTime},
};

use anyproxy::certs::{Authority, expiry};
use joining::{DATA, another_token, client, gateway, gateway_at, token, user};
use program::{Directory, echo};

fn a_revoked_client_is_out_at_once_and_joins_again_with_a_new_token(transport: &str) {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let first = token(&dir, &mut gateway);
    let target = echo();
    let line = ["--join", &first, "--transport", transport, "--client-id", "laptop"];
    let mut client = client(&dir, &line);
    gateway.wait_for("session up");
    assert_eq!(gateway.connect(&user(&dir), target), 200);
    let listed = dir.run(&["client", "list"], "").out;
    assert!(listed.contains("laptop") && listed.contains("enrolled"), "{listed}");
    let done = dir.run(&["client", "revoke", "laptop"], "");
    assert!(done.code == 0 && done.out.contains("ends its sessions"), "{}{}", done.out, done.err);
    client.wait_for("the client was revoked");
    gateway.wait_for("session down");
    assert_eq!(gateway.connect(&user(&dir), target), 503);
    client.wait_for("join again with a new token");
    client.end();
    assert_eq!(dir.run(&["client", "revoke", "laptop"], "").code, 1);

    let second = another_token(&dir);
    let line = ["--join", &second, "--transport", transport, "--client-id", "laptop"];
    let mut client = self::client(&dir, &line);
    client.wait_for("joined");
    gateway.wait_for("session up");
    assert_eq!(gateway.connect(&user(&dir), target), 200);
    client.end();
    gateway.end();
}

#[test]
fn a_revoked_client_is_out_at_once_and_joins_again_with_a_new_token_over_quic() {
    a_revoked_client_is_out_at_once_and_joins_again_with_a_new_token("quic");
}

#[test]
fn a_revoked_client_is_out_at_once_and_joins_again_with_a_new_token_over_websocket() {
    a_revoked_client_is_out_at_once_and_joins_again_with_a_new_token("ws");
}

#[test]
fn an_id_is_one_clients_and_a_key_is_one_ids() {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let first = token(&dir, &mut gateway);
    let mut laptop = client(&dir, &["--join", &first, "--client-id", "laptop"]);
    laptop.wait_for("joined");
    let second = another_token(&dir);
    let line = ["client", "--join", &second, "--client-id", "laptop", "--state-dir", "other"];
    let taken = dir.run(&line, "");
    assert!(
        taken.code == 1 && taken.err.contains("has a client `laptop` already"),
        "{}",
        taken.err
    );
    // That did not use the token.
    let line = ["--join", &second, "--client-id", "desk", "--state-dir", "other"];
    let mut desk = client(&dir, &line);
    desk.wait_for("joined");
    let done = dir.run(&["client", "--client-id", "laptop", "--state-dir", "other"], "");
    assert!(done.code == 1 && done.err.contains("has joined as `desk`"), "{}", done.err);
    laptop.end();
    desk.end();
    gateway.end();
}

/// A restart of the gateway, with a certificate that has become too old meanwhile.
#[test]
fn clients_come_back_to_a_gateway_that_renewed_its_certificate() {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let at = gateway.address("tunnels=").to_string();
    let token = token(&dir, &mut gateway);
    let mut client = client(&dir, &["--join", &token]);
    gateway.wait_for("session up");
    gateway.end();
    let data = dir.path(DATA);
    let read = |name: &str| fs::read_to_string(data.join(name)).unwrap();
    let authority = Authority::from_pem(&read("ca.crt"), &read("ca.key")).unwrap();
    let key = rcgen::KeyPair::from_pem(&read("gateway.key")).unwrap();
    let then = SystemTime::now() - Duration::from_secs(380 * 86_400);
    let old = authority.issue(&["127.0.0.1".into()], &key, then).unwrap();
    fs::write(data.join("gateway.crt"), &old).unwrap();
    let before = (read("ca.crt"), read("gateway.key"));
    let mut gateway = gateway_at(&dir, &at);
    assert!(expiry(read("gateway.crt").as_bytes()) > expiry(old.as_bytes()));
    assert_eq!((read("ca.crt"), read("gateway.key")), before);
    gateway.wait_for("session up");
    assert_eq!(gateway.connect(&user(&dir), echo()), 200);
    client.end();
    gateway.end();
}
