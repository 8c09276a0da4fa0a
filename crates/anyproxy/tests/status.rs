//! `anyproxy status`, and the log of one connection at both ends.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![allow(dead_code, reason = "not every test needs all of the program")]

mod program;
mod telling;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
};

use program::{Directory, Running, echo};
use serde_json::Value;
use telling::{Pair, TRANSPORTS, get, told};

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
fn a_socket_that_is_off_is_no_path() {
    let dir = Directory::new();
    let mut by_variable = dir.command(&["status"]);
    by_variable.env("ANYPROXY_STATUS_SOCKET", "off");
    let by_flag = dir.command(&["status", "--socket", "off"]);
    for mut command in [by_variable, by_flag] {
        let done = command.output().unwrap();
        let text = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.code() == Some(1) && text.contains("switched off"), "{text}");
        assert!(text.contains("unset ANYPROXY_STATUS_SOCKET"), "{text}");
    }
}

/// As with another user's environment: who can write there could put up a socket that tells lies.
#[test]
fn sockets_where_others_can_write_are_not_asked_and_that_is_said() {
    let dir = Directory::new();
    let gateway = told(Running::gateway(&dir, &[]));
    let open = |mode| {
        let directory = dir.path("anyproxy");
        fs::set_permissions(directory, fs::Permissions::from_mode(mode)).unwrap();
        dir.run(&["status"], "")
    };
    let running = format!("gateway {}", gateway.child.id());
    let shown = open(0o777);
    assert!(!shown.out.contains(&running), "{}", shown.out);
    assert!(
        shown.err.contains("is not believed") && shown.err.contains("--socket"),
        "{}",
        shown.err
    );
    let shown = open(0o700);
    assert!(shown.out.contains(&running) && shown.err.is_empty(), "{}{}", shown.out, shown.err);
}
