//! Groups that are changed while the gateway runs, tokens, and enrolled clients: an SQLite file in the data directory.
//!
//! ```text
//! anyproxy group …, token …  ──one transaction──▶ groups.db ◀──once a second── gateway
//!                                                   ▲  clients that enrol    │
//!                                                   └────────────────────────┘
//! ```
//!
//! SQLite and not redb, because two processes need the file at once: the gateway follows it while a command
//! changes it. SQLite locks for the length of a transaction and its `data_version` tells that another
//! process wrote; redb locks the file for as long as it is open, so that the gateway would have to serve every change
//! itself, through a socket with a protocol and permissions of its own. The price is C code and about
//! 20 s more of a cold build.
//!
//! It keeps the rollback journal and no write-ahead log: one file, no companions that hold hashes, and a
//! gateway can read it from a directory that it may not write. Readers wait for writers, which is of no
//! account at a write now and then.
//!
//! No secret is stored: of a generated one a keyed hash, of a chosen password its Argon2id hash.

mod enrolment;
mod error;
mod follow;
mod open;
mod rows;
mod schema;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use enrolment::{Enrolled, Roll, StoredClient, StoredToken};
pub use error::StoreError;
pub use follow::{Follower, News, Seen};
pub(crate) use open::give_to_owner;
pub use open::{Access, create_directory};

use crate::groups::{Credential, GroupSettings};

/// The name of the file in the data directory.
pub const FILE: &str = "groups.db";

/// An open store. Its methods block, for 5 seconds at most while another process writes.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
}

/// What became of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// There was none of that name.
    Added,
    /// There was one.
    Changed,
}

impl Store {
    /// Opens the store in `directory`; `None` when there is none.
    ///
    /// # Errors
    ///
    /// When it is damaged, of a newer version, of another program, or may not be read.
    pub fn open(directory: &Path, access: Access) -> Result<Option<Self>, StoreError> {
        let path = directory.join(FILE);
        let Some(connection) = open::existing(&path, access)? else { return Ok(None) };
        Ok(Some(Self { path, connection }))
    }

    /// Opens the store in `directory`, and makes both unless they are there; for nobody else to read.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and when the directory or the file cannot be made.
    pub fn create(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        open::create(directory, &path)?;
        Self::open(directory, Access::Write)?.ok_or(StoreError::Gone(path))
    }

    /// Opens the store in `directory`, which must be there.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and when there is none.
    pub fn open_or_gone(directory: &Path, access: Access) -> Result<Self, StoreError> {
        Self::open(directory, access)?.ok_or_else(|| StoreError::Gone(directory.join(FILE)))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All groups, by name.
    ///
    /// # Errors
    ///
    /// When the file is damaged or locked for too long.
    pub fn groups(&self) -> Result<Vec<GroupSettings>, StoreError> {
        self.reading(rows::all)?.map_err(|what| self.content(what))
    }

    /// Adds a group.
    ///
    /// # Errors
    ///
    /// [`StoreError::GroupExists`], [`StoreError::UserExists`], or those of writing.
    pub fn add(&mut self, group: &GroupSettings) -> Result<(), StoreError> {
        self.writing(|transaction, path| {
            if rows::exists(transaction, &group.name).map_err(|e| StoreError::of(path, e))? {
                return Err(StoreError::GroupExists(group.name.clone()));
            }
            put(transaction, path, group)
        })
    }

    /// Changes a group.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchGroup`], [`StoreError::UserExists`], or those of `change` and of writing.
    pub fn change<T>(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut GroupSettings) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.writing(|transaction, path| {
            let found =
                rows::one(transaction, name).map_err(|error| StoreError::of(path, error))?;
            let found = found.map_err(|what| StoreError::Content { path: path.into(), what })?;
            let mut group = found.ok_or_else(|| StoreError::NoSuchGroup(name.to_owned()))?;
            let done = change(&mut group)?;
            rows::delete(transaction, name).map_err(|error| StoreError::of(path, error))?;
            put(transaction, path, &group)?;
            Ok(done)
        })
    }

    /// Removes a group with its users, tokens and clients.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchGroup`], or those of writing.
    pub fn remove(&mut self, name: &str) -> Result<(), StoreError> {
        self.writing(|transaction, path| {
            let failed = |error| StoreError::of(path, error);
            enrolment::remove_of(transaction, name).map_err(failed)?;
            match rows::delete(transaction, name).map_err(failed)? {
                0 => Err(StoreError::NoSuchGroup(name.to_owned())),
                _ => Ok(()),
            }
        })
    }

    /// Gives a user of a group a password, and adds the user unless there is one of that name.
    ///
    /// # Errors
    ///
    /// As [`change`](Self::change).
    pub fn set_user(
        &mut self,
        group: &str,
        user: &str,
        password: Credential,
    ) -> Result<Set, StoreError> {
        self.change(group, |group| match group.users.iter_mut().find(|known| known.name == user) {
            Some(known) => {
                known.password = password;
                Ok(Set::Changed)
            }
            None => {
                let name = user.to_owned();
                group.users.push(crate::groups::UserSettings { name, password });
                Ok(Set::Added)
            }
        })
    }

    /// Removes a user of a group.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchUser`], or as [`change`](Self::change).
    pub fn remove_user(&mut self, group: &str, user: &str) -> Result<(), StoreError> {
        self.change(group, |found| {
            let before = found.users.len();
            found.users.retain(|known| known.name != user);
            if found.users.len() < before {
                return Ok(());
            }
            Err(StoreError::NoSuchUser { user: user.to_owned(), group: group.to_owned() })
        })
    }

    /// A number that changes when another process has written.
    fn version(&self) -> Result<i64, StoreError> {
        self.reading(|connection| {
            connection.pragma_query_value(None, "data_version", |row| row.get(0))
        })
    }

    fn reading<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        read(&self.connection).map_err(|error| StoreError::of(&self.path, error))
    }

    /// Everything or nothing of `write` happens.
    fn writing<T>(
        &mut self,
        write: impl FnOnce(&Transaction<'_>, &Path) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let path = self.path.as_path();
        let failed = |error| StoreError::of(path, error);
        // Immediate: it waits for another writer here, where waiting is safe, and not half-way.
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior).map_err(failed)?;
        let done = write(&transaction, path)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }

    /// Does it while no process can write.
    ///
    /// # Errors
    ///
    /// When another one writes for too long.
    pub(crate) fn while_nobody_writes<T>(
        &mut self,
        act: impl FnOnce() -> T,
    ) -> Result<T, StoreError> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior);
        let held = transaction.map_err(|error| StoreError::of(&self.path, error))?;
        let done = act();
        drop(held);
        Ok(done)
    }

    fn content(&self, what: String) -> StoreError {
        StoreError::Content { path: self.path.clone(), what }
    }
}

fn put(
    transaction: &Transaction<'_>,
    path: &Path,
    group: &GroupSettings,
) -> Result<(), StoreError> {
    let failed = |error| StoreError::of(path, error);
    for user in &group.users {
        if let Some(other) = rows::group_of(transaction, &user.name).map_err(failed)? {
            return Err(StoreError::UserExists { user: user.name.clone(), group: other });
        }
    }
    rows::insert(transaction, group).map_err(failed)
}

#[cfg(test)]
mod tests;
