//! `anyproxy group`: groups that are changed while the gateway runs, or while none runs.
//!
//! ```text
//! group add, secret    generate a secret ──▶ a private file, or the screen, once
//!                                        └─▶ its keyed hash ─▶ store
//! group passwd         a password, typed twice ─▶ its Argon2id hash ─▶ store
//! group set, remove                                                ─▶ store
//! group list           configuration file + store
//! ```
//!
//! What the configuration file has is shown and not changed: a person wrote it, and it wins.

mod change;
mod error;
mod hand_out;
mod list;

use std::io::Write;

pub use error::ManageError;

use crate::{
    cli::{GroupArgs, GroupCommand},
    settings::{Outside, Premises},
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
    let premises = Premises::load(args, outside)?;
    match &args.command {
        GroupCommand::Add(args) => change::add(&premises, args, out),
        GroupCommand::List(args) => list::run(&premises, args, out),
        GroupCommand::Set(args) => change::set(&premises, args, out),
        GroupCommand::Secret(args) => change::secret(&premises, args, out),
        GroupCommand::Passwd(args) => change::passwd(&premises, args, out),
        GroupCommand::Remove(args) => change::remove(&premises, args, out),
    }
}
