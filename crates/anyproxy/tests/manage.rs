//! `anyproxy group`: what it says is what happens.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "shared with tests that run services")]
mod program;

use std::fs;

use program::Directory;

/// A directory with the stored groups `demo`, which the file has too, and `team`, with users.
fn with_shadowed() -> Directory {
    let dir = Directory::new();
    for line in [
        &["add", "demo", "--secret-out", "demo.secret"][..],
        &["add", "team", "--secret-out", "team.secret"],
        &["passwd", "team", "--user", "demo"],
    ] {
        // Whoever does not name the file cannot be told.
        let line = [&["group", "--data-dir", "anyproxy-data"], line].concat();
        assert_eq!(dir.run(&line, "correct horse").code, 0);
    }
    dir
}

#[test]
fn a_change_of_what_the_file_shadows_is_not_said_to_have_an_effect() {
    let dir = with_shadowed();
    for line in [
        &["set", "demo", "--max-flows", "5"][..],
        &["secret", "demo", "--secret-out", "other.secret"],
        &["passwd", "demo", "--user", "ann"],
        &["passwd", "demo", "--user", "ann", "--remove"],
        &["passwd", "team", "--user", "demo", "--remove"],
        &["remove", "demo"],
    ] {
        let done = dir.group(line, "correct horse");
        assert_eq!(done.code, 0, "{line:?}: {}", done.err);
        assert!(done.out.contains("no gateway changes"), "{line:?}: {}", done.out);
        assert!(done.out.contains("in gateway.toml wins"), "{line:?}: {}", done.out);
        assert!(!done.out.contains("follows"), "{line:?}: {}", done.out);
    }
    let done = dir.group(&["set", "team", "--max-flows", "5"], "");
    assert!(done.out.contains("follows within"), "{}", done.out);
}

#[test]
fn a_place_for_a_secret_needs_a_secret() {
    let dir = with_shadowed();
    let refused =
        dir.group(&["passwd", "team", "--user", "ann", "--secret-out", "f"], "correct horse");
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("fix: add --generate"), "{}", refused.err);
    assert!(!dir.path("f").exists() && !dir.group(&["list"], "").out.contains("ann"));
}

#[test]
fn a_password_that_is_too_long_is_not_cut() {
    let dir = with_shadowed();
    let passwd = |length| dir.group(&["passwd", "team", "--user", "ann"], &"x".repeat(length));
    let refused = passwd(5_000);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("more than 4096 bytes"), "{}", refused.err);
    let hash = dir.run(&["hash-password"], &"x".repeat(4_097));
    assert!(hash.code != 0 && hash.out.is_empty(), "{}", hash.out);
    assert_eq!(passwd(4_096).code, 0);
}

/// The group is there, and nobody knows its secret.
#[cfg(target_os = "linux")]
#[test]
fn a_secret_that_could_not_be_written_is_said_to_be_lost() {
    let dir = Directory::new();
    let full = |line: &str| {
        let line = format!("exec \"$0\" group {line} --secret-out - -c gateway.toml >/dev/full");
        let done = dir.shell(&line);
        assert_eq!(done.code, 1, "{}", done.err);
        done.err
    };
    let lost = full("add team");
    assert!(lost.contains("make another: anyproxy group secret team"), "{lost}");
    assert!(full("secret team").contains("group secret team"));
    let lost = full("passwd team --user ann --generate");
    assert!(lost.contains("group passwd team --user ann --generate"), "{lost}");
    assert!(dir.group(&["list"], "").out.contains("team"), "as it says");
}

#[test]
fn the_clients_command_has_the_gateways_port() {
    let dir = Directory::new();
    let with = |listen: &str| {
        let config = fs::read_to_string(dir.path("gateway.toml")).unwrap();
        let (_, rest) = config.split_once('\n').unwrap();
        fs::write(dir.path("gateway.toml"), format!("{listen}\n{rest}")).unwrap();
        let name = format!("team{}", listen.len());
        dir.group(&["add", &name, "--secret-out", &name], "").out
    };
    assert!(with("listen = \"0.0.0.0:9443\"").contains("--gateway HOST:9443 "));
    assert!(with("listen = \"[::]:0\"").contains("--gateway HOST:PORT "));
    assert!(with("# by default").contains("--gateway HOST:8443 "));
}

#[test]
fn a_directory_that_does_not_exist_is_no_empty_store() {
    let dir = with_shadowed();
    for line in [&["list"][..], &["list", "--json"], &["remove", "team"]] {
        let line = [&["group", "--data-dir", "anyproxy-dta"], line].concat();
        let refused = dir.run(&line, "");
        assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{line:?}");
        let says = refused.err.contains("data directory anyproxy-dta does not exist");
        assert!(says && refused.err.contains("fix: "), "{}", refused.err);
    }
    let noted = dir.group(&["list", "--data-dir", "anyproxy-dta"], "");
    assert!(noted.out.contains("demo") && noted.err.contains("does not exist"), "{}", noted.err);
    // Nothing is amiss where nobody named one.
    let dir = Directory::new();
    assert_eq!(dir.group(&["list"], "").err, "");
}
