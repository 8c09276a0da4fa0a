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
