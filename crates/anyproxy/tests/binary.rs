//! The program as a person runs it: exit codes, and what goes to which output.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// Runs the program in `directory`; returns exit code, standard output and standard error.
fn anyproxy(directory: &Path, line: &[&str], input: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anyproxy"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ANYPROXY_") {
            command.env_remove(name);
        }
    }
    command.args(line).current_dir(directory).env("XDG_STATE_HOME", directory);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have ended without reading.
    let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn certs_and_then_check() {
    let dir = TempDir::new().unwrap();
    let (code, out, err) = anyproxy(dir.path(), &["certs", "--group", "demo"], "");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("certs/gateway.crt") && out.contains("pin sha256:"), "{out}");
    std::fs::create_dir(dir.path().join("configs")).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    for name in ["gateway.toml", "client.toml"] {
        std::fs::copy(shipped.join(name), dir.path().join("configs").join(name)).unwrap();
    }
    let line = ["check", "configs/gateway.toml", "configs/client.toml"];
    let (code, out, err) = anyproxy(dir.path(), &line, "");
    assert_eq!(out, "configs/gateway.toml: ok (gateway)\nconfigs/client.toml: ok (client)\n");
    assert_eq!((code, err.as_str()), (0, ""));
}

#[test]
fn check_shows_the_line_and_the_fix() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("a.toml"), "listen = \"[::]:8443\"\nhtpp = \"x\"\n").unwrap();
    let (code, out, err) = anyproxy(dir.path(), &["check", "a.toml"], "");
    assert_eq!(code, 1);
    assert_eq!(
        out,
        "anyproxy: error: a.toml:2:1: unknown key `htpp`\n  |\n2 | htpp = \"x\"\n  | ^^^^\n  \
         fix: did you mean `http`?\n"
    );
    assert!(err.contains("1 of the files"), "{err}");
}

#[test]
fn a_gateway_that_lacks_something_says_what() {
    let dir = TempDir::new().unwrap();
    let (code, out, err) = anyproxy(dir.path(), &["gateway", "--listen", "0.0.0.0:0"], "");
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.starts_with("anyproxy: error: --listen: it is not known"), "{err}");
    assert!(err.contains("\n  fix: add --advertise"), "{err}");
    let (code, out, err) = anyproxy(dir.path(), &["gateway", "--certificate", "c"], "");
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("no `key`") && err.contains("\n  fix: "), "{err}");
    let (code, _, err) = anyproxy(dir.path(), &["gateway", "-c", "absent.toml"], "");
    assert_eq!(code, 2);
    assert!(err.contains("cannot read absent.toml: No such file"), "{err}");
}

#[test]
fn a_wrong_flag_is_exit_code_2() {
    let dir = TempDir::new().unwrap();
    for line in [&["client", "--secret", "x"][..], &["gateway", "--drain", "soon"], &["serve"], &[]]
    {
        assert_eq!(anyproxy(dir.path(), line, "").0, 2, "{line:?}");
    }
}

#[test]
fn hash_password_reads_standard_input_and_prints_the_hash_alone() {
    let dir = TempDir::new().unwrap();
    let (code, out, err) = anyproxy(dir.path(), &["hash-password"], "correct horse\n");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{out}");
    assert_eq!(out.lines().count(), 1);
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I";
    let (code, out, _) = anyproxy(dir.path(), &["hash-password", "--verifier"], secret);
    assert_eq!(code, 0);
    assert!(out.starts_with("anyproxy1:") && out.trim_end().len() == 10 + 64 + 1 + 64, "{out}");
    for (line, input) in [
        (&["hash-password"][..], "tiny"),
        (&["hash-password"], ""),
        (&["hash-password", "--verifier"], "hunter2-hunter2"),
    ] {
        let (code, out, err) = anyproxy(dir.path(), line, input);
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.contains("fix: ") && !err.contains("hunter2"), "{err}");
    }
}
