//! `anyproxy doctor` about a gateway without a file, and about clients that joined it.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "this file needs a part of it")]
mod program;

use std::fs;

use program::{Directory, Done, Running};

const DATA: &str = "state/anyproxy/gateway";
const DOORS: [&str; 4] = ["--http", "127.0.0.1:0", "--socks5", "off"];

fn gateway(dir: &Directory) -> Running {
    let line = [&["gateway", "--listen", "127.0.0.1:0"], &DOORS[..]].concat();
    let mut gateway = Running::start(dir, &line);
    gateway.wait_for("clients join with tokens");
    gateway
}

fn doctor_gateway(dir: &Directory) -> Done {
    let line = ["doctor", "gateway", "--listen", "127.0.0.1:0"];
    dir.run(&[&line, &DOORS[..]].concat(), "")
}

fn token(dir: &Directory) -> String {
    dir.run(&["token", "create", "--secret-out", "-"], "").out.trim_end().to_owned()
}

/// The line of a check and what follows it.
fn check<'a>(done: &'a Done, name: &str) -> &'a str {
    let at = done.out.find(&format!(" {name} "));
    let at = at.unwrap_or_else(|| panic!("no {name} in:\n{}{}", done.out, done.err));
    let from = done.out[..at].rfind('\n').map_or(0, |end| end + 1);
    &done.out[from..]
}

#[test]
fn a_gateway_without_a_file_is_looked_at_and_nothing_is_made() {
    let dir = Directory::new();
    let done = doctor_gateway(&dir);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let settings = check(&done, "settings");
    assert!(settings.starts_with("warn") && settings.contains("not started yet"), "{settings}");
    assert!(settings.contains("fix: ") && settings.contains("anyproxy gateway"), "{settings}");
    assert!(!dir.path("state").exists());

    let mut gateway = gateway(&dir);
    let pin = dir.run(&["certs", "--show", "--dir", DATA], "").out;
    let pin = pin.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap().to_owned();
    for running in [true, false] {
        let done = doctor_gateway(&dir);
        assert_eq!(done.code, 0, "running {running}: {}{}", done.out, done.err);
        for (name, part) in
            [("settings", "they can be used"), ("groups", "1 group"), ("data_dir", "is there")]
        {
            let line = check(&done, name);
            assert!(line.starts_with("ok") && line.contains(part), "{line}");
        }
        let certificate = check(&done, "certificate");
        assert!(certificate.starts_with("ok") && certificate.contains(&pin), "{certificate}");
    }
    gateway.end();
    fs::remove_file(dir.path(DATA).join("gateway.key")).unwrap();
    let done = doctor_gateway(&dir);
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
    assert!(check(&done, "settings").contains("gateway.key is missing"), "{}", done.out);
    assert!(!dir.path(DATA).join("gateway.key").exists());
    // The start makes it anew, with a certificate for it, and clients' pin holds.
    self::gateway(&dir).end();
    let done = doctor_gateway(&dir);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert!(check(&done, "certificate").contains(&pin), "{}", done.out);
}

#[test]
fn a_client_that_was_revoked_is_told_to_join_again() {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let mut client =
        Running::start(&dir, &["client", "--join", &token(&dir), "--client-id", "one"]);
    client.wait_for("connected to the gateway");
    client.end();
    let done = dir.run(&["doctor", "client"], "");
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let login = check(&done, "login");
    assert!(login.starts_with("ok") && login.contains("key of this client"), "{login}");

    assert_eq!(dir.run(&["client", "revoke", "one"], "").code, 0);
    // The gateway follows its store, so it is asked until it has.
    let login = loop {
        let done = dir.run(&["doctor", "client"], "");
        let login = check(&done, "login").to_owned();
        if done.code == 1 {
            break login;
        }
        assert!(login.starts_with("ok"), "{login}");
    };
    assert!(login.starts_with("FAIL") && login.contains("not enrolled"), "{login}");
    assert!(login.contains("anyproxy token create") && login.contains("--join"), "{login}");
    assert!(!login.contains("secret"), "{login}");
    gateway.end();
}

/// What a gateway says of itself is told to those who are to reach it.
#[test]
fn another_group_s_clients_are_told_where_the_gateway_is() {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let at = gateway.address("tunnels=").to_string();
    let done = dir.run(&["group", "add", "other", "--secret-out", "other.secret"], "");
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains(&format!("--gateway {at} --group other")), "{}", done.out);
    gateway.end();
    // A file that is not there is as wrong for a token as for anything else.
    for line in [["--join-file", "nothing"], ["--ca", "nothing"], ["--config", "nothing"]] {
        let more = ["--gateway", "gw:1", "--group", "g"];
        let more = if line[0] == "--ca" { &more[..] } else { &[] };
        let done = dir.run(&[&["client"], &line[..], more].concat(), "");
        assert_eq!(done.code, 2, "{line:?}: {}", done.err);
    }
}

#[test]
fn the_pin_is_shown_and_nothing_is_changed() {
    let dir = Directory::new();
    gateway(&dir).end();
    let before = fs::read(dir.path(DATA).join("gateway.crt")).unwrap();
    let named = dir.run(&["certs", "--show", "--dir", DATA], "");
    assert_eq!(named.code, 0, "{}", named.err);
    // There is a ./certs in this directory, but a gateway that has none is meant as well.
    let shown = dir.run(&["certs", "--show"], "");
    assert!(shown.out.contains(DATA) && shown.out.contains("certs"), "{}", shown.out);
    for line in named.out.lines().filter(|line| line.starts_with("pin ")) {
        assert!(shown.out.contains(line), "{}", shown.out);
    }
    assert_eq!(fs::read(dir.path(DATA).join("gateway.crt")).unwrap(), before);
    let none = dir.run(&["certs", "--show", "--dir", "nowhere"], "");
    assert_eq!(none.code, 1, "{}", none.out);
    assert!(none.err.contains("nowhere") && !dir.path("nowhere").exists(), "{}", none.err);
    for flags in [["--name", "gw.example"], ["--group", "demo"]] {
        assert_eq!(dir.run(&[&["certs", "--show"], &flags[..]].concat(), "").code, 2);
    }
}
