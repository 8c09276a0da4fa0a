//! The services as a person runs them: starting, signals, and the demo.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
};

use tempfile::TempDir;

/// A directory with certificates, a secret and a gateway's configuration with free ports.
fn directory() -> TempDir {
    let dir = TempDir::new().unwrap();
    let made = command(dir.path(), &["certs", "--group", "demo"]).output().unwrap();
    assert!(made.status.success());
    let config = "listen = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nsocks5 = \"off\"\n\
                  certificate = \"certs/gateway.crt\"\nkey = \"certs/gateway.key\"\n\
                  [[group]]\nname = \"demo\"\nsecret_file = \"certs/demo.secret\"\n";
    std::fs::write(dir.path().join("gateway.toml"), config).unwrap();
    dir
}

fn command(directory: &Path, line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anyproxy"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ANYPROXY_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command.args(line).current_dir(directory).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A gateway that has started, and the rest of its log.
fn gateway(directory: &Path) -> (Child, BufReader<ChildStderr>) {
    let mut child = command(directory, &["gateway", "--config", "gateway.toml"]).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    wait_for(&mut log, "HTTP proxy started");
    (child, log)
}

fn wait_for(log: &mut BufReader<ChildStderr>, text: &str) {
    let mut seen = String::new();
    while !seen.contains(text) {
        let read = log.read_line(&mut seen).unwrap();
        assert!(read > 0, "the log ended without {text:?}:\n{seen}");
    }
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_port_in_use_is_named_before_anything_is_said_to_have_started() {
    let dir = directory();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for flag in ["--http", "--listen"] {
        let line = ["gateway", "--config", "gateway.toml", flag, &addr];
        let output = command(dir.path(), &line).output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.contains(&addr) && log.contains("fix: "), "{log}");
        assert!(!log.contains("started"), "{log}");
    }
}

/// A default that is cut is no news; what a person chose is.
#[cfg(unix)]
#[test]
fn a_bound_beyond_the_descriptors_is_cut_with_a_warning() {
    let dir = directory();
    let path = dir.path().join("gateway.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{config}\n[limits]\nmax_users = 5000\n")).unwrap();
    let few = "ulimit -n 256 && exec \"$0\" gateway --config gateway.toml";
    let mut child = Command::new("sh")
        .args(["-c", few, env!("CARGO_BIN_EXE_anyproxy")])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("HTTP proxy started") {
        assert!(log.read_line(&mut seen).unwrap() > 0, "it ended:\n{seen}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let warnings = seen.lines().filter(|line| line.contains("too few file descriptors"));
    let warnings = warnings.collect::<Vec<_>>();
    let [warning] = warnings.as_slice() else { panic!("{seen}") };
    for part in ["`max_users`", "setting=5000", "used=156"] {
        assert!(warning.contains(part), "{warning}");
    }
}

#[cfg(unix)]
#[test]
fn sighup_ends_nothing_and_sigterm_ends_cleanly() {
    let dir = directory();
    let (mut child, mut log) = gateway(dir.path());
    signal(&child, "-HUP");
    wait_for(&mut log, "reloaded");
    signal(&child, "-TERM");
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
    assert!(rest.contains("gateway ended"), "{rest}");
}

#[cfg(unix)]
#[test]
fn no_secret_is_logged_even_at_the_finest_level() {
    let dir = directory();
    let secret = std::fs::read_to_string(dir.path().join("certs/demo.secret")).unwrap();
    let line = ["gateway", "--config", "gateway.toml", "--log-level", "trace"];
    let mut child = command(dir.path(), &line).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !text.contains("HTTP proxy started") {
        assert!(log.read_line(&mut text).unwrap() > 0, "{text}");
    }
    signal(&child, "-TERM");
    log.read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    assert!(!text.contains(secret.trim()), "the secret is in the log");
}

#[test]
fn the_demo_moves_bytes_through_every_ingress_over_both_transports() {
    let dir = TempDir::new().unwrap();
    let line = ["demo", "--once", "--size", "2MiB"];
    let output = command(dir.path(), &line).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{table}{log}");
    for transport in ["quic", "ws"] {
        for ingress in ["http ", "http connect", "socks5", "forward"] {
            let row = format!("{transport:<9}  {ingress}");
            let row = table.lines().find(|line| line.starts_with(&row)).unwrap();
            assert!(row.ends_with("ok, SHA-256 equal"), "{table}");
        }
    }
}
