//! `anyproxy group` as a person uses it: beside a running gateway, and without one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "shared with other tests")]
mod program;

use std::fs;

use program::{Directory, Running, echo};

/// Nobody is there to see it, so it is not shown.
#[test]
fn a_secret_is_printed_only_when_somebody_asks_for_it() {
    let dir = Directory::new();
    let refused = dir.group(&["add", "team"], "");
    assert_eq!((refused.code, refused.out.as_str()), (1, ""));
    assert!(refused.err.contains("--secret-out"), "{}", refused.err);
    assert!(!dir.path("anyproxy-data").exists(), "nothing has changed");

    let shown = dir.group(&["add", "team", "--secret-out", "-"], "");
    assert_eq!(shown.code, 0, "{}", shown.err);
    let secret = shown.out.trim_end();
    assert_eq!((secret.len(), shown.out.lines().count()), (43, 1), "the secret alone");
    assert!(shown.err.contains("anyproxy client ") && !shown.err.contains(secret), "{}", shown.err);

    let told = dir.group(&["secret", "team", "--secret-out", "team.secret"], "");
    assert_eq!((told.code, told.err.as_str()), (0, ""));
    let other = fs::read_to_string(dir.path("team.secret")).unwrap();
    assert_ne!(other.trim_end(), secret);
    assert!(told.out.contains("--secret-file team.secret") && !told.out.contains(other.trim_end()));
    assert!(told.out.contains("--pin sha256:"), "{}", told.out);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(dir.path("team.secret")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = dir.group(&["secret", "team", "--secret-out", "team.secret"], "");
    assert_eq!(again.code, 1);
    assert!(again.err.contains("team.secret is there already"), "{}", again.err);
    assert_eq!(fs::read_to_string(dir.path("team.secret")).unwrap(), other, "and is kept");

    let generated = dir.group(&["passwd", "team", "--generate", "--secret-out", "-"], "");
    assert_eq!(generated.out.trim_end().len(), 43);
    let store = fs::read(dir.path("anyproxy-data/groups.db")).unwrap();
    for secret in [secret, other.trim_end(), generated.out.trim_end()] {
        let found = store.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "a secret is stored in clear");
    }
}

#[test]
fn a_failed_change_leaves_no_secret_behind() {
    let dir = Directory::new();
    assert_eq!(dir.group(&["add", "team", "--secret-out", "team.secret"], "").code, 0);
    let twice = dir.group(&["add", "team", "--secret-out", "other.secret"], "");
    assert_eq!(twice.code, 1);
    assert!(twice.err.contains("there already\n  fix: "), "{}", twice.err);
    assert!(!dir.path("other.secret").exists());
}

#[test]
fn the_list_says_where_each_group_comes_from() {
    let dir = Directory::new();
    let add = ["add", "team", "--forwards", "9000-9010,0", "--max-sessions", "2", "--max-flows"];
    let add = [&add[..], &["10", "--bandwidth", "10MB", "--secret-out", "team.secret"]].concat();
    assert_eq!(dir.group(&add, "").code, 0);
    assert_eq!(dir.group(&["passwd", "team", "--user", "alice"], "correct horse\n").code, 0);
    let text = dir.group(&["list"], "").out;
    assert_eq!(
        text,
        "NAME  SOURCE  USERS  PORTS         LIMITS\n\
         demo  config  demo   8000-8009     -\n\
         team  store   alice  9000-9010, 0  2 sessions, 10 flows, 10MB/s\n"
    );
    assert_eq!(
        dir.group(&["set", "team", "--max-flows", "none", "--forwards", "none"], "").code,
        0
    );
    let json: serde_json::Value =
        serde_json::from_str(&dir.group(&["list", "--json"], "").out).unwrap();
    let expected = serde_json::json!([
        {
            "name": "demo", "source": "config", "shadowed": false,
            "users": [{ "name": "demo", "shadowed": false }], "forwards": ["8000-8009"],
            "limits": { "max_sessions": null, "max_connections": null, "max_flows": null, "bandwidth": null },
        },
        {
            "name": "team", "source": "store", "shadowed": false,
            "users": [{ "name": "alice", "shadowed": false }], "forwards": [],
            "limits": { "max_sessions": 2, "max_connections": null, "max_flows": null, "bandwidth": 10_000_000 },
        },
    ]);
    assert_eq!(json, expected);
}

#[test]
fn the_file_wins_over_the_store() {
    let dir = Directory::new();
    let refused = dir.group(&["add", "demo", "--secret-out", "demo.secret"], "");
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("is in gateway.toml, which wins"), "{}", refused.err);
    for command in [&["remove", "demo"][..], &["passwd", "demo"], &["secret", "demo"]] {
        let refused = dir.group(command, "correct horse");
        assert!(refused.err.contains("is in gateway.toml, which wins"), "{}", refused.err);
    }
    // Whoever does not name the file cannot be told.
    let blind = |line: &[&str], input: &str| {
        let line = [&["group", "--data-dir", "anyproxy-data"], line].concat();
        let done = dir.run(&line, input);
        assert_eq!(done.code, 0, "{}", done.err);
        done
    };
    blind(&["add", "demo", "--secret-out", "demo.secret"], "");
    blind(&["add", "team", "--secret-out", "team.secret"], "");
    blind(&["passwd", "team", "--user", "demo"], "correct horse");
    blind(&["passwd", "team", "--user", "bob"], "correct horse");
    let refused = dir.group(&["passwd", "team", "--user", "demo"], "correct horse");
    assert!(refused.err.contains("a user `demo` is in gateway.toml"), "{}", refused.err);
    assert!(blind(&["list"], "").err.contains("--config"), "the list is not complete");
    assert_eq!(
        dir.group(&["list"], "").out,
        "NAME  SOURCE            USERS                 PORTS      LIMITS\n\
         demo  config            demo                  8000-8009  -\n\
         demo  store (shadowed)  -                     -          -\n\
         team  store             bob, demo (shadowed)  -          -\n"
    );
    let mut gateway = Running::gateway(&dir, &[]);
    let log = gateway.end();
    assert!(log.contains("the stored group `demo` is ignored"), "{log}");
    assert!(log.contains("the user `demo` of the stored group `team` is ignored"), "{log}");
    // What is shadowed can still be removed.
    assert_eq!(dir.group(&["remove", "demo"], "").code, 0);
    assert_eq!(dir.group(&["passwd", "team", "--user", "demo", "--remove"], "").code, 0);
    assert!(!dir.group(&["list"], "").out.contains("shadowed"));
}

#[test]
fn a_name_belongs_to_one_user_of_all_groups() {
    let dir = Directory::new();
    for group in ["a", "b"] {
        dir.group(&["add", group, "--secret-out", &format!("{group}.secret")], "");
    }
    let passwd = |group, input| dir.group(&["passwd", group, "--user", "alice"], input);
    assert!(passwd("a", "correct horse").out.contains("added"));
    assert!(passwd("a", "correct horse again").out.contains("has another password"));
    let taken = passwd("b", "correct horse");
    assert_eq!(taken.code, 1);
    assert!(taken.err.contains("belongs to the group `a`") && taken.err.contains("fix: "));
    let weak = passwd("a", "hunter2");
    assert_eq!(weak.code, 1);
    assert!(weak.err.contains("--generate") && !weak.err.contains("hunter2"), "{}", weak.err);
    let absent = dir.group(&["passwd", "b", "--user", "alice", "--remove"], "");
    assert!(absent.err.contains("has no user `alice`"), "{}", absent.err);
}

#[test]
fn whose_groups_are_meant_is_not_guessed() {
    let dir = Directory::new();
    let done = dir.run(&["group", "list"], "");
    assert_eq!(done.code, 2);
    assert!(
        done.err.contains("--config") && done.err.contains("ANYPROXY_DATA_DIR"),
        "{}",
        done.err
    );
}

#[cfg(unix)]
#[test]
fn a_running_gateway_tells_what_changed_in_the_store() {
    let dir = Directory::new();
    let mut gateway = Running::gateway(&dir, &["--log-level", "trace"]);
    dir.group(&["add", "team", "--secret-out", "team.secret"], "");
    gateway.wait_for("group added group=team");
    assert_eq!(dir.group(&["passwd", "team"], "correct horse").code, 0);
    gateway.wait_for("group changed: users group=team");
    dir.group(&["set", "team", "--bandwidth", "10MB", "--forwards", "9000"], "");
    gateway.wait_for("group changed: ports, limits group=team");
    dir.group(&["secret", "team", "--secret-out", "team2.secret"], "");
    gateway.wait_for("group changed: secret group=team");
    dir.group(&["remove", "team"], "");
    gateway.wait_for("group removed group=team");
    let log = gateway.end();
    for name in ["team.secret", "team2.secret"] {
        let secret = fs::read_to_string(dir.path(name)).unwrap();
        assert!(!log.contains(secret.trim_end()), "a secret is in the log");
    }
    assert!(!log.contains("correct horse") && !log.contains("$argon2id$"), "{log}");
}

#[cfg(unix)]
#[test]
fn stored_groups_survive_a_restart() {
    let dir = Directory::new();
    let target = echo();
    dir.group(&["add", "team", "--secret-out", "team.secret"], "");
    dir.group(&["passwd", "team", "--user", "alice"], "correct horse");
    for _ in 0..2 {
        let mut gateway = Running::gateway(&dir, &[]);
        let mut client = Running::client(&dir, &gateway, "team");
        gateway.wait_for("session up");
        assert_eq!(gateway.connect("alice:correct horse", target), 200);
        assert_eq!(gateway.connect("alice:correct horsf", target), 407);
        let secret = fs::read_to_string(dir.path("team.secret")).unwrap();
        let own = format!("team:{}", secret.trim_end());
        assert_eq!(gateway.connect(&own, target), 407, "the secret is the clients' only");
        client.end();
        gateway.end();
    }
}

#[cfg(unix)]
#[test]
fn a_running_gateway_lets_a_new_group_in_and_a_removed_one_out() {
    let dir = Directory::new();
    let target = echo();
    let mut gateway = Running::gateway(&dir, &[]);
    dir.group(&["add", "team", "--secret-out", "team.secret"], "");
    gateway.wait_for("group added group=team");
    dir.group(&["passwd", "team", "--user", "alice"], "correct horse");
    gateway.wait_for("group changed: users group=team");
    let mut client = Running::client(&dir, &gateway, "team");
    gateway.wait_for("session up");
    assert_eq!(gateway.connect("alice:correct horse", target), 200);
    dir.group(&["passwd", "team", "--user", "alice", "--remove"], "");
    gateway.wait_for("group changed: users group=team");
    assert_eq!(gateway.connect("alice:correct horse", target), 407);
    dir.group(&["passwd", "team", "--user", "bob"], "correct horse");
    gateway.wait_for("group changed: users group=team");
    assert_eq!(gateway.connect("bob:correct horse", target), 200);
    dir.group(&["remove", "team"], "");
    gateway.wait_for("group removed group=team");
    assert_eq!(gateway.connect("bob:correct horse", target), 407);
    client.wait_for("unauthorised");
    client.end();
    gateway.end();
}
