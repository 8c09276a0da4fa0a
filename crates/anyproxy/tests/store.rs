//! The data directory and the store in it, with the real program: absent, damaged, or all that there is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[allow(dead_code, reason = "shared with other tests")]
mod program;

use std::fs;

use program::{Directory, Running, echo};

#[test]
fn a_damaged_store_stops_a_start_and_not_a_running_gateway() {
    let dir = Directory::new();
    let target = echo();
    dir.group(&["add", "team", "--secret-out", "team.secret"], "");
    dir.group(&["passwd", "team", "--user", "alice"], "correct horse");
    let mut gateway = Running::gateway(&dir, &[]);
    let mut client = Running::client(&dir, &gateway, "team");
    gateway.wait_for("session up");
    let (store, aside) = (dir.path("anyproxy-data/groups.db"), dir.path("aside.db"));
    fs::rename(&store, &aside).unwrap();
    fs::write(&store, "this is no database, and long enough to see that").unwrap();
    gateway.wait_for("the groups stay as they are");
    assert_eq!(gateway.connect("alice:correct horse", target), 200);
    for line in [&["gateway", "-c", "gateway.toml"][..], &["check", "gateway.toml"]] {
        let done = dir.run(line, "");
        let text = format!("{}{}", done.out, done.err);
        assert_ne!(done.code, 0);
        assert!(
            text.contains("anyproxy-data/groups.db is damaged") && text.contains("fix: restore")
        );
    }
    let refused = dir.group(&["list"], "");
    assert_eq!(refused.code, 1);
    assert!(
        refused.err.contains("is damaged") && refused.err.contains("backup"),
        "{}",
        refused.err
    );
    fs::rename(&aside, &store).unwrap();
    gateway.wait_for("can be read again");
    client.end();
    gateway.end();
}

#[test]
fn a_gateway_starts_without_groups_where_some_can_come() {
    let dir = Directory::new();
    let alone = fs::read_to_string(dir.path("gateway.toml")).unwrap();
    let (alone, _) = alone.split_once("[[group]]").unwrap();
    fs::write(dir.path("gateway.toml"), alone).unwrap();
    let done = dir.run(&["gateway", "-c", "gateway.toml"], "");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("no group") && done.err.contains("--data-dir"), "{}", done.err);
    assert!(!dir.path("anyproxy-data").exists());

    let mut gateway = Running::gateway(&dir, &["--data-dir", "state/groups"]);
    assert!(dir.path("state/groups").is_dir());
    let add = ["group", "add", "team", "--data-dir", "state/groups", "--secret-out", "s"];
    assert_eq!(dir.run(&add, "").code, 0);
    gateway.wait_for("group added group=team");
    gateway.end();

    // The default directory suffices once there is something in it.
    dir.group(&["add", "team", "--secret-out", "t"], "");
    Running::gateway(&dir, &[]).end();
}

#[test]
fn a_gateway_makes_no_files_that_it_does_not_need() {
    let dir = Directory::new();
    let files = || {
        let mut names: Vec<_> =
            fs::read_dir(dir.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        // Where the status sockets of running programs are.
        names.retain(|name| name != "anyproxy");
        names.sort();
        names
    };
    let before = files();
    Running::gateway(&dir, &[]).end();
    assert_eq!(dir.group(&["list"], "").code, 0);
    assert_eq!(files(), before);
}
