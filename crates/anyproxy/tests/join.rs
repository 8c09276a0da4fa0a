//! Joining with one line: a gateway without a file, a token, and a client with a key of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[allow(dead_code, reason = "shared with other tests")]
mod joining;
#[allow(dead_code, reason = "shared with other tests")]
mod program;

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use joining::{DATA, GATEWAY, another_token, client, gateway, only_client, refused, token, user};
use program::{Directory, Running, echo};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn one_line_is_enough(transport: &str) {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let token = token(&dir, &mut gateway);
    let target = echo();
    let forward = format!("0:{target}");
    let line = ["--join", &token, "--transport", transport, "--forward", &forward];
    let mut first = client(&dir, &line);
    first.wait_for("joined");
    first.wait_for("forward open");
    assert_eq!(gateway.connect(&user(&dir), target), 200);
    let mut through = TcpStream::connect(first.address("bound=")).unwrap();
    through.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    through.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
    drop(through);
    let mut logs = first.end();

    // Whoever else has the token comes too late.
    let late = ["client", "--join", &token, "--transport", transport, "--state-dir", "other"];
    refused(&dir.run(&late, ""), "used already");
    assert!(!dir.path("other/identity.json").exists());

    // From now on no token is needed, and one that was used does no harm.
    for line in [&["--transport", transport][..], &["--transport", transport, "--join", &token]] {
        let mut again = client(&dir, line);
        again.wait_for("connected to the gateway");
        assert_eq!(gateway.connect(&user(&dir), target), 200);
        logs += &again.end();
    }
    let id = only_client(&dir);
    let listed = dir.run(&["token", "list"], "").out;
    assert!(listed.contains(&format!("used by {id}")), "{listed}");
    logs += &gateway.end();
    let key = fs::read_to_string(dir.path("state/anyproxy/client/identity.json")).unwrap();
    let key = key.split("\"key\": \"").nth(1).unwrap().split('"').next().unwrap();
    for secret in [&token[..], &token[5..40], &token[20..60], key, user(&dir).split_at(8).1] {
        assert!(!logs.contains(secret), "a secret is in a log");
    }
}

#[test]
fn one_line_is_enough_over_quic() {
    one_line_is_enough("quic");
}

#[test]
fn one_line_is_enough_over_websocket() {
    one_line_is_enough("ws");
}

#[test]
fn what_is_secret_is_for_its_owner_only() {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let token = token(&dir, &mut gateway);
    let mut first = client(&dir, &["--join", &token]);
    first.wait_for("joined");
    for (name, expected) in [
        (DATA, 0o700),
        ("state/anyproxy/gateway/ca.key", 0o600),
        ("state/anyproxy/gateway/gateway.key", 0o600),
        ("state/anyproxy/gateway/groups.db", 0o600),
        ("state/anyproxy/gateway/default.password", 0o600),
        ("state/anyproxy/client", 0o700),
        ("state/anyproxy/client/identity.json", 0o600),
    ] {
        assert_eq!(mode(&dir.path(name)), expected, "{name}");
    }
    let store = fs::read(dir.path(DATA).join("groups.db")).unwrap();
    let secret = token.as_bytes().get(20..40).unwrap();
    assert!(!store.windows(20).any(|part| part == secret), "the token is in the store");
    first.end();
    gateway.end();
}

#[test]
fn a_token_comes_from_a_file_standard_input_or_the_environment() {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let token = token(&dir, &mut gateway);
    fs::write(dir.path("token"), format!("{token}\n")).unwrap();
    let mut of_file = client(&dir, &["--join-file", "token", "--state-dir", "a"]);
    of_file.wait_for("joined");
    let second = another_token(&dir);
    let mut command = dir.command(&["client", "--join", "-", "--state-dir", "b"]);
    fs::write(dir.path("input"), &second).unwrap();
    command.stdin(File::open(dir.path("input")).unwrap());
    let mut of_input = Running::of(command);
    of_input.wait_for("joined");
    let mut command = dir.command(&["client", "--state-dir", "c"]);
    command.env("ANYPROXY_JOIN", another_token(&dir));
    let mut of_variable = Running::of(command);
    of_variable.wait_for("joined");
    for client in [&mut of_file, &mut of_input, &mut of_variable] {
        client.end();
    }
    gateway.end();
}

/// A port whose UDP and TCP lead to two machines.
#[test]
fn a_client_joins_the_way_that_leads_to_its_gateway() {
    let (dir, other) = (Directory::new(), Directory::new());
    let only = |dir: &Directory, transport, at: &str| {
        let line = [&GATEWAY[..], &["--listen", at, "--transport", transport]].concat();
        let mut gateway = Running::start(dir, &line);
        gateway.wait_for("HTTP proxy started");
        gateway
    };
    let mut gateway = only(&dir, "ws", "127.0.0.1:0");
    let mut stranger = only(&other, "quic", &gateway.address("tunnels=").to_string());
    let token = token(&dir, &mut gateway);
    let mut client = client(&dir, &["--join", &token]);
    client.wait_for("joined; this client");
    client.end();
    stranger.end();
    gateway.end();
}

#[test]
fn a_gateway_with_a_file_lets_clients_join_too() {
    let dir = Directory::new();
    let mut gateway = Running::gateway(&dir, &[]);
    let at = gateway.address("tunnels=").to_string();
    let create = ["token", "create", "--config", "gateway.toml", "--secret-out", "-"];
    let asked = dir.run(&create, "");
    assert!(asked.code == 1 && asked.err.contains("--advertise HOST:PORT"), "{}", asked.err);
    let localhost = at.replace("127.0.0.1", "localhost");
    let token = dir.run(&[&create[..], &["--advertise", &localhost]].concat(), "").out;
    let mut client = client(&dir, &["--join", token.trim_end(), "--forward", "8005:127.0.0.1:1"]);
    client.wait_for("joined");
    gateway.wait_for("session up");
    let secret = fs::read_to_string(dir.path("certs/demo.secret")).unwrap();
    assert_eq!(gateway.connect(&format!("demo:{}", secret.trim_end()), echo()), 200);
    // What the file says needs no flag.
    let config = fs::read_to_string(dir.path("gateway.toml")).unwrap();
    fs::write(dir.path("gateway.toml"), format!("advertise = \"{localhost}\"\n{config}")).unwrap();
    assert_eq!(dir.run(&["check", "gateway.toml"], "").code, 0);
    let told = dir.run(&create, "");
    assert!(told.code == 0 && told.err.contains(&localhost), "{}", told.err);
    let listed = dir.run(&["client", "list", "--config", "gateway.toml"], "").out;
    assert!(listed.contains("demo"), "{listed}");
    client.end();
    gateway.end();
}

/// Flags decide which certificate is shown, so only the gateway knows.
#[test]
fn a_token_names_the_certificate_that_the_gateway_shows() {
    let dir = Directory::new();
    // This one leaves a certificate of its own in the data directory.
    let mut own = gateway(&dir);
    own.wait_for("clients join with tokens");
    own.end();
    let files = ["--certificate", "certs/gateway.crt", "--key", "certs/gateway.key"];
    let line = [&GATEWAY[..], &["--listen", "127.0.0.1:0", "--data-dir", DATA], &files].concat();
    let mut gateway = Running::start(&dir, &line);
    gateway.wait_for("HTTP proxy started");
    let at = gateway.address("tunnels=").to_string();
    let create = ["token", "create", "--secret-out", "-", "--advertise", &at];
    let made = dir.run(&create, "");
    assert!(made.code == 0 && !made.err.contains("warning"), "{}", made.err);
    let mut client = client(&dir, &["--join", made.out.trim_end()]);
    client.wait_for("joined; this client");
    client.end();
    gateway.end();
}

#[test]
fn a_token_without_a_pin_is_warned_of_and_works_with_the_ca() {
    let dir = Directory::new();
    let chain = fs::read_to_string(dir.path("certs/gateway.crt")).unwrap();
    let leaf = chain.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    fs::write(dir.path("certs/gateway.crt"), leaf).unwrap();
    let mut gateway = Running::gateway(&dir, &[]);
    let at = gateway.address("tunnels=").to_string();
    let create = ["token", "create", "--config", "gateway.toml", "--secret-out", "-"];
    let made = dir.run(&[&create[..], &["--advertise", &at]].concat(), "");
    assert!(
        made.code == 0 && made.err.contains("warning: the gateway's certificate"),
        "{}",
        made.err
    );
    assert!(made.err.contains("fix: append the CA's certificate"), "{}", made.err);
    let ca = ["--ca", "certs/ca.crt"];
    let mut joining = client(&dir, &[&["--join", made.out.trim_end()], &ca[..]].concat());
    joining.wait_for("connected to the gateway");
    joining.end();
    let mut joined = client(&dir, &ca);
    joined.wait_for("connected to the gateway");
    joined.end();
    gateway.end();
}
