use argon2::{Argon2, Params, PasswordHasher as _};

use super::*;
use crate::config::{GroupLimits, UserConfig};

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn argon(password: &str) -> Credential {
    let params = Params::new(64, 1, 1, None).unwrap();
    let hasher = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    Credential::Argon2id(hasher.hash_password(password.as_bytes()).unwrap().to_string())
}

fn verifier(secret: &str) -> Credential {
    Credential::Verifier(Verifier::from_secret(&Secret::new(secret)))
}

fn group(name: &str, tunnel: Credential, user: Credential) -> GroupConfig {
    let users = vec![UserConfig { name: name.into(), password: user }];
    GroupConfig { name: name.into(), tunnel, users, ports: vec![], limits: GroupLimits::default() }
}

fn credentials() -> Credentials {
    Credentials::new(&[
        group("generated", verifier("tunnel"), verifier("user")),
        group("chosen", verifier("tunnel"), argon("correct horse")),
    ])
    .unwrap()
}

#[tokio::test]
async fn only_the_right_group_with_its_own_password_gets_in() {
    let credentials = credentials();
    for (name, password, right) in [
        ("generated", "user", true),
        ("chosen", "correct horse", true),
        ("generated", "correct horse", false),
        ("generated", "tunnel", false),
        ("chosen", "user", false),
        ("chosen", "", false),
        ("nobody", "user", false),
        ("", "", false),
    ] {
        let result = credentials.check_user(name, password.as_bytes(), PEER).await;
        assert_eq!(result.is_ok(), right, "{name} {password}: {result:?}");
    }
}

#[tokio::test]
async fn a_right_password_is_hashed_once_and_known_again() {
    let credentials = credentials();
    let checks = (0..100).map(|_| credentials.check_user("chosen", b"correct horse", PEER));
    for check in checks.collect::<Vec<_>>() {
        check.await.unwrap();
    }
    assert_eq!(credentials.password_checks().runs, 1);
}

#[tokio::test]
async fn failures_are_slowed_down_before_anything_is_hashed_and_hold_nobody_else_up() {
    let credentials = credentials();
    credentials.check_user("chosen", b"correct horse", PEER).await.unwrap();
    let mut busy = 0;
    for attempt in 0..1000 {
        let wrong = format!("guess {attempt}");
        let denied = credentials.check_user("chosen", wrong.as_bytes(), PEER).await.unwrap_err();
        busy += usize::from(denied == Denied::Busy);
        // The same address, a password that was right before: at once.
        credentials.check_user("chosen", b"correct horse", PEER).await.unwrap();
    }
    assert!(credentials.password_checks().runs < 20, "{} runs", credentials.password_checks().runs);
    assert!(busy > 980, "{busy} turned away unhashed");
}

#[tokio::test]
async fn an_unknown_group_costs_what_a_known_one_does() {
    let credentials = credentials();
    credentials.check_user("nobody", b"x", PEER).await.unwrap_err();
    assert_eq!(credentials.password_checks().runs, 1);
    credentials.check_user("generated", b"x", PEER).await.unwrap_err();
    assert_eq!(credentials.password_checks().runs, 2);
}

#[tokio::test]
async fn every_hash_works_in_the_same_memory() {
    let credentials = credentials();
    let mut memories = Vec::new();
    for number in 0..20 {
        let name = format!("nobody {number}");
        credentials.check_user(&name, b"wrong", PEER).await.unwrap_err();
        memories.push(credentials.passwords.memories());
    }
    assert_eq!(credentials.password_checks().runs, 20);
    memories.dedup();
    assert_eq!(memories.len(), 1, "{memories:?}");
    assert_eq!(memories[0].len(), 1, "one at a time needs one");
}

#[test]
fn no_secret_is_printed() {
    let text = format!("{:?}", group("g", verifier("hunter2"), argon("hunter2")));
    assert!(!text.contains("hunter2") && !text.contains("$argon2"), "{text}");
}
