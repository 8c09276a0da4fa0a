//! `anyproxy group`, `token`, and `client list`: groups, tokens and clients that are changed while the gateway runs, or while none runs.
//!
//! ```text
//! group add, secret    generate a secret ──▶ a private file, or the screen, once
//!                                        └─▶ its keyed hash ─▶ store
//! group passwd         a password, typed twice ─▶ its Argon2id hash ─▶ store
//! group set, remove                                                ─▶ store
//! group list           configuration file + store
//! token create         generate a token ──▶ the screen, once
//!                                       └─▶ its keyed hash ─▶ store
//! client list, revoke                                      store
//! ```
//!
//! What the configuration file has is shown and not changed: a person wrote it, and it wins.

mod change;
mod clients;
mod error;
mod hand_out;
mod list;
mod tokens;

use std::{
    io::Write,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

pub(crate) use clients::run as run_clients;
pub use error::ManageError;
pub(crate) use tokens::{Invitation, TOKEN_LIFE, run as run_tokens};

use crate::{
    cli::{GroupArgs, GroupCommand, StoreArgs},
    settings::{Outside, Premises},
    store::{Access, Roll, Store},
};

/// The error, if a person named a data directory that is not there: a mistake in its path looks like
/// an empty store.
fn no_directory(premises: &Premises) -> Option<ManageError> {
    let (named, path) = (premises.data_dir.is_named(), premises.data_dir.path());
    (named && !path.exists()).then(|| ManageError::NoDirectory(path.into()))
}

/// Does what the command line asks for.
///
/// # Errors
///
/// See [`ManageError`]; nothing has changed then.
pub(crate) fn run(
    args: &GroupArgs,
    outside: &mut dyn Outside,
    out: &mut dyn Write,
) -> Result<(), ManageError> {
    let premises = Premises::load(args.config.as_deref(), args.data_dir.as_deref(), outside)?;
    match &args.command {
        GroupCommand::Add(args) => change::add(&premises, args, out),
        GroupCommand::List(args) => list::run(&premises, args, out),
        GroupCommand::Set(args) => change::set(&premises, args, out),
        GroupCommand::Secret(args) => change::secret(&premises, args, out),
        GroupCommand::Passwd(args) => change::passwd(&premises, args, out),
        GroupCommand::Remove(args) => change::remove(&premises, args, out),
    }
}

/// Tokens and clients of the store that is meant.
fn roll(args: &StoreArgs, outside: &mut dyn Outside) -> Result<Roll, ManageError> {
    let premises = Premises::of_store(args, outside)?;
    match Store::open(premises.data_dir.path(), Access::Read)? {
        Some(store) => Ok(store.roll()?),
        None => match no_directory(&premises) {
            Some(error) => Err(error),
            None => Ok(Roll::default()),
        },
    }
}

/// The store that is meant, to be changed.
fn changing(args: &StoreArgs, outside: &mut dyn Outside) -> Result<Store, ManageError> {
    let premises = Premises::of_store(args, outside)?;
    Ok(Store::open_or_gone(premises.data_dir.path(), Access::Write)?)
}

/// Seconds since 1970.
fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A number of seconds in the largest unit of which there is at least one.
fn ago(seconds: i64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let unit = units.into_iter().find(|(unit, _)| seconds >= *unit);
    unit.map_or_else(
        || format!("{} s", seconds.max(0)),
        |(unit, name)| format!("{} {name}", seconds / unit),
    )
}

fn json(entries: &[impl Serialize], out: &mut dyn Write) -> Result<(), ManageError> {
    serde_json::to_writer_pretty(&mut *out, entries)
        .map_err(Into::into)
        .and_then(|()| writeln!(out))
        .map_err(ManageError::Output)
}

/// Writes rows below a head, each column as wide as it has to be.
fn table(
    head: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
    out: &mut dyn Write,
) -> Result<(), ManageError> {
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rows: Vec<Vec<_>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    for row in &rows {
        let cells = row.iter().enumerate();
        let cells =
            cells.map(|(at, cell)| format!("{cell:<width$}", width = width(at).unwrap_or(0)));
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(out, "{}", line.trim_end()).map_err(ManageError::Output)?;
    }
    Ok(())
}
