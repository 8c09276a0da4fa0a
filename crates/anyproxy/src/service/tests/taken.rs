//! What taking over must not lose, replace or follow.

use super::*;
use crate::{
    own::InUse,
    store::{Access, FILE, Store},
};

const TO: &str = "var/lib/anyproxy/gateway";

/// Takes over what a gateway left in `dir`.
fn take(root: &Root, dir: &str) -> Result<String, ServiceError> {
    let own = OwnServiceArgs {
        advertise: Some("gw.example.com:8443".parse().unwrap()),
        data_dir: Some(root.path(dir)),
        ..OwnServiceArgs::default()
    };
    root.install(Kind::Gateway, own)
}

/// A gateway's store and key, where no service finds them.
fn left(dir: &str) -> Root {
    let root = Root::new();
    drop(Store::create(&root.path(dir)).unwrap());
    root.write(&format!("{dir}/ca.key"), "key");
    root
}

#[cfg(unix)]
#[test]
fn a_gateway_that_runs_is_not_taken_over() {
    let root = left("old");
    let running = InUse::take(&root.path("old")).unwrap();
    let error = take(&root, "old").unwrap_err();
    assert!(matches!(&error, ServiceError::Runs(dir) if *dir == root.path("old")), "{error}");
    assert!(error.fix().unwrap().contains("stop it"), "{error}");
    assert!(root.path("old/groups.db").exists() && root.path("old/ca.key").exists());
    assert!(!root.path("var").exists() && !root.path(UNITS).exists());
    drop(running);
    take(&root, "old").unwrap();
    assert!(!root.path("old/groups.db").exists());
}

#[test]
fn what_a_killed_gateway_left_half_written_is_taken_back() {
    let root = left("killed");
    let mut store = Store::open(&root.path("killed"), Access::Write).unwrap().unwrap();
    store.advertise("gw.example.com:1").unwrap();
    drop(store);
    let before = fs::read(root.path("killed").join(FILE)).unwrap();
    // Its cache is small, so what is not committed is in the file already.
    let connection = rusqlite::Connection::open(root.path("killed").join(FILE)).unwrap();
    let unfinished = "PRAGMA cache_size = 1; BEGIN; DELETE FROM notes; CREATE TABLE much (bytes BLOB); \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) \
         INSERT INTO much SELECT zeroblob(4000) FROM n;";
    connection.execute_batch(unfinished).unwrap();
    let journal = format!("{FILE}-journal");
    root.write("left/ca.key", "key");
    for name in [FILE, &journal] {
        fs::copy(root.path("killed").join(name), root.path("left").join(name)).unwrap();
    }
    assert!(fs::read(root.path("left").join(FILE)).unwrap() != before);
    take(&root, "left").unwrap();
    assert!(fs::read(root.path(TO).join(FILE)).unwrap() == before);
    assert_eq!(fs::read_dir(root.path("left")).unwrap().count(), 0);
    let store = Store::open(&root.path(TO), Access::Read).unwrap().unwrap();
    assert_eq!(store.advertised().unwrap().unwrap(), "gw.example.com:1");
}

#[test]
fn what_is_there_already_is_not_replaced() {
    let root = left("old");
    root.write("old/gateway.key", "mine");
    root.write(&format!("{TO}/gateway.key"), "other");
    let error = take(&root, "old").unwrap_err();
    let there = root.path(&format!("{TO}/gateway.key"));
    assert!(matches!(&error, ServiceError::Occupied(path) if *path == there), "{error}");
    assert!(error.fix().unwrap().contains("move"), "{error}");
    assert_eq!(root.read(&format!("{TO}/gateway.key")), "other");
    assert_eq!(fs::read_dir(root.path("old")).unwrap().count(), 3);
    // A move that was interrupted goes on.
    root.write(&format!("{TO}/gateway.key"), "mine");
    take(&root, "old").unwrap();
    assert_eq!(fs::read_dir(root.path("old")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(root.path(TO)).unwrap().count(), 3);
    assert_eq!(root.read(&format!("{TO}/gateway.key")), "mine");
}

#[cfg(unix)]
#[test]
fn no_link_is_followed_and_no_pipe_waited_for() {
    use std::os::unix::fs::symlink;
    for name in ["gateway.key", FILE] {
        let root = left("old");
        root.write("elsewhere", "somebody else's");
        let path = root.path("old").join(name);
        if name == FILE {
            fs::remove_file(&path).unwrap();
            drop(Store::create(&root.path("other")).unwrap());
            symlink(root.path("other").join(FILE), &path).unwrap();
        } else {
            symlink(root.path("elsewhere"), &path).unwrap();
        }
        let error = take(&root, "old").unwrap_err();
        assert!(matches!(&error, ServiceError::NotAFile(found) if *found == path), "{error}");
        assert!(error.fix().unwrap().contains("links"), "{error}");
        assert!(!root.path(TO).exists() && path.is_symlink());
        assert_eq!(root.read("elsewhere"), "somebody else's");
    }
    let root = left("old");
    let pipe = root.path("old/ca.crt");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let error = take(&root, "old").unwrap_err();
    assert!(matches!(&error, ServiceError::NotAFile(found) if *found == pipe), "{error}");
}
