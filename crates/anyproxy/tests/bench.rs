//! `anyproxy bench` as a person runs it.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "this file needs a part of it")]
mod program;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
};

use program::{Directory, Done, Running, echo};

const LITTLE: [&str; 7] = ["--size", "3MiB", "--exchanges", "20", "--connections", "20", "--json"];

fn bench(dir: &Directory, flags: &[&str]) -> Done {
    dir.run(&[&["bench"], flags, &LITTLE].concat(), "")
}

/// The rows of a report, of which every figure is a sane one.
fn rows(done: &Done) -> Vec<serde_json::Value> {
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let json: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(json["version"], 1);
    let rows = json["rows"].as_array().unwrap().clone();
    for row in &rows {
        for figure in ["down", "up", "connections"] {
            assert!(row[figure].as_f64().unwrap() > 0.0, "{row}");
        }
        let times = ["p50", "p90", "p99", "max"].map(|it| row["latency_ms"][it].as_f64().unwrap());
        assert!(times[0] > 0.0 && times.is_sorted(), "{row}");
    }
    rows
}

#[test]
fn a_pair_of_its_own_is_measured_over_both_transports() {
    let dir = Directory::new();
    let rows = rows(&bench(&dir, &[]));
    let names = rows.iter().map(|row| row["name"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(names, ["quic", "ws"]);
    assert!(rows.iter().all(|row| row["cpu_per_gib"].as_f64().unwrap() > 0.0), "{rows:?}");
}

#[test]
fn a_live_tunnel_is_measured_with_the_processor_time_of_who_answers_here() {
    let dir = Directory::new();
    let gateway = Running::gateway(&dir, &[]);
    let mut serving = dir.command(&["bench", "--serve", "127.0.0.1:0"]).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(serving.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let (_, at) = said.split_once("serving at ").unwrap();
    let (at, _) = at.split_once(';').unwrap();
    let done = bench(&dir, &["--connect", at]);
    serving.kill().unwrap();
    serving.wait().unwrap();
    let rows = rows(&done);
    assert!(rows.len() == 1 && rows[0]["cpu_per_gib"].as_f64().unwrap() > 0.0, "{rows:?}");
    if cfg!(target_os = "linux") {
        let of = rows[0]["cpu_of"].as_array().unwrap();
        assert!(of.contains(&"bench".into()) && of.contains(&"gateway".into()), "{of:?}");
    }
    drop(gateway);
}

#[test]
fn what_is_too_little_to_measure_is_refused() {
    let dir = Directory::new();
    for size in ["0", "1KiB"] {
        let done = dir.run(&["bench", "--size", size], "");
        assert!(done.code == 2 && done.err.contains("at least 64KiB"), "{}{}", done.out, done.err);
    }
}

/// A target that answers the first download with bytes of its own.
fn liar() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut conn, _) = listener.accept().unwrap();
        conn.read_exact(&mut [0; 17]).unwrap();
        // The reader may leave before all of it is written.
        let _left = conn.write_all(&[b"apbench1".as_slice(), &[7; 1 << 16]].concat());
    });
    addr
}

#[test]
fn what_is_no_target_and_what_is_not_whole_is_named() {
    let dir = Directory::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (at, words, fix) in [
        (closed, "cannot connect to", "bench --serve"),
        (liar(), "the download: byte ", "the one that was sent"),
    ] {
        let done = bench(&dir, &["--connect", &at.to_string()]);
        assert_eq!(done.code, 1, "{}{}", done.out, done.err);
        assert!(done.err.contains(words) && done.err.contains(fix), "{}", done.err);
    }
    // It answers with what it got, which begins like a target's answer, and then with what is no pattern.
    let done = bench(&dir, &["--connect", &echo().to_string()]);
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let done = dir.run(&["bench", "--serve", &addr], "");
    assert!(done.code == 1 && done.err.contains("fix: choose another"), "{}", done.err);
}
