//! A client whose process is stopped, as a debugger, a container's freezer or a paused machine does it: after
//! `dead_after` the gateway has given it up, and when it goes on it is back by itself.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "others need the rest")]
mod program;

use std::{
    fs,
    io::{Read as _, Write as _},
};

use program::{Directory, Running, echo};

/// The shortest times that there may be, for a process that is stopped is so in real time.
const LIMITS: &str = "[limits]\nping_interval = \"1s\"\ndead_after = \"3s\"\n";

fn a_stopped_client_is_given_up_and_comes_back(transport: &str) {
    let (dir, target) = (Directory::new(), echo());
    let config = fs::read_to_string(dir.path("gateway.toml")).unwrap();
    fs::write(dir.path("gateway.toml"), config + LIMITS).unwrap();
    let secret = fs::read_to_string(dir.path("certs/demo.secret")).unwrap();
    let user = format!("demo:{}", secret.trim_end());
    let mut gateway = Running::gateway(&dir, &[]);
    let mut client = Running::client_trusting(&dir, &gateway, ("a", "certs/ca.crt"), transport);
    gateway.wait_for("session up");
    assert_eq!(gateway.connect(&user, target), 200);

    client.signal("-STOP");
    gateway.wait_for("session down");
    assert_eq!(gateway.connect(&user, target), 503, "nobody is there");
    client.signal("-CONT");
    gateway.wait_for("session up");
    let (status, mut conn) = gateway.open(&user, target);
    assert_eq!(status, 200);
    conn.get_mut().write_all(b"hello").unwrap();
    let mut got = [0; 5];
    conn.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
    drop(conn);
    client.end();
    gateway.end();
}

#[test]
fn a_stopped_client_is_given_up_and_comes_back_over_quic() {
    a_stopped_client_is_given_up_and_comes_back("quic");
}

#[test]
fn a_stopped_client_is_given_up_and_comes_back_over_websocket() {
    a_stopped_client_is_given_up_and_comes_back("ws");
}
