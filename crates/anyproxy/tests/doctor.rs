//! `anyproxy doctor` as a person runs it.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "this file needs a part of it")]
mod program;

use std::{
    fs,
    net::{TcpListener, UdpSocket},
};

use program::{Directory, Done, Running};

/// A client's file about a gateway that runs.
fn client_file(dir: &Directory, gateway: &Running, more: &str) {
    let at = gateway.address("tunnels=");
    let file = format!(
        "gateway = \"{at}\"\nca = \"certs/ca.crt\"\ngroup = \"demo\"\n\
         secret_file = \"certs/demo.secret\"\n{more}"
    );
    fs::write(dir.path("client.toml"), file).unwrap();
}

fn doctor(dir: &Directory, config: &str, flags: &[&str]) -> Done {
    dir.run(&[&["doctor", "--config", config], flags].concat(), "")
}

/// The status and the line of a check, and the fix below it.
fn line(done: &Done, check: &str, part: &str) -> (String, String) {
    let mut lines = done.out.lines();
    while let Some(line) = lines.next() {
        let mut words = line.split_whitespace();
        let status = words.next().unwrap_or_default();
        if words.next() == Some(check) && line.contains(part) {
            return (status.to_owned(), lines.next().unwrap_or_default().trim().to_owned());
        }
    }
    panic!("no {check} with {part:?} in:\n{}{}", done.out, done.err)
}

#[test]
fn a_pair_that_works_fails_nothing_and_the_keys_tell_whose_a_file_is() {
    let dir = Directory::new();
    let gateway = Running::gateway(&dir, &[]);
    client_file(&dir, &gateway, "");
    let done = doctor(&dir, "client.toml", &[]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    for (check, part) in [
        ("resolve", "127.0.0.1"),
        ("tcp", "takes connections"),
        ("tls", "is right, and valid for 39"),
        ("websocket", "TLS 1.3"),
        ("quic", "shakes hands"),
        ("clock", "agrees"),
        ("login", "takes the secret"),
    ] {
        assert_eq!(line(&done, check, part).0, "ok", "{}", done.out);
    }
    let done = doctor(&dir, "gateway.toml", &[]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert_eq!(line(&done, "certificate", "fits its key").0, "ok");
}

#[test]
fn flags_do_instead_of_a_file() {
    let dir = Directory::new();
    let gateway = Running::gateway(&dir, &[]);
    let at = gateway.address("tunnels=").to_string();
    let flags = ["--ca", "certs/ca.crt", "--group", "demo", "--secret-file", "certs/demo.secret"];
    let done = dir.run(&[&["doctor", "client", "--gateway", &at], &flags[..]].concat(), "");
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let done = dir.run(&["doctor", "gateway", "--config", "gateway.toml"], "");
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let done = dir.run(&["doctor"], "");
    assert_eq!(done.code, 2, "{}{}", done.out, done.err);
    for way in ["anyproxy doctor gateway", "anyproxy doctor client", "--config"] {
        assert!(done.err.contains(way), "{}", done.err);
    }
}

#[test]
fn a_wrong_secret_fails_with_exit_code_1_and_shows_no_secret() {
    let dir = Directory::new();
    let gateway = Running::gateway(&dir, &[]);
    client_file(&dir, &gateway, "");
    fs::write(dir.path("certs/demo.secret"), "another secret of 128 bits and more").unwrap();
    let done = doctor(&dir, "client.toml", &["--json"]);
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
    let json: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&json["version"], &json["role"]), (&1.into(), &"client".into()));
    assert_eq!(json["result"], "fail");
    let checks = json["checks"].as_array().unwrap();
    let failed = checks.iter().filter(|check| check["status"] == "fail").collect::<Vec<_>>();
    let [login] = &failed[..] else { panic!("{}", done.out) };
    assert_eq!(login["check"], "login");
    assert!(login["fix"].as_str().unwrap().contains("anyproxy group"), "{login}");
    assert!(!format!("{}{}", done.out, done.err).contains("another secret"), "{}", done.out);
}

#[test]
fn ports_that_are_taken_are_named_with_who_has_them() {
    let dir = Directory::new();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (http, listen) = (tcp.local_addr().unwrap(), udp.local_addr().unwrap());
    let line_of = format!("doctor gateway --config gateway.toml --http {http} --listen {listen}");
    let done = dir.run(&line_of.split(' ').collect::<Vec<_>>(), "");
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
    for part in [format!("http {http}/tcp is taken"), format!("listen {listen}/udp is taken")] {
        let (status, fix) = line(&done, "port", &part);
        assert_eq!(status, "FAIL", "{}", done.out);
        if cfg!(target_os = "linux") {
            let kill = format!("kill {}", std::process::id());
            assert!(fix.contains(&kill), "{fix}\n{}", done.out);
        }
    }
}

#[test]
fn a_gateway_that_runs_is_no_failure() {
    let dir = Directory::new();
    let gateway = Running::gateway(&dir, &[]);
    let http = gateway.address("http=").to_string();
    let done = dir.run(&["doctor", "gateway", "--config", "gateway.toml", "--http", &http], "");
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    if cfg!(target_os = "linux") {
        assert_eq!(line(&done, "port", "held by anyproxy").0, "warn", "{}", done.out);
    }
}

#[test]
fn what_others_can_read_and_what_they_can_reach_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = Directory::new();
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(dir.path("certs/gateway.key"), open).unwrap();
    let flags = ["--http", "0.0.0.0:0"];
    let done =
        dir.run(&[&["doctor", "gateway", "--config", "gateway.toml"], &flags[..]].concat(), "");
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let (status, fix) = line(&done, "permissions", "gateway.key");
    assert_eq!(status, "warn");
    assert!(fix.contains("chmod 600"), "{fix}");
    let (status, fix) = line(&done, "exposure", "http 0.0.0.0:0");
    assert_eq!(status, "warn");
    assert!(fix.contains("https"), "{fix}");
}

#[test]
fn settings_that_cannot_be_used_are_a_failure_with_its_fix() {
    let dir = Directory::new();
    fs::copy(dir.path("certs/ca.crt"), dir.path("certs/gateway.crt")).unwrap();
    let done = doctor(&dir, "gateway.toml", &[]);
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
    let (status, fix) = line(&done, "settings", "do not fit together");
    assert_eq!(status, "FAIL");
    assert!(fix.contains("anyproxy certs"), "{fix}");
    let done = doctor(&dir, "nothing.toml", &[]);
    assert_eq!((done.code, line(&done, "settings", "nothing.toml").0.as_str()), (1, "FAIL"));
}
