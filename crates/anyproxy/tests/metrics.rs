//! The metrics of the program, and what names them.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![allow(dead_code, reason = "not every test needs all of the program")]

mod program;
mod telling;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use program::echo;
use serde_json::Value;
use telling::{Pair, TRANSPORTS, metrics, ping, repository, value};

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

#[test]
fn users_that_fail_to_log_in_are_counted() {
    let dir = program::Directory::new();
    let config = fs::read_to_string(dir.path("gateway.toml")).unwrap();
    let config = config.replace("socks5 = \"off\"", "socks5 = \"127.0.0.1:0\"");
    fs::write(dir.path("gateway.toml"), config).unwrap();
    let mut gateway = telling::told(telling::gateway(&dir, &[]));
    gateway.wait_for_all(&["SOCKS5 proxy started"]);
    let failed = |reason: &str| {
        let sample = format!("anyproxy_user_logins_failed_total{{reason=\"{reason}\"}}");
        value(&metrics(&gateway), &sample)
    };
    assert_eq!((failed("wrong"), failed("busy")), (0.0, 0.0));
    assert_eq!(gateway.connect("demo:wrong", echo()), 407);
    assert_eq!(gateway.connect("nobody:wrong", echo()), 407);
    assert_eq!(failed("wrong"), 2.0);
    let mut user = TcpStream::connect(gateway.address("socks5=")).unwrap();
    // RFC 1928 section 3, RFC 1929 section 2.
    user.write_all(b"\x05\x01\x02\x01\x04demo\x05wrong").unwrap();
    let mut answer = Vec::new();
    user.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, [5, 2, 1, 1]);
    assert_eq!((failed("wrong"), failed("busy")), (3.0, 0.0));
}
