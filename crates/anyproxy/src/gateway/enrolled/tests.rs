use anyproxy_wire::handshake::{Secret, Verifier};
use tempfile::TempDir;

use super::*;
use crate::store::StoredToken;

const KEY: PublicKey = [7; 32];

fn now() -> i64 {
    1_000
}

fn client() -> StoredClient {
    let (group, id) = ("home".into(), "laptop".into());
    StoredClient { key: KEY, group, id, created: now(), seen: None, revoked: None }
}

/// A store with one client, and who is enrolled there.
fn with_client(dir: &TempDir) -> (Store, ClientRoll) {
    let mut store = Store::create(dir.path()).unwrap();
    let verifier = Verifier::from_secret(&Secret::new([1; 16]));
    let (id, group) = ([1; 8], "home".into());
    let token =
        StoredToken { id, group, verifier, created: now(), expires: now() + 600, used: None };
    store.add_token(&token).unwrap();
    assert_eq!(store.enrol(&id, &client()).unwrap(), Enrolled::Yes);
    let roll = ClientRoll::new(Some(dir.path().to_owned()));
    assert_eq!(roll.client_of("home", &KEY).as_deref(), Some("laptop"));
    (store, roll)
}

#[tokio::test]
async fn a_look_for_a_strangers_token_does_not_hide_a_revocation() {
    let dir = TempDir::new().unwrap();
    let (mut store, roll) = with_client(&dir);
    assert_eq!(roll.0.news(), Look::Changed, "what it began with");
    assert_eq!(roll.0.news(), Look::Same);
    assert!(store.revoke(&KEY, now()).unwrap());
    assert!(roll.token([9; 8]).await.is_none());
    assert_eq!(roll.client_of("home", &KEY), None, "nobody gets in with it");
    assert_eq!(roll.0.news(), Look::Changed, "and whoever is in gets out");
    assert_eq!(roll.0.news(), Look::Same);
}

fn wish(key: PublicKey) -> Wish {
    Wish { token: [1; 8], group: "home".into(), client_id: "laptop".into(), key }
}

/// Whoever has a token that is over can come with it for ever.
#[tokio::test]
async fn a_token_that_was_used_is_answered_without_the_store() {
    let dir = TempDir::new().unwrap();
    let (_store, roll) = with_client(&dir);
    std::fs::remove_file(dir.path().join(crate::store::FILE)).unwrap();
    assert_eq!(roll.enrol(wish([8; 32])).await, Err(NotEnrolled::Used));
    assert_eq!(roll.enrol(wish(KEY)).await, Ok(()), "its own answer may have been lost");
    assert_eq!(
        roll.enrol(Wish { client_id: "desk".into(), ..wish(KEY) }).await,
        Err(NotEnrolled::Used)
    );
}

#[tokio::test]
async fn a_token_that_is_over_is_answered_without_the_store() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::create(dir.path()).unwrap();
    let verifier = Verifier::from_secret(&Secret::new([1; 16]));
    let past = 1_000;
    let (id, group) = ([1; 8], "home".into());
    store
        .add_token(&StoredToken {
            id,
            group,
            verifier,
            created: past,
            expires: past + 1,
            used: None,
        })
        .unwrap();
    let roll = ClientRoll::new(Some(dir.path().to_owned()));
    std::fs::remove_file(dir.path().join(crate::store::FILE)).unwrap();
    assert_eq!(roll.enrol(wish(KEY)).await, Err(NotEnrolled::Expired));
}

/// The gateway that enrolled it knows at once, before the next look.
#[tokio::test]
async fn who_enrols_here_is_known_at_once() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::create(dir.path()).unwrap();
    let verifier = Verifier::from_secret(&Secret::new([1; 16]));
    let (id, group) = ([1; 8], "home".into());
    let (created, expires) = (seconds(), seconds() + 600);
    store.add_token(&StoredToken { id, group, verifier, created, expires, used: None }).unwrap();
    let roll = ClientRoll::new(Some(dir.path().to_owned()));
    assert!(!roll.has_client("home", "laptop"));
    assert_eq!(roll.enrol(wish(KEY)).await, Ok(()));
    assert!(roll.has_client("home", "laptop") && !roll.has_client("work", "laptop"));
    std::fs::remove_file(dir.path().join(crate::store::FILE)).unwrap();
    assert_eq!(roll.enrol(wish([8; 32])).await, Err(NotEnrolled::Used));
}

/// A flood of unknown tokens is not a look each.
#[tokio::test]
async fn who_asked_before_the_last_look_needs_none_of_its_own() {
    let dir = TempDir::new().unwrap();
    let (mut store, roll) = with_client(&dir);
    let asked = Instant::now() - Duration::from_secs(1);
    roll.0.look(Instant::now());
    assert!(store.revoke(&KEY, now()).unwrap());
    roll.0.look(asked);
    assert!(roll.has_client("home", "laptop"), "that look was another's");
    roll.0.look(Instant::now());
    assert!(!roll.has_client("home", "laptop"));
}
