//! What the tables of docs/configuration.md say of each key, against the program: its form, against the types that read
//! the files; its flag and variable, against the command line; its default, against what a start makes of a file
//! without it. That they have every key and no other is in `documented.rs`; `[limits]` is in `limits/documented.rs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod nothing;
mod support;

use std::collections::BTreeSet;

use anyproxy::{
    cli::{Cli, ClientArgs, GatewayArgs, LogArgs},
    config::{
        Problem, Source,
        raw::{RawClient, RawGateway},
    },
    settings::{ClientSettings, GatewaySettings},
};
use clap::CommandFactory as _;
use nothing::Nothing;
use support::Place;

const MANUAL: &str = include_str!("../../../docs/configuration.md");

/// Of which file a table is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Gateway,
    Client,
}

/// A table of the manual, and where its keys are in a file that says no more than it must.
struct Table {
    section: &'static str,
    number: usize,
    side: Side,
    /// What is before the place of its keys, and what is behind.
    around: (&'static str, &'static str),
    /// The keys of that place which must be there.
    required: &'static [&'static str],
}

const IDENTITY: [&str; 2] =
    ["certificate = \"../certs/gateway.crt\"", "key = \"../certs/gateway.key\""];
const SECRET: &str = "secret_file = \"../certs/demo.secret\"";
const GROUP: &str = "[[group]]\nname = \"demo\"\nsecret_file = \"../certs/demo.secret\"\n";
const WITH_IDENTITY: &str =
    "certificate = \"../certs/gateway.crt\"\nkey = \"../certs/gateway.key\"\n";
const CLIENT: &str =
    "gateway = \"gw:1\"\ngroup = \"demo\"\nsecret_file = \"../certs/demo.secret\"\n";

const TABLES: [Table; 6] = [
    Table {
        section: "Gateway",
        number: 0,
        side: Side::Gateway,
        around: ("", GROUP),
        required: &IDENTITY,
    },
    Table {
        section: "Gateway",
        number: 1,
        side: Side::Gateway,
        around: (WITH_IDENTITY, ""),
        required: &["name = \"demo\"", SECRET],
    },
    Table {
        section: "Gateway",
        number: 2,
        side: Side::Gateway,
        around: (WITH_IDENTITY, ""),
        required: &["name = \"alice\"", "password_file = \"../certs/user.password\""],
    },
    Table {
        section: "Client",
        number: 0,
        side: Side::Client,
        around: ("", ""),
        required: &["gateway = \"gw:1\"", "group = \"demo\"", SECRET],
    },
    Table {
        section: "Client",
        number: 1,
        side: Side::Client,
        around: (CLIENT, ""),
        required: &["name = \"web\"", "listen = \"8000\"", "target = \"a:1\""],
    },
    Table { section: "Log", number: 0, side: Side::Client, around: (CLIENT, ""), required: &[] },
];

impl Table {
    /// The heads of the TOML tables above its keys.
    fn head(&self) -> String {
        match (self.section, self.number) {
            ("Gateway", 1) => "[[group]]\n".into(),
            ("Gateway", 2) => format!("{GROUP}[[group.user]]\n"),
            ("Client", 1) => "[[forward]]\n".into(),
            // Without a file there is nothing that could be rotated.
            ("Log", 0) => "[log]\nfile = \"a.log\"\n".into(),
            _ => String::new(),
        }
    }

    /// A file with these lines at its place.
    fn file(&self, lines: &[&str]) -> String {
        let (before, behind) = self.around;
        format!("{before}{}{}\n{behind}", self.head(), lines.join("\n"))
    }

    /// A file with what must be there, `line`, and not the keys of `without`.
    fn whole(&self, line: &str, without: &[String]) -> String {
        let is_left = |it: &&&str| !without.iter().any(|key| it.starts_with(&format!("{key} = ")));
        let lines = self.required.iter().filter(is_left).copied().chain([line]);
        self.file(&lines.collect::<Vec<_>>())
    }

    /// What a start makes of a file, as `Debug` has it.
    fn settings(&self, place: &Place, text: &str) -> Result<String, String> {
        let config = Some(place.write("configs/a.toml", text));
        let log = LogArgs::default();
        match self.side {
            Side::Gateway => {
                let args = GatewayArgs { config, ..GatewayArgs::default() };
                let loaded = GatewaySettings::load(&args, &log, &mut Nothing);
                loaded.map(|it| format!("{:?}", it.settings)).map_err(|error| error.to_string())
            }
            Side::Client => {
                let args = ClientArgs { config, ..ClientArgs::default() };
                let loaded = ClientSettings::load(&args, &log, &mut Nothing);
                loaded.map(|it| format!("{:?}", it.settings)).map_err(|error| error.to_string())
            }
        }
    }

    /// In which forms the types read `key`, as the manual calls them.
    fn form(&self, key: &str) -> String {
        // Serde would read a short list as the values of a table's first keys.
        let list = format!("[{}]", ["\"x\""; 8].join(", "));
        let forms =
            [("text", "\"x\""), ("number", "1"), ("true or false", "true"), ("list", &list)];
        let tables = [("table", "{}"), ("tables", "[{}]")];
        let reads = |value: &str| {
            let text = self.whole(&format!("{key} = {value}"), &[key.to_owned()]);
            let text = text.replace("file = \"a.log\"\n", "");
            let source = Source::from_text("a.toml".as_ref(), &text);
            let problem = match self.side {
                Side::Gateway => source.parse::<RawGateway>().err(),
                Side::Client => source.parse::<RawClient>().err(),
            };
            problem.is_none_or(|error| matches!(error.problem(), Problem::MissingKey(_)))
        };
        let read = forms.into_iter().chain(tables).filter(|(_, value)| reads(value));
        read.map(|(form, _)| form).collect::<Vec<_>>().join(", ")
    }

    fn rows(&self) -> Vec<Row> {
        let (_, section) = MANUAL.split_once(&format!("\n## {}\n", self.section)).unwrap();
        let section = section.split("\n## ").next().unwrap().trim_start();
        let mut tables = section.split("\n\n").filter(|block| block.starts_with("| key | form |"));
        let table = tables.nth(self.number).unwrap();
        let head = cells(table.lines().next().unwrap());
        let rows = table.lines().skip(2).map(cells);
        rows.map(|row| {
            assert_eq!(row.len(), head.len(), "{row:?}");
            let cell = |name: &str| {
                let at = head.iter().position(|cell| cell == name);
                at.map(|at| row[at].clone()).unwrap_or_default()
            };
            Row {
                keys: quoted(&cell("key")),
                form: cell("form"),
                flags: quoted(&cell("flag")),
                variables: quoted(&cell("variable")),
                default: cell("default"),
            }
        })
        .collect()
    }
}

/// A row of the manual.
#[derive(Debug)]
struct Row {
    keys: Vec<String>,
    form: String,
    flags: Vec<String>,
    variables: Vec<String>,
    default: String,
}

fn cells(line: &str) -> Vec<String> {
    let line = line.strip_prefix('|').unwrap().strip_suffix('|').unwrap();
    line.split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// What is between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_key_has_the_form_that_the_types_read() {
    for table in TABLES {
        for row in table.rows() {
            match &row.keys[..] {
                [] => assert_eq!(row.form, "", "{row:?}"),
                // A key of another table, as in `[policy]` `allow`.
                [outer, key] if outer.starts_with('[') => {
                    let outer = outer.trim_matches(['[', ']']);
                    assert_eq!(table.form(&format!("{outer}.{key}")), row.form, "{row:?}");
                }
                keys => {
                    for key in keys {
                        assert_eq!(table.form(key.trim_matches(['[', ']'])), row.form, "{key}");
                    }
                }
            }
        }
    }
}

/// The default where it is a value: as TOML, and another one of that kind.
fn values(row: &Row) -> Option<(String, String)> {
    let literal = quoted(&row.default);
    let [literal] = &literal[..] else { return None };
    let plain = row.default.trim_end_matches(", nobody") == format!("`{literal}`");
    // Or the name of another key.
    if !plain || ["certificate", "key"].contains(&literal.as_str()) {
        return None;
    }
    let other = match literal.as_str() {
        "false" => "true",
        "1" | "7" => "5",
        "[]" => "[\"8000\"]",
        "off" | "[::]:8443" | "127.0.0.1:8088" | "127.0.0.1:1080" => "127.0.0.1:9",
        "both" | "auto" => "ws",
        "/anyproxy" => "/other",
        "10s" => "11s",
        "4" => "5",
        "bbr" => "cubic",
        "tcp" => "udp",
        "info" => "debug",
        "text" => "json",
        "daily" => "hourly",
        _ => panic!("another value than {literal} for {row:?}"),
    };
    let is_text = row.form.starts_with("text");
    let toml = |value: &str| if is_text { format!("{value:?}") } else { value.to_owned() };
    Some((toml(literal), toml(other)))
}

#[test]
fn a_default_that_is_written_out_changes_nothing_and_another_value_does() {
    let place = Place::new();
    let mut written = 0;
    for table in TABLES {
        let unset = table.settings(&place, &table.whole("", &[])).unwrap();
        for row in table.rows() {
            let Some((value, other)) = values(&row) else { continue };
            let key = row.keys.first().unwrap();
            let with = |value: &str| {
                table.settings(&place, &table.whole(&format!("{key} = {value}"), &[]))
            };
            assert_eq!(with(&value), Ok(unset.clone()), "{key} = {value}");
            assert_ne!(with(&other), Ok(unset.clone()), "{key} = {other}");
            written += 1;
        }
    }
    assert!(written > 20, "{written} defaults are values");
}

#[test]
fn what_is_required_is_missed() {
    let place = Place::new();
    let mut required = 0;
    for table in TABLES {
        for row in table.rows().iter().filter(|row| row.default.starts_with("required")) {
            let text = table.whole("", &row.keys);
            assert!(table.settings(&place, &text).is_err(), "{:?}:\n{text}", row.keys);
            required += 1;
        }
    }
    assert!(required > 10, "{required} keys are required");
}

/// Variables that the command line never sees, since its help would show their values.
const SECRETS: [&str; 2] = ["ANYPROXY_SECRET", "ANYPROXY_JOIN"];

/// The flags of a command, each with its variable.
fn flags(command: &clap::Command) -> BTreeSet<(String, Option<String>)> {
    let of = |argument: &clap::Arg| {
        let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned());
        Some((format!("--{}", argument.get_long()?), variable))
    };
    let mut flags: BTreeSet<_> = command.get_arguments().filter_map(of).collect();
    flags.retain(|(flag, _)| !["--config", "--help", "--version"].contains(&flag.as_str()));
    flags
}

#[test]
fn every_flag_is_in_the_row_of_its_variable_and_no_other_is() {
    let program = Cli::command();
    let command = |name: &str| program.find_subcommand(name).unwrap().clone();
    let commands = [(0, command("gateway")), (3, command("client")), (5, program.clone())];
    for (table, command) in commands {
        let known = flags(&command);
        let rows = TABLES[table].rows();
        let documented: BTreeSet<_> = rows
            .iter()
            .flat_map(|row| row.flags.iter().filter(|flag| flag.starts_with("--")))
            .cloned()
            .collect();
        let names: BTreeSet<_> = known.iter().map(|(flag, _)| flag.clone()).collect();
        assert_eq!(documented, names);
        for row in rows.iter().filter(|row| !row.flags.is_empty()) {
            let mine = known.iter().filter(|(flag, _)| row.flags.contains(flag));
            let variables: BTreeSet<_> =
                mine.filter_map(|(_, variable)| variable.clone()).collect();
            let told = row.variables.iter().filter(|name| !SECRETS.contains(&name.as_str()));
            let told: BTreeSet<_> = told.cloned().collect();
            assert_eq!(told, variables, "{row:?}");
        }
    }
}
