//! A gateway without a file: what it makes, what it opens, and what it says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[allow(dead_code, reason = "shared with other tests")]
mod joining;
#[allow(dead_code, reason = "shared with other tests")]
mod program;

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    process::Stdio,
};

use joining::{DATA, GATEWAY, client, gateway, token, user};
use program::{Directory, Running, ask, echo};

/// The other side of a terminal that a service writes to.
fn terminal() -> (BufReader<File>, Stdio) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&side).unwrap();
    unlockpt(&side).unwrap();
    let name = ptsname(&side, Vec::new()).unwrap().into_string().unwrap();
    let other = OpenOptions::new().read(true).write(true).open(name).unwrap();
    (BufReader::new(side.into()), other.into())
}

#[test]
fn on_a_terminal_one_line_says_how_to_join_while_nobody_has() {
    let dir = Directory::new();
    let (mut screen, side) = terminal();
    let line = [&GATEWAY[..], &["--listen", "127.0.0.1:0"]].concat();
    let mut command = dir.command(&line);
    command.stdout(side);
    let mut gateway = Running::of(command);
    let mut said = String::new();
    screen.read_line(&mut said).unwrap();
    let words: Vec<_> = said.split_whitespace().collect();
    let ["anyproxy", "client", "--join", token] = words[..] else { panic!("{said}") };
    let mut client = client(&dir, &["--join", token]);
    client.wait_for("joined");
    client.end();
    assert!(!gateway.end().contains(token));

    let (mut screen, side) = terminal();
    let mut command = dir.command(&line);
    command.stdout(side);
    let mut gateway = Running::of(command);
    gateway.wait_for("clients join with tokens");
    gateway.end();
    drop(gateway);
    let mut rest = String::new();
    // A terminal whose other side is closed reads as an error on Linux.
    let _closed = screen.read_to_string(&mut rest);
    assert_eq!(rest, "");
}

#[test]
fn a_gateway_without_a_file_opens_nothing_to_others() {
    let dir = Directory::new();
    let line = ["gateway", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--socks5", "off"];
    let mut gateway = Running::start(&dir, &line);
    let token = {
        gateway.wait_for("HTTP proxy started");
        token(&dir, &mut gateway)
    };
    let forwards = ["--forward", "0.0.0.0:0:127.0.0.1:1", "--forward", "1023:127.0.0.1:1"];
    let mut client = client(&dir, &[&["--join", &token], &forwards[..]].concat());
    client.wait_for("forward refused");
    client.wait_for("forward refused");
    let http: SocketAddr = gateway.address("http=");
    let (status, _) = ask(TcpStream::connect(http).unwrap(), "default:x", echo());
    assert_eq!(status, 407);
    client.end();
    gateway.end();
}

/// Whichever made it, the password that is kept is everybody's.
#[test]
fn three_first_starts_at_once_serve_the_same_user() {
    let dir = Directory::new();
    let line = [&GATEWAY[..], &["--listen", "127.0.0.1:0"]].concat();
    let mut all = [(); 3].map(|()| Running::start(&dir, &line));
    for gateway in &mut all {
        gateway.wait_for("HTTP proxy started");
    }
    for gateway in &mut all {
        // Nobody serves the group, but the user is known.
        assert_eq!(gateway.connect(&user(&dir), echo()), 503);
        assert_eq!(gateway.connect("default:wrong-wrong-wrong", echo()), 407);
        gateway.end();
    }
}

#[test]
fn who_lets_others_at_the_keys_is_warned_at_each_start() {
    let dir = Directory::new();
    gateway(&dir).end();
    let open = |name: &str, mode| {
        fs::set_permissions(dir.path(DATA).join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    assert!(!gateway(&dir).end().contains("chmod"));
    open("ca.key", 0o604);
    open("default.password", 0o644);
    open("", 0o777);
    let log = gateway(&dir).end();
    for (mode, command) in [("0604", "chmod 600 "), ("0644", "chmod 600 "), ("0777", "chmod 700 ")]
    {
        let said = log
            .lines()
            .any(|line| line.contains("WARN") && line.contains(mode) && line.contains(command));
        assert!(said, "{mode}: {log}");
    }
}

#[test]
fn a_gateway_that_runs_is_not_moved_to_a_service() {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let line = ["service", "install", "gateway", "--root", "system", "--data-dir", DATA];
    let line = [&line[..], &["--advertise", "gw.example.com:8443"]].concat();
    let done = dir.run(&line, "");
    assert_eq!(done.code, 1, "{}", done.err);
    assert!(done.err.contains("a gateway runs from") && done.err.contains("fix: "), "{}", done.err);
    assert!(dir.path(DATA).join("groups.db").exists() && !dir.path("system").exists());
    gateway.end();
    let done = dir.run(&line, "");
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(dir.path("system/var/lib/anyproxy/gateway/groups.db").exists());
}
