//! The one table of the documentation, against the types that hold the settings.

use std::{collections::BTreeMap, fmt::Debug, path::Path};

use super::{client, gateway, support::Place};

/// A row of the table.
struct Row {
    key: String,
    side: String,
    default: String,
}

fn table() -> Vec<Row> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let section = docs.split_once("\n## Limits\n").unwrap().1.split_once("\n## ").unwrap().0;
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|line| {
        let (key, rest) = line.split_once("` | ").unwrap();
        let cells = rest.split(" | ").collect::<Vec<_>>();
        let [side, default, _range, bounds, met] = cells[..] else { panic!("{line}") };
        assert!(!bounds.is_empty() && met.trim_end_matches(" |").len() > 5, "{line}");
        Row { key: key.into(), side: side.into(), default: default.into() }
    })
    .collect()
}

/// The fields of a struct of plain values and what they are, as `Debug` has them.
fn fields(value: &impl Debug) -> BTreeMap<String, String> {
    let text = format!("{value:?}");
    let inner = text.split_once("{ ").unwrap().1.strip_suffix(" }").unwrap();
    let fields = inner.split(", ").map(|field| field.split_once(": ").unwrap());
    fields.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// What the table says of a side's default; both sides where there is one value.
fn default_of(row: &Row, side: &str) -> String {
    let both = row.default.split(", ").find_map(|part| part.strip_prefix(&format!("{side} ")));
    both.unwrap_or(&row.default).trim_end_matches([' ', '¹', '²']).to_owned()
}

/// Checks one side: `set` are the settings where nothing is set, `own` what stands for `None`, and `with`
/// the settings of a file with a line.
fn check(
    side: &str,
    set: &BTreeMap<String, String>,
    own: &BTreeMap<String, String>,
    with: impl Fn(&str) -> BTreeMap<String, String>,
) {
    let rows = table();
    let rows = rows.iter().filter(|row| row.side == side || row.side == "both");
    let rows = rows.collect::<Vec<_>>();
    let mut keys = rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>();
    keys.sort_unstable();
    assert_eq!(keys, set.keys().cloned().collect::<Vec<_>>(), "every key, and no other");
    for row in rows {
        let (key, default) = (&row.key, default_of(row, side));
        let now = set[key].as_str();
        if let Some(of) = default.strip_prefix("half of ") {
            let whole = own[of.trim_matches('`')].parse::<usize>().unwrap();
            assert_eq!(own[key], (whole / 2).to_string(), "{key}");
        } else if default == "none" {
            assert_eq!(now, "None", "{key}");
        } else if now == "None" {
            assert_eq!(own[key], default, "{key}");
        } else {
            let number = default.parse::<u64>().is_ok();
            let value = if number { default.clone() } else { format!("{default:?}") };
            assert_eq!(with(&format!("{key} = {value}"))[key], now, "{key} = {value}");
        }
    }
}

#[test]
fn the_table_has_every_bound_of_a_gateway_with_its_default() {
    let place = Place::new();
    let own = fields(&anyproxy_gateway::Limits::default());
    check("gateway", &fields(&gateway(&place, "", "").unwrap()), &own, |line| {
        let (top, table) = if line.starts_with("drain") { (line, "") } else { ("", line) };
        fields(&gateway(&place, top, table).unwrap())
    });
}

#[test]
fn the_table_has_every_bound_of_a_client_with_its_default() {
    let place = Place::new();
    let own = fields(&anyproxy_client::Limits::default());
    check("client", &fields(&client(&place, "", "").unwrap()), &own, |line| {
        let (top, table) = if line.starts_with("drain") { (line, "") } else { ("", line) };
        fields(&client(&place, top, table).unwrap())
    });
}
