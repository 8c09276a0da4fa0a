//! `anyproxy group list`: all groups, and where each comes from.

use std::io::{self, Write};

use serde::Serialize;

use super::ManageError;
use crate::{
    cli::GroupListArgs,
    groups::{GroupLimits, GroupOutline, GroupSettings, Names},
    settings::Premises,
    store::{Access, Store},
};

/// A group as it is shown; there is nothing secret in it.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    source: Source,
    /// The file has a group of that name, so this one has no effect.
    shadowed: bool,
    users: Vec<User>,
    forwards: Vec<String>,
    limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    Config,
    Store,
}

#[derive(Debug, Serialize)]
struct User {
    name: String,
    /// The file has a user of that name, so this one has no effect.
    shadowed: bool,
}

/// The same names as in the file; absent ones are null.
#[derive(Debug, Serialize)]
struct Limits {
    max_sessions: Option<usize>,
    max_connections: Option<usize>,
    max_flows: Option<usize>,
    bandwidth: Option<u64>,
}

impl Entry {
    fn of(group: GroupOutline, source: Source, file: &Names) -> Self {
        let stored = source == Source::Store;
        let shadowed = stored && file.has_group(&group.name);
        let user = |name: String| User { shadowed: stored && file.has_user(&name), name };
        let GroupLimits { max_sessions, max_connections, max_flows, bandwidth } = group.limits;
        Self {
            source,
            shadowed,
            users: group.users.into_iter().map(user).collect(),
            forwards: group.forwards.iter().map(ToString::to_string).collect(),
            limits: Limits { max_sessions, max_connections, max_flows, bandwidth },
            name: group.name,
        }
    }

    fn cells(&self) -> [String; 5] {
        let source = match (self.source, self.shadowed) {
            (Source::Config, _) => "config",
            (Source::Store, false) => "store",
            (Source::Store, true) => "store (shadowed)",
        };
        let user = |user: &User| {
            if user.shadowed { format!("{} (shadowed)", user.name) } else { user.name.clone() }
        };
        let users: Vec<_> = self.users.iter().map(user).collect();
        [
            self.name.clone(),
            source.into(),
            joined(&users),
            joined(&self.forwards),
            joined(&self.limits.words()),
        ]
    }
}

impl Limits {
    fn words(&self) -> Vec<String> {
        let count = |what, limit: Option<usize>| limit.map(|limit| format!("{limit} {what}"));
        [
            count("sessions", self.max_sessions),
            count("connections", self.max_connections),
            count("flows", self.max_flows),
            self.bandwidth.map(|rate| format!("{}/s", bytes(rate))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn joined(words: &[String]) -> String {
    if words.is_empty() { "-".into() } else { words.join(", ") }
}

/// The size in the largest unit that divides it.
fn bytes(size: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1 << 20, "MiB"), (1_000, "kB")];
    units
        .into_iter()
        .find(|(unit, _)| size >= *unit && size.is_multiple_of(*unit))
        .map_or_else(|| format!("{size}B"), |(unit, name)| format!("{}{name}", size / unit))
}

/// Shows all groups.
pub(super) fn run(
    premises: &Premises,
    args: &GroupListArgs,
    out: &mut dyn Write,
) -> Result<(), ManageError> {
    match super::no_directory(premises) {
        Some(error) if premises.config.is_none() => return Err(error),
        // The groups of the file are worth showing, and a gateway that starts makes the directory.
        Some(error) => writeln!(io::stderr(), "note: {error}").map_err(ManageError::Output)?,
        None => {}
    }
    let store = Store::open(premises.data_dir.path(), Access::Read)?;
    let stored = store.map(|store| store.groups()).transpose()?.unwrap_or_default();
    let names = Names::of(premises.groups.clone());
    let file =
        premises.groups.iter().cloned().map(|group| Entry::of(group, Source::Config, &names));
    let stored = stored.iter().map(GroupSettings::outline);
    let stored = stored.map(|group| Entry::of(group, Source::Store, &names));
    let entries: Vec<_> = file.chain(stored).collect();
    if args.json {
        return super::json(&entries, out);
    }
    if entries.is_empty() {
        let none = "no groups; add one with `anyproxy group add NAME`";
        writeln!(out, "{none}").map_err(ManageError::Output)?;
    } else {
        let rows = entries.iter().map(|entry| entry.cells().to_vec());
        super::table(&["NAME", "SOURCE", "USERS", "PORTS", "LIMITS"], rows, out)?;
    }
    if premises.config.is_none() {
        // Groups of the file were not looked for, which whoever reads this should know.
        let note = "note: groups of a configuration file are shown with --config FILE";
        writeln!(io::stderr(), "{note}").map_err(ManageError::Output)?;
    }
    Ok(())
}
