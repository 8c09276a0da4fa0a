//! The tables of docs/configuration.md, against the types that read the files: every key is in the table of its
//! place, and no other is. What else the tables say of a key is held against the program in `reference.rs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;

use anyproxy::config::{
    Problem, Source,
    raw::{RawClient, RawGateway},
};
use serde::de::DeserializeOwned;

const MANUAL: &str = include_str!("../../../docs/configuration.md");

/// Keys that may stand beside `[limits]` instead of in it, as in the first versions.
const LIMITS_BESIDE: [&str; 3] = ["proxy_timeout", "stall_budget", "max_streams"];

type Keys = BTreeSet<String>;

/// The keys of the table in which `text` has one that there is not.
fn known<T: DeserializeOwned>(text: &str) -> Keys {
    let error = Source::from_text("a.toml".as_ref(), text).parse::<T>().err().unwrap();
    let Problem::UnknownKey { known, .. } = error.problem() else { panic!("{text}: {error}") };
    known.iter().cloned().collect()
}

/// What is between backticks in the first cell of each row of a section's table of that number.
fn rows(section: &str, number: usize) -> Vec<Vec<String>> {
    let section = MANUAL.split_once(&format!("\n## {section}\n")).unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    let mut tables = section.trim().split("\n\n").filter(|block| block.starts_with("| key |"));
    let table = tables.nth(number).unwrap();
    let cells = table.lines().skip(2).map(|line| line.split(" | ").next().unwrap());
    cells.map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()).collect()
}

/// The keys that a table has, those of another TOML table by that one's name.
fn documented(section: &str, number: usize) -> Keys {
    let rows = rows(section, number);
    let plain = |key: &String| key.trim_matches(['[', ']']).to_owned();
    let keys = rows.iter().flat_map(|row| match row.first() {
        Some(key) if key.starts_with('[') => &row[..1],
        _ => &row[..],
    });
    keys.map(plain).collect()
}

/// The keys of a TOML table that are named behind it, as in `[policy]` `allow`.
fn inside(section: &str, table: &str) -> Keys {
    let rows = rows(section, 0);
    let rows = rows.iter().filter(|row| row.first().is_some_and(|key| key == table));
    rows.flat_map(|row| &row[1..]).cloned().collect()
}

fn keys(names: &[&str]) -> Keys {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn the_gateways_tables_have_every_key_of_its_file_and_no_other() {
    let elsewhere = &keys(&LIMITS_BESIDE) | &keys(&["group"]);
    assert_eq!(documented("Gateway", 0), &known::<RawGateway>("x = 1") - &elsewhere);
    let group = &known::<RawGateway>("[[group]]\nx = 1") - &keys(&["user"]);
    assert_eq!(documented("Gateway", 1), group);
    let user = known::<RawGateway>("[[group]]\nname = \"a\"\n[[group.user]]\nx = 1");
    assert_eq!(documented("Gateway", 2), user);
    assert!(user.len() > 2, "{user:?}");
}

#[test]
fn the_clients_tables_have_every_key_of_its_file_and_no_other() {
    assert_eq!(documented("Client", 0), &known::<RawClient>("x = 1") - &keys(&LIMITS_BESIDE));
    assert_eq!(inside("Client", "[policy]"), known::<RawClient>("[policy]\nx = 1"));
    let forward = known::<RawClient>("[[forward]]\nx = 1");
    assert_eq!(documented("Client", 1), forward);
    assert!(forward.len() > 2, "{forward:?}");
}

#[test]
fn the_table_of_the_log_has_every_key_and_no_other() {
    assert_eq!(documented("Log", 0), known::<RawGateway>("[log]\nx = 1"));
    assert_eq!(documented("Log", 0), known::<RawClient>("[log]\nx = 1"));
}

#[test]
fn keys_beside_the_limits_are_keys_of_the_limits() {
    let limits = &known::<RawGateway>("[limits]\nx = 1") | &known::<RawClient>("[limits]\nx = 1");
    for key in LIMITS_BESIDE {
        assert!(limits.contains(key) && MANUAL.contains(&format!("`{key}`")), "{key}");
    }
}
