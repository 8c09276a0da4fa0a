//! Metrics, health and status of the program, and the log of one connection at both ends.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![allow(dead_code, reason = "not every test needs all of the program")]

mod program;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use program::{Directory, Running, echo};
use serde_json::Value;

const TRANSPORTS: [&str; 2] = ["quic", "ws"];

/// A gateway and a client with one session, a forwarded port, and everything that tells about them.
struct Pair {
    dir: Directory,
    gateway: Running,
    client: Running,
    user: String,
}

impl Pair {
    fn start(transport: &str) -> Self {
        let dir = Directory::new();
        let config = fs::read_to_string(dir.path("gateway.toml")).unwrap();
        fs::write(dir.path("gateway.toml"), config.replace("8000-8009", "0")).unwrap();
        let gateway = told(gateway(&dir, &[]));
        let at = gateway.address("tunnels=");
        let mut client = told(client(&dir, at, transport));
        client.wait_for_all(&["forward open"]);
        let secret = fs::read_to_string(dir.path("certs/demo.secret")).unwrap();
        Self { dir, gateway, client, user: format!("demo:{}", secret.trim()) }
    }

    /// One user's connection, through which bytes have passed both ways.
    fn connect(&self, target: SocketAddr) -> TcpStream {
        let (status, conn) = self.gateway.tunnel(&self.user, target);
        assert_eq!(status, 200);
        ping(&conn);
        conn
    }
}

fn ping(mut conn: &TcpStream) {
    conn.write_all(b"ping").unwrap();
    let mut got = [0; 4];
    conn.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"ping");
}

fn gateway(dir: &Directory, flags: &[&str]) -> Running {
    let telling = ["--admin", "127.0.0.1:0", "--status-socket", "gateway.sock", "-l", "debug"];
    Running::gateway(dir, &[&telling, flags].concat())
}

fn client(dir: &Directory, gateway: SocketAddr, transport: &str) -> Running {
    let at = gateway.to_string();
    let target = format!("127.0.0.1:0:{}", echo());
    let line =
        ["client", "-g", &at, "--ca", "certs/ca.crt", "--client-id", "one", "--group", "demo"];
    let more =
        ["--secret-file", "certs/demo.secret", "--transport", transport, "--forward", &target];
    let telling = ["--admin", "127.0.0.1:0", "--status-socket", "client.sock", "-l", "debug"];
    Running::of(dir.command(&[&line[..], &more[..], &telling[..]].concat()))
}

/// One that tells about itself by now.
fn told(mut process: Running) -> Running {
    process.wait_for_all(&["status socket open"]);
    process
}

/// The status and the body of a page.
fn get(addr: SocketAddr, path: &str) -> (u16, String) {
    let mut conn = TcpStream::connect(addr).unwrap();
    write!(conn, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut answer = String::new();
    conn.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split_whitespace().nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn metrics(process: &Running) -> String {
    let (status, text) = get(process.address("admin="), "/metrics");
    assert_eq!(status, 200);
    text
}

/// Families by name, with type, labels that samples have, and help.
fn families(text: &str) -> BTreeMap<&str, (&str, BTreeSet<&str>, &str)> {
    let mut families = BTreeMap::new();
    let mut help = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').unwrap().1;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let before = families.insert(name, (kind, BTreeSet::new(), help));
            assert_eq!(before, None, "{name} is there twice");
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap();
            let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end).filter(|it| families.contains_key(it)))
                .unwrap_or(name);
            let found = families.get_mut(family).unwrap_or_else(|| panic!("no head: {line}"));
            let names = labels.split(',').filter_map(|label| label.split_once('='));
            found.1.extend(names.map(|(name, _)| name).filter(|name| *name != "le"));
        }
    }
    families
}

fn value(text: &str, sample: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {sample} in\n{text}")).parse().unwrap()
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The rows of docs/metrics.md below these headings: name, type, labels, meaning.
fn documented(
    text: &str,
    headings: &[&str],
) -> BTreeMap<String, (String, BTreeSet<String>, String)> {
    let sections = text.split("\n## ").skip(1);
    let wanted = sections.filter(|it| headings.contains(&it.lines().next().unwrap()));
    let rows = wanted.flat_map(str::lines).filter(|line| line.starts_with("| `"));
    let cell = |cell: &str| cell.trim().to_owned();
    rows.map(|row| {
        let cells = row.trim_matches('|').split('|').map(cell).collect::<Vec<_>>();
        let [name, kind, labels, meaning] = cells.as_slice() else { panic!("{row}") };
        let labels = labels.split(',').map(|it| it.trim().trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (name.trim_matches('`').to_owned(), (kind.clone(), labels, meaning.clone()))
    })
    .collect()
}

#[test]
fn metrics_are_those_of_the_documentation() {
    let docs = fs::read_to_string(repository().join("docs/metrics.md")).unwrap();
    for transport in TRANSPORTS {
        let pair = Pair::start(transport);
        drop(pair.connect(echo()));
        for (process, role) in [(&pair.gateway, "Gateway"), (&pair.client, "Client")] {
            let text = metrics(process);
            let served = families(&text);
            let rows = documented(&docs, &["Gateway and client", role, "Process"]);
            let names = rows.keys().map(String::as_str).collect::<Vec<_>>();
            assert_eq!(served.keys().copied().collect::<Vec<_>>(), names, "{role}");
            for (name, (kind, labels, help)) in served {
                let row = rows.get(name).unwrap();
                assert_eq!((kind, help), (row.0.as_str(), row.2.as_str()), "{name}");
                // One that has not happened yet has no sample.
                let expected = row.1.iter().map(String::as_str).collect::<BTreeSet<_>>();
                assert!(labels.is_empty() || labels == expected, "{name}: {labels:?}");
            }
            assert!(!text.contains(&pair.user) && !text.contains("one\""), "{text}");
        }
    }
}

#[test]
fn what_happens_is_counted_at_both_ends() {
    for transport in TRANSPORTS {
        let pair = Pair::start(transport);
        let held = pair.connect(echo());
        ping(&TcpStream::connect(pair.client.address("bound=")).unwrap());
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(pair.gateway.connect(&pair.user, nobody), 502);
        let of_group = format!("{{group=\"demo\",transport=\"{transport}\"}}");
        for process in [&pair.gateway, &pair.client] {
            let text = metrics(process);
            let is = |sample: &str, expected: f64| {
                assert_eq!(value(&text, sample), expected, "{transport}: {sample}\n{text}");
            };
            is("anyproxy_opens_total{ingress=\"connect\",code=\"connected\"}", 1.0);
            is("anyproxy_opens_total{ingress=\"forward\",code=\"connected\"}", 1.0);
            is("anyproxy_opens_total{ingress=\"connect\",code=\"refused_by_the_target\"}", 1.0);
            is("anyproxy_open_duration_seconds_count", 2.0);
            is("anyproxy_ready", 1.0);
            is(&format!("anyproxy_tunnels{of_group}"), 1.0);
            is(&format!("anyproxy_tunnels_made_total{of_group}"), 1.0);
            for moved in ["sent", "received"] {
                let sample = format!("anyproxy_tunnel_{moved}_bytes_total{of_group}");
                assert!(value(&text, &sample) > 8.0, "{text}");
            }
        }
        let text = metrics(&pair.gateway);
        assert_eq!(value(&text, &format!("anyproxy_sessions{of_group}")), 1.0);
        assert_eq!(value(&text, "anyproxy_forwarded_ports{group=\"demo\",protocol=\"tcp\"}"), 1.0);
        assert!(value(&text, "anyproxy_connections{group=\"demo\"}") >= 1.0, "{text}");
        assert_eq!(value(&text, "anyproxy_user_connections_total"), 3.0);
        let expiry =
            value(&text, "anyproxy_certificate_expiry_timestamp_seconds{certificate=\"tunnels\"}");
        assert!(expiry > value(&text, "process_start_time_seconds"), "{text}");
        let text = metrics(&pair.client);
        assert_eq!(value(&text, "anyproxy_client_forwards{state=\"open\"}"), 1.0);
        drop(held);
    }
}

/// What was moved before a tunnel ended stays counted, and why it ended is.
#[test]
fn counters_outlive_their_tunnels() {
    for transport in TRANSPORTS {
        let mut pair = Pair::start(transport);
        drop(pair.connect(echo()));
        let sample = format!(
            "anyproxy_tunnel_received_bytes_total{{group=\"demo\",transport=\"{transport}\"}}"
        );
        let before = value(&metrics(&pair.gateway), &sample);
        pair.client.end();
        pair.gateway.wait_for("tunnel down");
        let text = metrics(&pair.gateway);
        assert!(value(&text, &sample) >= before && before > 0.0, "{text}");
        let ended = format!("anyproxy_tunnels_ended_total{{transport=\"{transport}\",by=\"peer\"");
        assert!(text.lines().any(|line| line.starts_with(&ended)), "{text}");
        assert_eq!(
            value(
                &text,
                &sample.replace("received_bytes_total", "s").replace("_tunnel_", "_tunnel")
            ),
            0.0
        );
    }
}

#[test]
fn a_client_with_a_wrong_secret_is_counted_and_says_so() {
    let dir = Directory::new();
    let gateway = told(gateway(&dir, &[]));
    fs::write(dir.path("certs/demo.secret"), "wrong-secret-wrong-secret-wrong\n").unwrap();
    let mut client = told(client(&dir, gateway.address("tunnels="), "quic"));
    client.wait_for_all(&["not connected to the gateway"]);
    let text = metrics(&gateway);
    assert_eq!(value(&text, "anyproxy_handshakes_failed_total{code=\"unauthorised\"}"), 1.0);
    let text = metrics(&client);
    assert_eq!(value(&text, "anyproxy_client_failures_total{code=\"unauthorised\"}"), 1.0);
    assert_eq!(get(client.address("admin="), "/readyz"), (503, "no session is up\n".into()));
    assert_eq!(get(client.address("admin="), "/healthz").0, 200);
    let shown = dir.run(&["status", "--socket", "client.sock"], "");
    assert_eq!(shown.code, 0, "{}", shown.err);
    for part in ["NOT READY: no session is up", "check group and secret on both sides"] {
        assert!(shown.out.contains(part), "{}", shown.out);
    }
}

#[test]
fn a_client_that_has_not_joined_yet_is_alive_and_says_why() {
    let dir = Directory::new();
    let without_a_file = |at: &str| {
        let line = ["gateway", "--listen", at, "--http", "127.0.0.1:0", "--socks5", "off"];
        let mut gateway = Running::start(&dir, &line);
        gateway.wait_for("clients join with tokens");
        gateway
    };
    let mut gateway = without_a_file("127.0.0.1:0");
    let at = gateway.address("tunnels=").to_string();
    let token = dir.run(&["token", "create", "--secret-out", "-"], "").out;
    gateway.end();
    let telling = ["--admin", "127.0.0.1:0", "--status-socket", "client.sock"];
    let line = ["client", "--join", token.trim_end(), "--forward", "8000:127.0.0.1:1"];
    let mut client = told(Running::start(&dir, &[&line[..], &telling].concat()));
    client.wait_for("not joined yet");
    let admin = client.address("admin=");
    assert_eq!(get(admin, "/healthz"), (200, "ok\n".into()));
    let (code, why) = get(admin, "/readyz");
    assert!(code == 503 && why.starts_with("this client has not joined yet: "), "{code} {why}");
    assert!(metrics(&client).contains("anyproxy_ready 0"));
    let shown = dir.run(&["status", "--socket", "client.sock"], "");
    for part in ["NOT READY: this client has not joined yet", "last failure", "8000"] {
        assert!(shown.code == 0 && shown.out.contains(part), "{}{}", shown.out, shown.err);
    }
    let mut gateway = without_a_file(&at);
    client.wait_for("connected to the gateway");
    // It says so a moment before it is so.
    let mut asks = 0..10_000;
    while get(admin, "/readyz").0 != 200 && asks.next().is_some() {}
    assert_eq!(get(admin, "/readyz"), (200, "ready\n".into()));
    client.end();
    gateway.end();
}

#[test]
fn a_gateway_that_drains_is_not_ready_and_alive() {
    let pair = Pair::start("quic");
    let admin = pair.gateway.address("admin=");
    assert_eq!(get(admin, "/readyz"), (200, "ready\n".into()));
    let held = pair.connect(echo());
    let mut pair = pair;
    pair.gateway.signal("-TERM");
    pair.gateway.wait_for("shutting down");
    // It says so a moment before it does so.
    let mut asks = 0..10_000;
    while get(admin, "/readyz").0 == 200 && asks.next().is_some() {}
    assert_eq!(get(admin, "/readyz"), (503, "the gateway is shutting down\n".into()));
    assert_eq!(get(admin, "/healthz"), (200, "ok\n".into()));
    drop(held);
}

#[test]
fn the_status_of_both_is_shown_and_only_to_their_user() {
    for transport in TRANSPORTS {
        let pair = Pair::start(transport);
        let _held = pair.connect(echo());
        for name in ["gateway.sock", "client.sock"] {
            let mode = fs::metadata(pair.dir.path(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        for process in [&pair.gateway, &pair.client] {
            assert_eq!(get(process.address("admin="), "/status").0, 404);
        }
        let both = ["status", "--socket", "gateway.sock", "--socket", "client.sock"];
        let shown = pair.dir.run(&[&both[..], &["--json"]].concat(), "");
        assert_eq!(shown.code, 0, "{}", shown.err);
        let all: Value = serde_json::from_str(&shown.out).unwrap();
        let [gateway, client] = all.as_array().unwrap().as_slice() else { panic!("{all}") };
        assert_eq!((&gateway["role"], &client["role"]), (&"gateway".into(), &"client".into()));
        let (here, there) = (&gateway["sessions"][0], &client["sessions"][0]);
        for field in ["id", "group", "client", "transport"] {
            assert_eq!(here[field], there[field], "{all}");
        }
        assert_eq!((&here["transport"], &here["client"]), (&transport.into(), &"one".into()));
        assert_eq!(there["why"], "the settings name it");
        for session in [here, there] {
            assert_eq!((&session["connections"], &session["state"]), (&1.into(), &"up".into()));
            assert!(session["sending_bytes_per_second"].is_number(), "{all}");
        }
        let forwarded = Value::from(pair.client.address("bound=").to_string());
        for process in [gateway, client] {
            let forward = &process["forwards"][0];
            assert_eq!((&forward["state"], &forward["listen"]), (&"open".into(), &forwarded));
            assert_eq!((&process["shape"], &process["ready"]), (&1.into(), &true.into()));
        }
        assert!(gateway["certificates"][0]["expires_at"].is_i64(), "{all}");
        let shown = pair.dir.run(&both, "");
        for part in
            ["SESSION", "FORWARD", "certificate of tunnels: expires in", "the settings name it"]
        {
            assert!(shown.out.contains(part), "{}", shown.out);
        }
    }
}

/// A view that goes on: one line of JSON each second, and it outlasts the process that it shows.
#[test]
fn the_status_is_watched() {
    let dir = Directory::new();
    let mut gateway = told(Running::gateway(&dir, &["--status-socket", "g.sock"]));
    let line = ["status", "--socket", "g.sock", "--json", "--watch"];
    let mut watch = dir.command(&line).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    for _ in 0..2 {
        let shown = next();
        assert_eq!((&shown[0]["role"], &shown[0]["ready"]), (&"gateway".into(), &true.into()));
    }
    gateway.end();
    assert!(!dir.path("g.sock").exists());
    while next() != Value::Array(vec![]) {}
    watch.kill().unwrap();
    watch.wait().unwrap();
}

/// Nobody has to say where the sockets are; what a killed process left bothers nobody, and goes.
#[test]
fn processes_of_the_same_user_are_found() {
    let dir = Directory::new();
    let one = told(Running::gateway(&dir, &[]));
    let two = told(Running::gateway(&dir, &["--data-dir", "other"]));
    let pids = || {
        let shown = dir.run(&["status", "--json"], "");
        assert_eq!(shown.code, 0, "{}", shown.err);
        let all: Value = serde_json::from_str(&shown.out).unwrap();
        let pids = all.as_array().unwrap().iter().map(|it| it["pid"].as_u64().unwrap());
        // There may be others of this user elsewhere.
        pids.filter(|pid| [one.child.id(), two.child.id()].contains(&u32::try_from(*pid).unwrap()))
            .count()
    };
    assert_eq!(pids(), 2);
    two.signal("-KILL");
    let mut two = two;
    two.child.wait().unwrap();
    let left = dir.path(&format!("anyproxy/gateway-{}.sock", two.child.id()));
    assert!(left.exists());
    let shown = dir.run(&["status"], "");
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.contains(&format!("gateway {}", one.child.id())), "{}", shown.out);
    assert!(!shown.out.contains(&format!("gateway {}", two.child.id())), "{}", shown.out);
    let _three = told(Running::gateway(&dir, &["--data-dir", "third"]));
    assert!(!left.exists());
}

#[test]
fn who_does_not_answer_is_named_with_the_fix() {
    let dir = Directory::new();
    let shown = dir.run(&["status", "--socket", "nothing.sock"], "");
    assert_eq!(shown.code, 1);
    assert!(shown.err.contains("nothing.sock") && shown.err.contains("fix: "), "{}", shown.err);
    let dir = Directory::new();
    let mut gateway =
        dir.command(&["gateway", "-c", "gateway.toml", "--status-socket", "a/b.sock"]);
    let refused = gateway.output().unwrap();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("a/b.sock") && text.contains("status_socket"), "{text}");
}

/// What is warned of is in the status, whatever the log shows.
#[test]
fn the_latest_warnings_are_kept() {
    let dir = Directory::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let line = ["client", "-g", &taken.to_string(), "--ca", "certs/ca.crt", "--group", "demo"];
    let more = ["--secret-file", "certs/demo.secret", "--status-socket", "c.sock", "-l", "info"];
    let mut client = told(Running::of(dir.command(&[&line[..], &more[..]].concat())));
    client.wait_for_all(&["not connected to the gateway"]);
    let shown = dir.run(&["status", "--socket", "c.sock", "--json"], "");
    let all: Value = serde_json::from_str(&shown.out).unwrap();
    let message = &all[0]["messages"][0];
    assert_eq!(message["level"], "warning");
    let text = message["text"].as_str().unwrap();
    assert!(
        text.starts_with("not connected to the gateway") && text.contains("replica=0"),
        "{text}"
    );
    assert!(all[0]["last_failure"]["text"].is_string(), "{all}");
}

/// One word finds all that either end logged of one connection, and nothing of another.
#[test]
fn one_connections_story_is_in_both_logs() {
    for transport in TRANSPORTS {
        let mut pair = Pair::start(transport);
        let (one, other) = (echo(), echo());
        drop(pair.connect(one));
        drop(pair.connect(other));
        // Ends come in their own time; after these lines both have one.
        pair.gateway.wait_for("tunnelled connection ended");
        pair.gateway.wait_for("tunnelled connection ended");
        let (gateway, client) = (pair.gateway.end(), pair.client.end());
        let opened = gateway
            .lines()
            .find(|line| line.contains("connection opened") && line.contains(&one.to_string()));
        let opened = opened.unwrap_or_else(|| panic!("{gateway}"));
        let word = opened.split_whitespace().find_map(|word| word.strip_prefix("connection="));
        let word = word.unwrap();
        let story = |log: &str| {
            let lines = log.lines().filter(|line| line.contains(word));
            lines.collect::<Vec<_>>().join("\n")
        };
        for (log, parts) in [
            (&gateway, &["connection opened", "tunnelled connection ended", "user{number=1"][..]),
            (&client, &["connection asked for", "target connected", "connection ended"]),
        ] {
            let story = story(log);
            for part in parts {
                assert!(story.contains(part), "{transport}: no {part:?} of {word} in\n{log}");
            }
            assert!(!story.contains(&other.to_string()), "{story}");
        }
        assert!(story(&client).contains(&one.to_string()));
    }
}

#[test]
fn the_dashboard_and_the_scrape_example_name_what_there_is() {
    let read = |name: &str| fs::read_to_string(repository().join(name)).unwrap();
    let docs = documented(
        &read("docs/metrics.md"),
        &["Gateway and client", "Gateway", "Client", "Process"],
    );
    let dashboard: Value = serde_json::from_str(&read("configs/grafana/anyproxy.json")).unwrap();
    let mut expressions = Vec::new();
    collect(&dashboard, &mut expressions);
    let panels = dashboard["panels"].as_array().unwrap();
    let charts = panels.iter().filter(|panel| panel["type"] != "row");
    assert!(expressions.len() >= charts.count(), "a panel shows nothing");
    for expression in expressions {
        let words = expression.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
        let names =
            words.filter(|word| word.starts_with("anyproxy_") || word.starts_with("process_"));
        let names = names.collect::<Vec<_>>();
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            let ends = ["_bucket", "_sum", "_count"];
            let family = ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            let known = docs.get(name).or_else(|| docs.get(family));
            let (kind, ..) = known.unwrap_or_else(|| panic!("{name} in {expression}"));
            // A counter is only worth looking at as a rate.
            let rated = ["rate(", "increase("].iter().any(|it| expression.contains(it));
            assert!(kind == "gauge" || rated, "{expression}");
        }
    }
    let scrape = read("configs/prometheus.yml");
    assert!(scrape.contains("127.0.0.1:9464") && scrape.contains("127.0.0.1:9465"), "{scrape}");
}

/// Every `expr`, and every query of a variable.
fn collect(value: &Value, expressions: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str().filter(|_| name == "expr" || name == "definition") {
                    Some(text) => expressions.push(text.to_owned()),
                    None => collect(field, expressions),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, expressions)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
