//! Tests of the store.

use std::fs;

use anyproxy_wire::handshake::Secret;
use tempfile::TempDir;

use super::*;
use crate::groups::{GroupLimits, UserSettings};

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$\
                    4yTPBAtTnmvb4zNh2yQKQrkzMmFUbLRBnOONhTSCWFk";

fn group(name: &str, users: &[&str]) -> GroupSettings {
    let user = |name: &&str| UserSettings {
        name: (*name).into(),
        password: Credential::from_hash(HASH).unwrap(),
    };
    GroupSettings {
        name: name.into(),
        tunnel: Credential::of(&Secret::new(name)),
        client_ca: None,
        users: users.iter().map(user).collect(),
        forwards: vec!["8000".parse().unwrap(), "[::1]:9000-9010".parse().unwrap()],
        limits: GroupLimits {
            max_sessions: Some(2),
            max_connections: None,
            max_flows: Some(1_000_000),
            bandwidth: Some(10_000_000),
        },
    }
}

fn store(dir: &TempDir) -> Store {
    Store::create(&dir.path().join("data")).unwrap()
}

fn read(dir: &TempDir) -> Result<Option<Vec<GroupSettings>>, StoreError> {
    let store = Store::open(&dir.path().join("data"), Access::Read)?;
    store.map(|store| store.groups()).transpose()
}

#[test]
fn groups_survive_as_they_were() {
    let dir = TempDir::new().unwrap();
    let (a, b) = (group("a", &["a", "alice"]), group("b", &[]));
    {
        let mut store = store(&dir);
        store.add(&b).unwrap();
        store.add(&a).unwrap();
    }
    assert_eq!(read(&dir).unwrap().unwrap(), [a, b]);
}

#[test]
fn without_a_file_there_is_no_store_and_none_is_made() {
    let dir = TempDir::new().unwrap();
    assert_eq!(read(&dir).unwrap(), None);
    assert!(!dir.path().join("data").exists());
    // What a command that was stopped at its first step leaves behind.
    fs::create_dir(dir.path().join("data")).unwrap();
    fs::write(dir.path().join("data").join(FILE), "").unwrap();
    assert_eq!(read(&dir).unwrap(), None);
    store(&dir).add(&group("a", &[])).unwrap();
    assert_eq!(read(&dir).unwrap().unwrap().len(), 1);
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new().unwrap();
    let store = store(&dir);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(store.path()), 0o600);
    assert_eq!(mode(&dir.path().join("data")), 0o700);
    let names: Vec<_> = fs::read_dir(dir.path().join("data")).unwrap().collect();
    assert_eq!(names.len(), 1, "one file: {names:?}");
}

#[test]
fn changes_are_whole_or_not_at_all() {
    let dir = TempDir::new().unwrap();
    let mut store = store(&dir);
    store.add(&group("a", &["alice"])).unwrap();
    store.add(&group("b", &["bob"])).unwrap();
    let before = store.groups().unwrap();
    let refused = [
        store.add(&group("a", &[])).unwrap_err(),
        store.add(&group("c", &["carol", "bob"])).unwrap_err(),
        store.set_user("a", "bob", Credential::of(&Secret::new("x"))).unwrap_err(),
        store.set_user("c", "carol", Credential::of(&Secret::new("x"))).unwrap_err(),
        store.remove_user("a", "bob").unwrap_err(),
        store.remove("c").unwrap_err(),
    ];
    let kinds = refused.map(|error| error.to_string());
    let expected = [
        "the group `a` is there already",
        "the user `bob` belongs to the group `b`, and names are unique over all groups",
        "the user `bob` belongs to the group `b`, and names are unique over all groups",
        "there is no group `c` in the store",
        "the group `a` has no user `bob`",
        "there is no group `c` in the store",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(store.groups().unwrap(), before);
}

#[test]
fn users_come_and_go_with_their_group() {
    let dir = TempDir::new().unwrap();
    let mut store = store(&dir);
    store.add(&group("a", &[])).unwrap();
    let (one, two) = (Credential::of(&Secret::new("1")), Credential::of(&Secret::new("2")));
    assert_eq!(store.set_user("a", "alice", one).unwrap(), Set::Added);
    assert_eq!(store.set_user("a", "alice", two.clone()).unwrap(), Set::Changed);
    assert_eq!(store.groups().unwrap()[0].users[0].password, two);
    store.remove_user("a", "alice").unwrap();
    assert_eq!(store.groups().unwrap()[0].users, []);
    store.set_user("a", "alice", two.clone()).unwrap();
    store.remove("a").unwrap();
    store.add(&group("b", &[])).unwrap();
    assert_eq!(store.set_user("b", "alice", two).unwrap(), Set::Added, "the name is free again");
}

#[test]
fn another_process_sees_each_change_once() {
    let dir = TempDir::new().unwrap();
    let mut follower = Follower::new(dir.path().join("data"));
    assert_eq!(follower.look().unwrap(), News::None, "there is no store");
    let mut store = store(&dir);
    assert_eq!(follower.look().unwrap(), News::Groups(vec![]));
    assert_eq!(follower.look().unwrap(), News::None);
    store.add(&group("a", &["alice"])).unwrap();
    assert_eq!(follower.look().unwrap(), News::Groups(vec![group("a", &["alice"])]));
    assert_eq!(follower.look().unwrap(), News::None);
    store.remove("a").unwrap();
    assert_eq!(follower.look().unwrap(), News::Groups(vec![]));
}

#[test]
fn a_store_that_was_replaced_or_removed_is_noticed() {
    let dir = TempDir::new().unwrap();
    let mut first = store(&dir);
    first.add(&group("a", &[])).unwrap();
    let path = first.path().to_owned();
    drop(first);
    let other = TempDir::new().unwrap();
    let mut second = store(&other);
    second.add(&group("b", &[])).unwrap();
    let mut follower = Follower::new(dir.path().join("data"));
    assert_eq!(follower.look().unwrap(), News::Groups(vec![group("a", &[])]));
    fs::rename(second.path(), &path).unwrap();
    assert_eq!(follower.look().unwrap(), News::Groups(vec![group("b", &[])]));
    fs::remove_file(&path).unwrap();
    assert_eq!(follower.look().unwrap(), News::Gone);
    assert_eq!(follower.look().unwrap(), News::None);
    store(&dir).add(&group("c", &[])).unwrap();
    assert_eq!(follower.look().unwrap(), News::Groups(vec![group("c", &[])]));
}

#[test]
fn a_damaged_file_is_named_with_the_fix_and_followed_again_when_it_is_whole() {
    let dir = TempDir::new().unwrap();
    let mut store = store(&dir);
    store.add(&group("a", &["alice"])).unwrap();
    let path = store.path().to_owned();
    drop(store);
    let whole = fs::read(&path).unwrap();
    let mut follower = Follower::new(dir.path().join("data"));
    follower.look().unwrap();
    let truncated = whole[..whole.len() / 2].to_vec();
    let garbled: Vec<_> =
        whole.iter().enumerate().map(|(i, b)| if i < 100 { *b } else { !b }).collect();
    for broken in
        [b"not a database, but some text that is long enough".to_vec(), truncated, garbled]
    {
        // Another file of that name, as an editor or a backup makes it.
        fs::write(path.with_extension("new"), &broken).unwrap();
        fs::rename(path.with_extension("new"), &path).unwrap();
        let error = follower.look().unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        let text = format!("{error} {}", error.fix().unwrap());
        assert!(text.contains("groups.db") && text.contains("backup"), "{text}");
        assert!(read(&dir).is_err());
    }
    fs::write(path.with_extension("new"), &whole).unwrap();
    fs::rename(path.with_extension("new"), &path).unwrap();
    assert_eq!(follower.look().unwrap(), News::Groups(vec![group("a", &["alice"])]));
}

#[test]
fn what_another_program_or_a_newer_version_wrote_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let mut store = store(&dir);
    store.add(&group("a", &[])).unwrap();
    let path = store.path().to_owned();
    drop(store);
    let run = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    let error = |access| Store::open(&dir.path().join("data"), access).unwrap_err();
    run("PRAGMA user_version = 3");
    for access in [Access::Read, Access::Write] {
        let error = error(access);
        assert!(matches!(error, StoreError::Newer { version: 3, .. }), "{error}");
        assert!(error.fix().unwrap().contains("version"), "{error}");
    }
    run("PRAGMA application_id = 1");
    assert!(matches!(error(Access::Write), StoreError::Foreign(_)));
    run("PRAGMA application_id = 0; PRAGMA user_version = 0");
    assert!(matches!(error(Access::Write), StoreError::Foreign(_)));
}

#[test]
fn a_row_that_nobody_could_have_typed_is_refused() {
    for (sql, part) in [
        ("UPDATE groups SET tunnel = 'hunter2'", "no hash"),
        ("UPDATE groups SET forwards = 'http'", "`http`"),
        ("UPDATE groups SET name = 'a:b'", "`a:b`"),
        (
            "UPDATE users SET password = '$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21l$4yTPBAtTnmvb4zNh2yQKQrkzMmFUbLRBnOONhTSCWFk'",
            "64 MiB",
        ),
    ] {
        let dir = TempDir::new().unwrap();
        let mut store = store(&dir);
        store.add(&group("a", &["alice"])).unwrap();
        store.connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        store.connection.execute_batch(sql).unwrap();
        if sql.contains("a:b") {
            store.connection.execute_batch("UPDATE users SET \"group\" = 'a:b'").unwrap();
        }
        let error = store.groups().unwrap_err();
        let text = error.to_string();
        assert!(text.contains(part) && !text.contains("hunter2"), "{text}");
        assert!(error.fix().unwrap().contains("group remove"), "{text}");
    }
}

#[test]
fn a_reader_writes_nothing() {
    let dir = TempDir::new().unwrap();
    store(&dir).add(&group("a", &[])).unwrap();
    let mut reader = Store::open(&dir.path().join("data"), Access::Read).unwrap().unwrap();
    assert!(reader.add(&group("b", &[])).is_err());
    assert_eq!(reader.groups().unwrap().len(), 1);
}

/// A process that holds the lock for ever must not hang the others for ever.
#[test]
fn a_locked_store_is_reported() {
    let dir = TempDir::new().unwrap();
    let mut store = store(&dir);
    let other = Connection::open(store.path()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    store.connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    assert!(matches!(store.add(&group("a", &[])), Err(StoreError::Locked(_))));
    assert!(matches!(store.groups(), Err(StoreError::Locked(_))));
}

#[test]
fn what_is_removed_stays_nowhere_in_the_file() {
    let dir = TempDir::new().unwrap();
    let mut store = store(&dir);
    let group = group("a", &["alice"]);
    store.add(&group).unwrap();
    let holds = |store: &Store, text: &str| {
        let bytes = fs::read(store.path()).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    assert!(holds(&store, HASH) && holds(&store, &group.tunnel.to_text()));
    store.remove("a").unwrap();
    assert!(!holds(&store, HASH) && !holds(&store, &group.tunnel.to_text()));
}

#[test]
fn a_limit_that_makes_no_sense_is_neither_taken_nor_none() {
    for (column, value) in [
        ("max_connections", "-1"),
        ("max_connections", "0"),
        ("max_sessions", "1000001"),
        ("max_flows", "-9223372036854775808"),
        ("max_flows", "9223372036854775807"),
        ("bandwidth", "999"),
        ("bandwidth", "-1"),
    ] {
        let dir = TempDir::new().unwrap();
        let mut store = store(&dir);
        store.add(&group("a", &[])).unwrap();
        let update = format!("UPDATE groups SET {column} = {value}");
        let refused = store.connection.execute_batch(&update).unwrap_err();
        assert!(refused.to_string().contains("CHECK"), "{update}: {refused}");
        // What a program that ignores the checks wrote.
        store.connection.pragma_update(None, "ignore_check_constraints", true).unwrap();
        store.connection.execute_batch(&update).unwrap();
        let error = store.groups().unwrap_err();
        assert!(matches!(error, StoreError::Content { .. }), "{update}: {error}");
        assert!(error.to_string().contains(&format!("`{value}`")), "{update}: {error}");
        assert!(read(&dir).is_err(), "{update}");
    }
}

/// The owner of the directory puts a link in the place of what root has just made.
#[cfg(unix)]
#[test]
fn root_gives_the_file_that_it_made_and_nothing_else() {
    use std::os::unix::fs::{MetadataExt as _, chown, symlink};
    let dir = TempDir::new().unwrap();
    let (data, victim) = (dir.path().join("data"), dir.path().join("victim"));
    fs::write(&victim, "").unwrap();
    let uid = |path: &Path| fs::metadata(path).unwrap().uid();
    if uid(&victim) != 0 {
        // Only root may give a file away.
        return;
    }
    fs::create_dir(&data).unwrap();
    chown(&data, Some(4_711), Some(4_712)).unwrap();
    let made = fs::File::create_new(data.join(FILE)).unwrap();
    fs::rename(data.join(FILE), data.join("moved")).unwrap();
    symlink(&victim, data.join(FILE)).unwrap();
    open::give_to_owner(&data, &made).unwrap();
    assert_eq!((uid(&victim), uid(&data.join("moved"))), (0, 4_711));
    fs::remove_file(data.join(FILE)).unwrap();
    let store = Store::create(&data).unwrap();
    assert_eq!(uid(store.path()), 4_711);
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_called_that() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    std::os::unix::fs::symlink(dir.path().join("nowhere"), data.join(FILE)).unwrap();
    let error = Store::create(&data).unwrap_err();
    assert!(matches!(error, StoreError::Dangling(_)), "{error}");
    assert!(error.fix().unwrap().contains("rm "), "{error}");
    assert!(matches!(read(&dir), Err(StoreError::Dangling(_))));
}
