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
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// A token would live too long, or not at all.
    #[error("a token lives from 1 second to 7 days")]
    Life,
    /// There is no group to join.
    #[error("the gateway has no group that a client could join")]
    NoGroup,
    /// There are several groups.
    #[error("there are several groups: {}", .0.join(", "))]
    WhichGroup(Vec<String>),
    /// It is not known where clients reach the gateway.
    #[error("it is not known at which address clients reach this gateway")]
    NoAddress,
    /// It is not known which certificate the gateway shows.
    #[error("it is not known which certificate the gateway shows, so no token can name it")]
    NoCertificate,
    /// There is no such token.
    #[error("there is no token `{0}`")]
    NoSuchToken(String),
    /// A used token cannot be taken back.
    #[error("this token was used; its client is `{0}`")]
    TokenUsed(String),
    /// There is no such client.
    #[error("no client `{0}` has joined, or it was revoked")]
    NoSuchClient(String),
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
            Self::Read { path, .. } => {
                Some(format!("run as a user that can read {}", path.display()))
            }
            Self::Life => Some("use --ttl 10m, for example".into()),
            Self::NoGroup => Some("add one with `anyproxy group add NAME`".into()),
            Self::WhichGroup(_) => Some("name one with --group".into()),
            Self::NoAddress => Some(
                "add --advertise HOST:PORT with a name or address that clients can reach; or set \
                 `advertise` in the gateway's file, or start it with that flag"
                    .into(),
            ),
            Self::NoCertificate => {
                Some("name the gateway's configuration file with --config".into())
            }
            Self::NoSuchToken(_) => Some("`anyproxy token list` shows those there are".into()),
            Self::TokenUsed(id) => Some(format!("end that one: anyproxy client revoke {id}")),
            Self::NoSuchClient(_) => Some("`anyproxy client list` shows those there are".into()),
            Self::NothingToSet => Some(
                "use --forwards, --max-sessions, --max-connections, --max-flows or --bandwidth"
                    .into(),
            ),
        }
    }
}
