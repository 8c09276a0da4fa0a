//! The programs under a low limit of file descriptors: they run out, go on, and recover.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "shared with other tests")]
mod program;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use program::{Directory, Running, ask, echo};

/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn login(dir: &Directory) -> String {
    let secret = fs::read_to_string(dir.path("certs/demo.secret")).unwrap();
    format!("demo:{}", secret.trim_end())
}

/// The program with so many descriptors at most; it cannot raise them.
fn with_files(dir: &Directory, files: u32, line: &[&str]) -> Running {
    let anyproxy = dir.command(&[]);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]);
    command.arg(anyproxy.get_program()).args(line).current_dir(dir.path(""));
    for (name, value) in anyproxy.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stderr(std::process::Stdio::piped());
    Running::of(command)
}

/// Descriptors that the service has open.
fn open_files(service: &Running) -> usize {
    fs::read_dir(format!("/proc/{}/fd", service.child.id())).unwrap().count()
}

/// Waits until it holds. A count of descriptors has no event; others get their turn meanwhile.
fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::yield_now();
    }
}

fn echoes(conn: &mut BufReader<TcpStream>) {
    conn.get_mut().write_all(b"hello").unwrap();
    let mut got = [0; 5];
    conn.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
}

/// A user who asks for `target`, and the first line of the answer, which is no success.
fn refused(gateway: &Running, user: &str, target: SocketAddr) -> String {
    let (status, mut rest) = gateway.open(user, target);
    let mut body = String::new();
    rest.read_line(&mut body).unwrap();
    format!("{status} {body}")
}

/// The client has no descriptor for another target.
fn a_client_without_descriptors_says_so_and_recovers(transport: &str) {
    let (dir, target) = (Directory::new(), echo());
    let mut gateway = Running::gateway(&dir, &[]);
    let at = gateway.address("tunnels=").to_string();
    let line = ["client", "-g", &at, "--ca", "certs/ca.crt", "--group", "demo"];
    let rest =
        ["--secret-file", "certs/demo.secret", "--transport", transport, "--ws-connections", "1"];
    let mut client = with_files(&dir, 64, &[&line[..], &rest].concat());
    client.wait_for("file descriptors limit=64");
    gateway.wait_for("session up");
    let (user, calm) = (login(&dir), open_files(&client));

    let mut held = Vec::new();
    let last = loop {
        let (status, conn) = gateway.open(&user, target);
        if status != 200 {
            break status;
        }
        held.push(conn);
        assert!(held.len() < 64, "it had descriptors for all");
    };
    assert_eq!(last, 503);
    let answer = refused(&gateway, &user, target);
    for part in ["503 ", "Too many open files", "where the client runs, raise the limit"] {
        assert!(answer.contains(part), "{answer}");
    }
    client.wait_for("there are no file descriptors left");
    held.iter_mut().for_each(echoes);
    drop(held);
    until("its descriptors are closed", || open_files(&client) <= calm);
    let (status, mut again) = gateway.open(&user, target);
    assert_eq!(status, 200);
    echoes(&mut again);
    client.wait_for("there are file descriptors again");
    drop(again);
    let log = client.end();
    let said = log.matches("there are no file descriptors left").count();
    assert_eq!(said, 1, "{log}");
    gateway.end();
}

#[test]
fn a_client_without_descriptors_says_so_and_recovers_over_quic() {
    a_client_without_descriptors_says_so_and_recovers("quic");
}

#[test]
fn a_client_without_descriptors_says_so_and_recovers_over_websocket() {
    a_client_without_descriptors_says_so_and_recovers("ws");
}

/// Users take every descriptor of the gateway, so that none is left for who comes next.
fn a_gateway_without_descriptors_keeps_its_listeners_and_sessions(transport: &str) {
    let (dir, target) = (Directory::new(), echo());
    let config = fs::read_to_string(dir.path("gateway.toml")).unwrap();
    fs::write(dir.path("gateway.toml"), config.replace("\"off\"", "\"127.0.0.1:0\"")).unwrap();
    // Few enough that five eighths for users and what a gateway needs for itself are more than all.
    let mut gateway = with_files(&dir, 32, &["gateway", "--config", "gateway.toml"]);
    gateway.wait_for("SOCKS5 proxy started");
    let of_all = ("a", "certs/ca.crt");
    let mut client = Running::client_command(&dir, &gateway, of_all, transport);
    client.args(["--ws-connections", "1"]);
    let mut client = Running::of(client);
    gateway.wait_for("session up");
    let (user, calm) = (login(&dir), open_files(&gateway));
    let (status, mut session) = gateway.open(&user, target);
    assert_eq!(status, 200);

    // Idle connections at every TCP listener: tunnels, HTTP, SOCKS5.
    let doors = ["tunnels=", "http=", "socks5="].map(|door| gateway.address(door));
    let silent = doors.iter().cycle().take(90).map(|door| TcpStream::connect(door).unwrap());
    let silent = silent.collect::<Vec<_>>();
    gateway.wait_for("cannot accept connections; they wait");
    echoes(&mut session);

    drop(silent);
    until("their descriptors are closed", || open_files(&gateway) <= calm + 1);
    let (status, mut again) = ask(TcpStream::connect(doors[1]).unwrap(), &user, target);
    assert_eq!(status, 200);
    echoes(&mut again);
    echoes(&mut session);
    drop((session, again));
    until("all are closed", || open_files(&gateway) <= calm);
    client.end();
    let log = gateway.end();
    for listener in ["tunnels", "http", "socks5"] {
        let named = format!("listener=\"{listener}\"");
        let of = |text: &str| {
            log.lines().filter(|line| line.contains(text) && line.contains(&named)).count()
        };
        let failed = of("cannot accept connections");
        assert!(failed <= 1 && of("accepts connections again") <= failed, "{log}");
    }
    let hint = log.lines().find(|line| line.contains("cannot accept connections")).unwrap();
    assert!(hint.contains("LimitNOFILE= of the service, or ulimit -n"), "{hint}");
    assert!(log.contains("accepts connections again"), "{log}");
}

#[test]
fn a_gateway_without_descriptors_keeps_its_listeners_and_sessions_over_quic() {
    a_gateway_without_descriptors_keeps_its_listeners_and_sessions("quic");
}

#[test]
fn a_gateway_without_descriptors_keeps_its_listeners_and_sessions_over_websocket() {
    a_gateway_without_descriptors_keeps_its_listeners_and_sessions("ws");
}
