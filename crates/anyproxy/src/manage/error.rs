//! Why groups could not be managed.

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::{config::ConfigError, password::PasswordError, store::StoreError};

/// Why groups could not be managed.
#[derive(Debug, Error)]
pub enum ManageError {
    /// The configuration file will not do.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store will not do, or refuses the change.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No password could be read or hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The group is in the configuration file.
    #[error("the group `{name}` is in {}, which wins over the store", config.display())]
    GroupInFile {
        /// The group.
        name: String,
        /// The file.
        config: PathBuf,
    },
    /// The user is in the configuration file.
    #[error("a user `{name}` is in {}, which wins over the store", config.display())]
    UserInFile {
        /// The user.
        name: String,
        /// The file.
        config: PathBuf,
    },
    /// A secret would be printed to something that is no terminal.
    #[error("standard output is no terminal, and nothing says where the secret should go")]
    NoPlace,
    /// A file is there that would be overwritten.
    #[error("{} is there already", .0.display())]
    FileExists(PathBuf),
    /// The file for the secret cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// A change was made, but the secret that belongs to it could not be handed out.
    #[error("the secret is kept, but cannot be written to standard output, and is lost")]
    Lost {
        /// The command that makes another.
        again: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// There is no such data directory.
    #[error("the data directory {} does not exist", .0.display())]
    NoDirectory(PathBuf),
    /// A place was named for a secret that nobody generates.
    #[error("--secret-out is for a generated password")]
    NothingToWrite,
    /// Nothing was asked for.
    #[error("nothing to set")]
    NothingToSet,
    /// Standard output failed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl ManageError {
    pub(super) fn group_in_file(name: &str, config: Option<&Path>) -> Self {
        Self::GroupInFile { name: name.into(), config: config.map(Into::into).unwrap_or_default() }
    }

    pub(super) fn user_in_file(name: &str, config: Option<&Path>) -> Self {
        Self::UserInFile { name: name.into(), config: config.map(Into::into).unwrap_or_default() }
    }

    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.fix(),
            Self::Store(error) => error.fix(),
            Self::Password(PasswordError::Input(_)) => {
                Some("type a longer one, or let one be made with --generate".into())
            }
            Self::Password(_) | Self::Output(_) => None,
            Self::GroupInFile { .. } => {
                Some("change it in that file and restart the gateway, or use another name".into())
            }
            Self::UserInFile { .. } => Some("use another name, or change it in that file".into()),
            Self::NoPlace => Some(
                "use --secret-out FILE, or --secret-out - if standard output is where it should go"
                    .into(),
            ),
            Self::FileExists(_) => Some("name another file, or move that one away".into()),
            Self::Write { .. } => Some("name another file with --secret-out".into()),
            Self::Lost { again, .. } => Some(format!("make another: {again}")),
            Self::NoDirectory(_) => Some(
                "check the path; `anyproxy group add` makes it, and so does a gateway that starts \
                 with it"
                    .into(),
            ),
            Self::NothingToWrite => {
                Some("add --generate, or leave --secret-out out and type the password".into())
            }
            Self::NothingToSet => Some(
                "use --forwards, --max-sessions, --max-connections, --max-flows or --bandwidth"
                    .into(),
            ),
        }
    }
}
