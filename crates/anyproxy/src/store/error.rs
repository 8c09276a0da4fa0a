//! Why the store cannot be used, or a change is refused.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;
use thiserror::Error;

use super::schema::VERSION;

/// Why the store cannot be used, or a change is refused.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file or its directory cannot be looked at.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// The directory or the file cannot be made.
    #[error("cannot make {}", path.display())]
    Unwritable {
        /// What cannot be made.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// The file is a link to nothing.
    #[error("{} is a link to a file that does not exist", .0.display())]
    Dangling(PathBuf),
    /// The file was removed while it was opened.
    #[error("{} is gone", .0.display())]
    Gone(PathBuf),
    /// The content of the file is broken.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The file is another program's.
    #[error("{} is no file of anyproxy", .0.display())]
    Foreign(PathBuf),
    /// A newer program wrote the file.
    #[error("{} has version {version}; this program knows version {VERSION}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i64,
    },
    /// A row that this program would not have written.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which group.
        what: String,
    },
    /// Another process kept it locked for too long.
    #[error("{} is locked by another process", .0.display())]
    Locked(PathBuf),
    /// Anything else that SQLite reports.
    // Not as its source, which would say the same once more.
    #[error("cannot use {}: {cause}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: rusqlite::Error,
    },
    /// There is a group of that name.
    #[error("the group `{0}` is there already")]
    GroupExists(String),
    /// There is no group of that name in the store.
    #[error("there is no group `{0}` in the store")]
    NoSuchGroup(String),
    /// A user's name is taken.
    #[error(
        "the user `{user}` belongs to the group `{group}`, and names are unique over all groups"
    )]
    UserExists {
        /// The user.
        user: String,
        /// Whose it is.
        group: String,
    },
    /// The group has no user of that name.
    #[error("the group `{group}` has no user `{user}`")]
    NoSuchUser {
        /// The user.
        user: String,
        /// The group.
        group: String,
    },
}

impl StoreError {
    /// What SQLite's `error` about the file at `path` means.
    pub(super) fn of(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        #[allow(
            clippy::wildcard_enum_match_arm,
            reason = "SQLite has many codes; these are those that mean something else to a person"
        )]
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(path),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, what: error.to_string() }
            }
            _ => Self::Failed { path, cause: error },
        }
    }

    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable { path, .. } | Self::Failed { path, .. } => format!(
                "check that the user that runs anyproxy owns {} and its directory",
                path.display()
            ),
            Self::Unwritable { .. } => {
                "let the user that runs anyproxy write there, or name another directory with \
                 --data-dir"
                    .into()
            }
            Self::Dangling(path) => {
                format!("remove the link (`rm {}`), or bring back what it points to", path.display())
            }
            Self::Gone(_) => "run the command once more".into(),
            Self::Damaged { path, .. } => format!(
                "restore {0} from a backup; or move it away (`mv {0} {0}.damaged`) and add its \
                 groups again",
                path.display()
            ),
            Self::Foreign(_) => "name another directory with --data-dir".into(),
            Self::Newer { .. } => {
                "run the version of anyproxy that wrote it, or a newer one; or name another \
                 directory with --data-dir"
                    .into()
            }
            Self::Content { .. } => {
                "remove that group (`anyproxy group remove NAME`) and add it again; this program did \
                 not write it like that"
                    .into()
            }
            Self::Locked(_) => "end the other command, or wait for it, and try again".into(),
            Self::GroupExists(name) => {
                format!("change it with `anyproxy group set {name}` or `anyproxy group secret {name}`")
            }
            Self::NoSuchGroup(_) => "`anyproxy group list` shows those there are".into(),
            Self::UserExists { .. } => "choose another name".into(),
            Self::NoSuchUser { .. } => "`anyproxy group list` shows those there are".into(),
        })
    }
}
