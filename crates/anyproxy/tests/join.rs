//! Joining with one line: a gateway without a file, a token, and a client with a key of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[allow(dead_code, reason = "shared with other tests")]
mod program;

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Stdio,
    time::{Duration, SystemTime},
};

use anyproxy::certs::{Authority, expiry};
use program::{Directory, Done, Running, ask, echo};

const GATEWAY: [&str; 7] =
    ["gateway", "--http", "127.0.0.1:0", "--socks5", "off", "--log-level", "trace"];
const DATA: &str = "state/anyproxy/gateway";

/// A gateway without a file that listens at `at`.
fn gateway_at(dir: &Directory, at: &str) -> Running {
    let mut gateway = Running::start(dir, &[&GATEWAY[..], &["--listen", at]].concat());
    gateway.wait_for("HTTP proxy started");
    gateway
}

fn gateway(dir: &Directory) -> Running {
    gateway_at(dir, "127.0.0.1:0")
}

/// A new token. The gateway has to have said where it is.
fn token(dir: &Directory, gateway: &mut Running) -> String {
    gateway.wait_for("clients join with tokens");
    another_token(dir)
}

fn another_token(dir: &Directory) -> String {
    let done = dir.run(&["token", "create", "--secret-out", "-"], "");
    assert_eq!(done.code, 0, "{}", done.err);
    let token = done.out.trim_end().to_owned();
    assert!(token.starts_with("apj1_") && !token.contains(char::is_whitespace), "{token}");
    token
}

fn client(dir: &Directory, line: &[&str]) -> Running {
    Running::start(dir, &[&["--log-level", "trace", "client"], line].concat())
}

/// The proxy user that the gateway made.
fn user(dir: &Directory) -> String {
    let password = fs::read_to_string(dir.path(DATA).join("default.password")).unwrap();
    format!("default:{}", password.trim_end())
}

fn refused(done: &Done, what: &str) {
    assert_eq!(done.code, 1, "{}", done.err);
    assert!(done.err.contains(what), "{}", done.err);
    assert!(done.err.contains("anyproxy token create"), "{}", done.err);
}

/// The id of the only client.
fn only_client(dir: &Directory) -> String {
    let list = dir.run(&["client", "list", "--json"], "").out;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    list[0]["id"].as_str().unwrap().to_owned()
}

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

/// As time would do it.
fn expire(dir: &Directory) {
    let store = rusqlite::Connection::open(dir.path(DATA).join("groups.db")).unwrap();
    assert_eq!(store.execute("UPDATE tokens SET expires = created", []).unwrap(), 1);
}

fn a_token_that_is_over_is_refused(transport: &str) {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let token = token(&dir, &mut gateway);
    expire(&dir);
    let line = ["client", "--join", &token, "--transport", transport];
    refused(&dir.run(&line, ""), "this token has expired");
    assert!(dir.run(&["token", "list"], "").out.contains("expired"));
    // One that was taken back is no better than one that never was.
    let second = another_token(&dir);
    let list = dir.run(&["token", "list", "--json"], "").out;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let usable = list.as_array().unwrap().iter().find(|token| token["state"] == "usable");
    let id = usable.unwrap()["id"].as_str().unwrap();
    assert_eq!(dir.run(&["token", "revoke", id], "").code, 0);
    gateway.wait_for("a client was not enrolled");
    let line = ["client", "--join", &second, "--transport", transport];
    refused(&dir.run(&line, ""), "not known here");
    assert_eq!(dir.run(&["token", "revoke", id], "").code, 1);
    assert!(dir.run(&["client", "list"], "").out.contains("no client has joined"));
    gateway.end();
}

#[test]
fn a_token_that_is_over_is_refused_over_quic() {
    a_token_that_is_over_is_refused("quic");
}

#[test]
fn a_token_that_is_over_is_refused_over_websocket() {
    a_token_that_is_over_is_refused("ws");
}

fn another_gateway_learns_nothing(transport: &str) {
    let (dir, other) = (Directory::new(), Directory::new());
    let (mut gateway, mut stranger) = (gateway(&dir), self::gateway(&other));
    let token = token(&dir, &mut gateway);
    let at = stranger.address("tunnels=").to_string();
    let done =
        dir.run(&["client", "--join", &token, "--gateway", &at, "--transport", transport], "");
    assert_eq!(done.code, 1);
    let says = done.err.contains("is not the gateway that made the token")
        && done.err.contains("is not the pinned one");
    assert!(says, "{}", done.err);
    assert!(!stranger.end().contains("client enrolled"));
    // The token was not used.
    let mut client = client(&dir, &["--join", &token, "--transport", transport]);
    client.wait_for("joined");
    client.end();
    gateway.end();
}

#[test]
fn another_gateway_learns_nothing_over_quic() {
    another_gateway_learns_nothing("quic");
}

#[test]
fn another_gateway_learns_nothing_over_websocket() {
    another_gateway_learns_nothing("ws");
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

#[test]
fn another_ca_than_the_tokens_is_refused() {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let token = token(&dir, &mut gateway);
    let done = dir.run(&["client", "--join", &token, "--ca", "certs/ca.crt"], "");
    assert!(done.code == 2 && done.err.contains("--ca: the token had the pin"), "{}", done.err);
    gateway.end();
}

#[test]
fn mistakes_are_named() {
    let dir = Directory::new();
    let mut gateway = gateway(&dir);
    let token = token(&dir, &mut gateway);
    let mut wrong = token.clone();
    let other = if token.get(30..31) == Some("A") { "B" } else { "A" };
    wrong.replace_range(30..31, other);
    let done = dir.run(&["client", "--join", &wrong], "");
    assert!(done.code == 2 && done.err.contains("checksum"), "{}", done.err);
    assert!(!done.err.contains(wrong.get(10..40).unwrap()), "{}", done.err);
    let done = dir.run(&["client", "--join", &token, "--group", "other"], "");
    assert!(done.code == 2 && !done.err.contains(&token), "{}", done.err);
    let done = dir.run(&["client", "--state-dir", "nowhere"], "");
    assert!(done.code == 1 && done.err.contains("has not joined"), "{}", done.err);
    let done = dir.run(&["client"], "");
    assert!(done.code == 2 && done.err.contains("--join TOKEN"), "{}", done.err);
    for (line, what) in [
        (&["token", "create", "--ttl", "8d", "--secret-out", "x"][..], "7 days"),
        (&["token", "create", "--group", "x", "--secret-out", "x"], "no group `x`"),
        (&["token", "create"], "standard output is no terminal"),
        (&["token", "revoke", "0011223344556677"], "no token"),
        (&["client", "revoke", "x"], "no client `x`"),
    ] {
        let done = dir.run(line, "");
        assert!(done.code == 1 && done.err.contains(what), "{line:?}: {}", done.err);
        assert!(done.err.contains("fix: "), "{}", done.err);
    }
    gateway.end();
}

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
