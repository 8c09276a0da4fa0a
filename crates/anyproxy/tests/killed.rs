//! A process that is killed in the middle of transfers: nobody may take a cut for an end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[allow(dead_code, reason = "others need the rest")]
mod program;

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use program::{Directory, Running};

/// What takes longer never happens.
const LONG: Duration = Duration::from_secs(60);

/// A gateway and its client, and one connection through both: the user's end and the target's.
struct Scene {
    gateway: Running,
    client: Running,
    user: TcpStream,
    target: TcpStream,
    _dir: Directory,
}

fn scene() -> Scene {
    let dir = Directory::new();
    fs::copy(dir.path("certs/demo.secret"), dir.path("demo.secret")).unwrap();
    let secret = fs::read_to_string(dir.path("demo.secret")).unwrap();
    let mut gateway = Running::gateway(&dir, &[]);
    let client = Running::client(&dir, &gateway, "demo");
    gateway.wait_for("session up");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let login = format!("demo:{}", secret.trim());
    let (status, user) = gateway.tunnel(&login, listener.local_addr().unwrap());
    assert_eq!(status, 200);
    let (target, _) = listener.accept().unwrap();
    for end in [&user, &target] {
        end.set_read_timeout(Some(LONG)).unwrap();
    }
    Scene { gateway, client, user, target, _dir: dir }
}

/// Sends something from `from` to `to`; it is on its way when this returns.
fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    from.write_all(b"half of it").unwrap();
    let mut got = [0; 10];
    to.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"half of it");
}

/// As no handler of signals can help.
fn kill(service: &mut Running) {
    service.child.kill().unwrap();
    service.child.wait().unwrap();
}

fn cut(mut end: &TcpStream) {
    assert_eq!(end.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_killed_clients_targets_see_that_an_upload_was_cut() {
    let mut scene = scene();
    pass(&scene.user, &scene.target);
    kill(&mut scene.client);
    cut(&scene.target);
}

#[test]
fn a_killed_gateways_users_see_that_a_download_was_cut() {
    let mut scene = scene();
    pass(&scene.target, &scene.user);
    kill(&mut scene.gateway);
    cut(&scene.user);
}

/// A half-close has said that this was all; the other direction is still cut.
#[test]
fn what_had_ended_before_stays_ended() {
    let mut scene = scene();
    pass(&scene.user, &scene.target);
    scene.user.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!((&scene.target).read(&mut [0]).unwrap(), 0);
    pass(&scene.target, &scene.user);
    kill(&mut scene.gateway);
    cut(&scene.user);
}
