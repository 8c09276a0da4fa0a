//! Tests of tokens and clients in the store.

use std::thread;

use anyproxy_wire::handshake::Secret;
use tempfile::TempDir;

use super::*;
use crate::store::{Access, FILE, Store, schema};

const NOW: i64 = 1_000_000;

fn token(id: u8, expires: i64) -> StoredToken {
    StoredToken {
        id: [id; 8],
        group: "home".into(),
        verifier: Verifier::from_secret(&Secret::new([id; 16])),
        created: NOW,
        expires,
        used: None,
    }
}

fn client(key: u8, id: &str) -> StoredClient {
    let (group, id) = ("home".into(), id.into());
    StoredClient { key: [key; 32], group, id, created: NOW, seen: None, revoked: None }
}

fn with_token(dir: &TempDir) -> Store {
    let mut store = Store::create(dir.path()).unwrap();
    store.add_token(&token(1, NOW + 600)).unwrap();
    store
}

#[test]
fn a_token_enrols_one_key_and_the_same_one_again() {
    let dir = TempDir::new().unwrap();
    let mut store = with_token(&dir);
    assert_eq!(store.enrol(&[1; 8], &client(7, "a")).unwrap(), Enrolled::Yes);
    assert_eq!(store.enrol(&[1; 8], &client(7, "a")).unwrap(), Enrolled::Yes);
    assert_eq!(store.enrol(&[1; 8], &client(7, "b")).unwrap(), Enrolled::Used);
    assert_eq!(store.enrol(&[1; 8], &client(8, "b")).unwrap(), Enrolled::Used);
    let roll = store.roll().unwrap();
    assert_eq!(roll.clients, [client(7, "a")]);
    assert_eq!(roll.tokens[0].used, Some((NOW, [7; 32])));
}

#[test]
fn a_token_is_void_when_its_time_is_over_or_the_group_is_another() {
    let dir = TempDir::new().unwrap();
    let mut store = with_token(&dir);
    let late = StoredClient { created: NOW + 600, ..client(7, "a") };
    assert_eq!(store.enrol(&[1; 8], &late).unwrap(), Enrolled::Expired);
    let other = StoredClient { group: "other".into(), ..client(7, "a") };
    assert_eq!(store.enrol(&[1; 8], &other).unwrap(), Enrolled::NoToken);
    assert_eq!(store.enrol(&[2; 8], &client(7, "a")).unwrap(), Enrolled::NoToken);
    let in_time = StoredClient { created: NOW + 599, ..client(7, "a") };
    assert_eq!(store.enrol(&[1; 8], &in_time).unwrap(), Enrolled::Yes);
}

#[test]
fn an_id_belongs_to_one_client_until_it_is_revoked() {
    let dir = TempDir::new().unwrap();
    let mut store = with_token(&dir);
    for id in [2, 3] {
        store.add_token(&token(id, NOW + 600)).unwrap();
    }
    assert_eq!(store.enrol(&[1; 8], &client(7, "a")).unwrap(), Enrolled::Yes);
    assert_eq!(store.enrol(&[2; 8], &client(8, "a")).unwrap(), Enrolled::NameTaken);
    assert!(store.revoke(&[7; 32], NOW + 1).unwrap());
    assert!(!store.revoke(&[7; 32], NOW + 2).unwrap(), "it is revoked already");
    // A refused wish has not used the token up; a revoked key does not come back.
    assert_eq!(store.enrol(&[1; 8], &client(7, "a")).unwrap(), Enrolled::Used);
    assert_eq!(store.enrol(&[3; 8], &client(7, "a")).unwrap(), Enrolled::NameTaken);
    assert_eq!(store.enrol(&[2; 8], &client(8, "a")).unwrap(), Enrolled::Yes);
    store.note_seen(&[[8; 32], [9; 32]], NOW + 5).unwrap();
    let clients = store.roll().unwrap().clients;
    assert_eq!((clients[0].revoked, clients[1].seen), (Some(NOW + 1), Some(NOW + 5)));
}

/// Each thread has a connection of its own, as each process has.
#[test]
fn of_many_that_use_a_token_at_once_one_is_enrolled() {
    let dir = TempDir::new().unwrap();
    drop(with_token(&dir));
    let enrol = |key: u8| {
        let path = dir.path().to_owned();
        move || {
            let mut store = Store::open(&path, Access::Write).unwrap().unwrap();
            store.enrol(&[1; 8], &client(key, &format!("client {key}"))).unwrap()
        }
    };
    let threads: Vec<_> = (0..16).map(|key| thread::spawn(enrol(key))).collect();
    let done: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(done.iter().filter(|done| **done == Enrolled::Yes).count(), 1, "{done:?}");
    assert_eq!(done.iter().filter(|done| **done == Enrolled::Used).count(), 15, "{done:?}");
}

#[test]
fn old_tokens_are_forgotten_and_a_removed_groups_too() {
    let dir = TempDir::new().unwrap();
    let mut store = with_token(&dir);
    let later = StoredToken { created: NOW + 600 + REMEMBERED + 1, ..token(2, i64::MAX) };
    store.add_token(&later).unwrap();
    let ids =
        |store: &Store| store.roll().unwrap().tokens.iter().map(|it| it.id[0]).collect::<Vec<_>>();
    assert_eq!(ids(&store), [2]);
    assert!(store.remove_token(&[2; 8]).unwrap() && !store.remove_token(&[2; 8]).unwrap());
    assert!(ids(&store).is_empty());
}

#[test]
fn the_advertised_address_is_kept() {
    let dir = TempDir::new().unwrap();
    let mut store = with_token(&dir);
    assert_eq!(store.advertised().unwrap(), None);
    store.advertise("a:1").unwrap();
    store.advertise("b:2").unwrap();
    assert_eq!(store.advertised().unwrap().as_deref(), Some("b:2"));
}

#[test]
fn a_file_of_the_first_version_is_read_and_gets_the_tables_when_it_is_written() {
    let dir = TempDir::new().unwrap();
    drop(Store::create(dir.path()).unwrap());
    {
        let file = Connection::open(dir.path().join(FILE)).unwrap();
        file.execute_batch("DROP TABLE tokens; DROP TABLE clients; DROP TABLE notes").unwrap();
        file.pragma_update(None, "user_version", 1).unwrap();
    }
    let store = Store::open(dir.path(), Access::Read).unwrap().unwrap();
    assert!(store.roll().unwrap().clients.is_empty());
    assert_eq!((store.advertised().unwrap(), store.groups().unwrap()), (None, vec![]));
    drop(store);
    let mut store = with_token(&dir);
    assert_eq!(store.enrol(&[1; 8], &client(7, "a")).unwrap(), Enrolled::Yes);
    assert!(store.reading(schema::has_roll).unwrap());
}
