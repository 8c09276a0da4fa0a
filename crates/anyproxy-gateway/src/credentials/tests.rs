use std::time::Duration;

use anyproxy_runtime::Deadline;
use argon2::{Argon2, Params, PasswordHasher as _};
use tokio::task::JoinSet;

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
    GroupConfig {
        name: name.into(),
        tunnel,
        client_ca: None,
        users,
        ports: vec![],
        limits: GroupLimits::default(),
    }
}

fn credentials() -> Credentials {
    let groups = [
        group("generated", verifier("tunnel"), verifier("user")),
        group("chosen", verifier("tunnel"), argon("correct horse")),
    ];
    Credentials::new(&groups, &Scope::root("credentials")).unwrap()
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
    let [one, other] = memories[0][..] else { unreachable!() };
    assert!([one.1, other.1].contains(&64), "{memories:?}");
    assert!([one.1, other.1].contains(&0), "one at a time needs one");
}

/// Floods with different wrong passwords, each from its own caller who waits for the answer.
fn flood(credentials: &Arc<Credentials>, guesses: Vec<(String, IpAddr)>) -> JoinSet<()> {
    let mut flood = JoinSet::new();
    for (name, peer) in guesses {
        let credentials = Arc::clone(credentials);
        flood.spawn(async move {
            for number in 0.. {
                let guess = format!("guess {number}");
                let name = name.replace('#', &number.to_string());
                let denied = credentials.check_user(&name, guess.as_bytes(), peer).await;
                if denied == Err(Denied::Busy) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        });
    }
    flood
}

/// How many hashes ran while somebody got in whom nobody knew yet.
async fn runs_until_in(guesses: Vec<(String, IpAddr)>) -> u64 {
    let credentials = Arc::new(credentials());
    let _flood = flood(&credentials, guesses);
    while credentials.password_checks().runs < 40 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let before = credentials.password_checks().runs;
    let check = credentials.check_user("chosen", b"correct horse", PEER);
    Deadline::after(Duration::from_secs(30)).bound(check).await.unwrap().unwrap();
    let checks = credentials.password_checks();
    assert!(checks.most_at_once <= 2, "{checks:?}");
    checks.runs - before
}

fn elsewhere(number: u32) -> IpAddr {
    IpAddr::V4((0x0a00_0000 + number).into())
}

#[tokio::test(start_paused = true)]
async fn wrong_passwords_from_other_addresses_delay_a_right_one_by_a_few_hashes() {
    let guesses = (0..40).map(|number| ("chosen".into(), elsewhere(number % 8))).collect();
    let runs = runs_until_in(guesses).await;
    assert!(runs <= 1 + 8 + 2, "{runs} hashes");
}

#[tokio::test(start_paused = true)]
async fn new_names_from_other_addresses_delay_a_right_password_by_a_few_hashes() {
    let guesses = (0..40).map(|number| (format!("x{number} #"), elsewhere(number % 8))).collect();
    let runs = runs_until_in(guesses).await;
    assert!(runs <= 1 + 8 + 2, "{runs} hashes");
}

#[tokio::test(start_paused = true)]
async fn new_names_from_the_same_address_delay_a_right_password_by_one_turn_of_each() {
    let guesses = (0..40).map(|number| (format!("x{number} #"), PEER)).collect();
    let runs = runs_until_in(guesses).await;
    assert!(runs <= 1 + 40 + 2, "{runs} hashes");
}

#[tokio::test(start_paused = true)]
async fn who_got_in_before_goes_first_with_a_new_password_too() {
    let credentials = Arc::new(credentials());
    credentials.check_user("chosen", b"correct horse", PEER).await.unwrap();
    credentials.set_groups(&[group("chosen", verifier("tunnel"), argon("new"))]);
    let _flood = flood(&credentials, (0..40).map(|n| (format!("x{n} #"), PEER)).collect());
    while credentials.password_checks().runs < 30 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let before = credentials.password_checks().runs;
    credentials.check_user("chosen", b"new", PEER).await.unwrap();
    let runs = credentials.password_checks().runs - before;
    assert!(runs <= 3, "{runs} hashes");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_changes_names_has_four_hashes_a_second() {
    let credentials = Arc::new(credentials());
    let _flood = flood(&credentials, (0..100).map(|n| (format!("x{n} #"), PEER)).collect());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let runs = credentials.password_checks().runs;
    assert!((200..=20 + 60 * 4).contains(&runs), "{runs}");
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_leaves_neither_a_place_nor_a_turn_behind() {
    let credentials = Arc::new(credentials());
    for round in 0..5 {
        let mut flood =
            flood(&credentials, (0..100).map(|n| (format!("{round} x{n} #"), PEER)).collect());
        tokio::time::sleep(Duration::from_secs(1)).await;
        flood.shutdown().await;
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    credentials.check_user("chosen", b"correct horse", PEER).await.unwrap();
    assert_eq!(credentials.passwords.memories().len(), 2);
}

#[tokio::test]
async fn a_user_is_valid_until_removed_or_changed_in_any_way() {
    let credentials = credentials();
    let set = |groups: &[GroupConfig]| credentials.set_groups(groups);
    let user = credentials.check_user("generated", b"user", PEER).await.unwrap();
    let same = group("generated", verifier("other"), verifier("user"));
    set(&[same.clone(), group("new", verifier("x"), verifier("y"))]);
    assert!(credentials.is_still_valid(&user), "another tunnel secret, another group");
    set(&[GroupConfig { name: "moved".into(), ..same.clone() }]);
    assert!(!credentials.is_still_valid(&user), "in another group");
    set(&[group("generated", verifier("tunnel"), verifier("changed"))]);
    assert!(!credentials.is_still_valid(&user));
    set(&[]);
    assert!(!credentials.is_still_valid(&user));
    set(&[same]);
    assert!(!credentials.is_still_valid(&user), "somebody new with the old name");
}

#[test]
fn no_secret_is_printed() {
    let text = format!("{:?}", group("g", verifier("hunter2"), argon("hunter2")));
    assert!(!text.contains("hunter2") && !text.contains("$argon2"), "{text}");
}
