//! SIGHUP: a running gateway takes changed files over, and drops nothing.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "shared with other tests")]
mod program;

use std::{
    fs,
    io::{BufReader, Read as _, Write as _},
    net::TcpStream,
};

use program::{Directory, Running, echo};

/// A user's connection to a target that echoes.
struct Live(BufReader<TcpStream>);

impl Live {
    fn open(dir: &Directory, gateway: &Running) -> Self {
        let (status, conn) = gateway.open(&login(dir), echo());
        assert_eq!(status, 200);
        let mut live = Self(conn);
        live.works();
        live
    }

    fn works(&mut self) {
        self.0.get_mut().write_all(b"still there?").unwrap();
        let mut answer = [0; 12];
        self.0.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"still there?");
    }
}

fn login(dir: &Directory) -> String {
    let secret = fs::read_to_string(dir.path("certs/demo.secret")).unwrap();
    format!("demo:{}", secret.trim_end())
}

/// Puts files of another CA where the gateway's are.
fn replace_certificate(dir: &Directory, files: &[&str]) {
    assert_eq!(dir.run(&["certs", "--dir", "other"], "").code, 0);
    for name in files {
        fs::copy(dir.path("other").join(name), dir.path("certs").join(name)).unwrap();
    }
}

fn change_config(dir: &Directory, change: impl FnOnce(String) -> String) {
    let path = dir.path("gateway.toml");
    let text = change(fs::read_to_string(&path).unwrap());
    fs::write(path, text).unwrap();
}

fn a_replaced_certificate_is_what_new_clients_see(transport: &str) {
    let dir = Directory::new();
    let mut gateway = Running::gateway(&dir, &[]);
    let of_old = ("old", "certs/ca.crt");
    let mut old = Running::client_trusting(&dir, &gateway, of_old, transport);
    gateway.wait_for("session up");
    let mut live = Live::open(&dir, &gateway);

    replace_certificate(&dir, &["gateway.crt", "gateway.key"]);
    gateway.signal("-HUP");
    gateway.wait_for("reloaded");
    let of_new = ("new", "other/ca.crt");
    let mut new = Running::client_trusting(&dir, &gateway, of_new, transport);
    gateway.wait_for("session up");
    let late = ("late", "certs/ca.crt");
    let mut late = Running::client_trusting(&dir, &gateway, late, transport);
    late.wait_for("UnknownIssuer");
    live.works();
    drop(live);
    let log = old.end();
    assert_eq!(log.matches("connected to the gateway").count(), 1, "{log}");
    late.end();
    new.end();
    gateway.end();
}

#[test]
fn a_replaced_certificate_is_what_new_clients_see_over_quic() {
    a_replaced_certificate_is_what_new_clients_see("quic");
}

#[test]
fn a_replaced_certificate_is_what_new_clients_see_over_websocket() {
    a_replaced_certificate_is_what_new_clients_see("ws");
}

#[test]
fn groups_of_the_file_come_and_go() {
    let dir = Directory::new();
    let target = echo();
    let mut gateway = Running::gateway(&dir, &[]);
    let mut client = Running::client_trusting(&dir, &gateway, ("a", "certs/ca.crt"), "quic");
    gateway.wait_for("session up");
    let mut live = Live::open(&dir, &gateway);

    assert_eq!(dir.run(&["certs", "--group", "team"], "").code, 0);
    fs::copy(dir.path("certs/team.secret"), dir.path("team.secret")).unwrap();
    let more = "[[group]]\nname = \"team\"\nsecret_file = \"team.secret\"\n";
    change_config(&dir, |text| text + more);
    gateway.signal("-HUP");
    gateway.wait_for("group added group=team");
    let mut team = Running::client(&dir, &gateway, "team");
    gateway.wait_for("session up");
    live.works();

    change_config(&dir, |text| text.replace(more, ""));
    gateway.signal("-HUP");
    gateway.wait_for("group removed group=team");
    team.wait_for("unauthorised");
    live.works();
    assert_eq!(gateway.connect(&login(&dir), target), 200);
    drop(live);
    team.end();
    client.end();
    gateway.end();
}

#[test]
fn files_that_will_not_do_change_nothing_and_are_named_with_the_fix() {
    let dir = Directory::new();
    let target = echo();
    let mut gateway = Running::gateway(&dir, &[]);
    let mut client = Running::client_trusting(&dir, &gateway, ("a", "certs/ca.crt"), "quic");
    gateway.wait_for("session up");
    let mut live = Live::open(&dir, &gateway);

    // The key of another certificate, and beside it a group that would do.
    replace_certificate(&dir, &["gateway.key"]);
    let more = "[[group]]\nname = \"team\"\nsecret_file = \"certs/demo.secret\"\n";
    change_config(&dir, |text| text + more);
    gateway.signal("-HUP");
    gateway.wait_for("do not fit together");
    replace_certificate(&dir, &["gateway.crt"]);
    change_config(&dir, |text| text + "htttp = 1\n");
    gateway.signal("-HUP");
    gateway.wait_for("htttp");
    live.works();
    assert_eq!(gateway.connect(&login(&dir), target), 200);

    change_config(&dir, |text| {
        text.replace("htttp = 1\n", "").replace("socks5 = \"off\"", "socks5 = \"127.0.0.1:0\"")
    });
    gateway.signal("-HUP");
    gateway.wait_for("`socks5` was changed, which takes effect when the gateway starts again");
    gateway.wait_for("group added group=team");
    live.works();
    drop(live);
    client.end();
    let log = gateway.end();
    let refused: Vec<_> =
        log.lines().filter(|line| line.contains("nothing was reloaded")).collect();
    assert_eq!(refused.len(), 2, "{log}");
    assert!(refused.iter().all(|line| line.contains("fix=")), "{log}");
}
