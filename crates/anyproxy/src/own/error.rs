//! Why a gateway without a configuration file could not make what it needs.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{
    certs::CertsError,
    config::{ConfigError, Problem},
    store::StoreError,
};

/// Why a gateway without a configuration file could not make what it needs.
#[derive(Debug, Error)]
pub enum OwnError {
    /// A flag will not do.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its certificates cannot be made.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// Its store cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was generated is not what it should be.
    #[error(transparent)]
    Value(#[from] Problem),
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// Another process does not let go of the directory.
    #[error("another gateway is making its files in {}", .0.display())]
    Busy(PathBuf),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[from] getrandom::Error),
    /// Nothing says where to keep it.
    #[error("there is no place for the gateway's keys and groups: HOME is not set")]
    NoDirectory,
}

impl OwnError {
    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.fix(),
            // They would name the flag of another command.
            Self::Certs(CertsError::Write { path, .. }) | Self::Write { path, .. } => {
                Some(format!(
                    "make {} writable, or name another directory with --data-dir",
                    path.display()
                ))
            }
            Self::Certs(error) => error.fix(),
            Self::Store(error) => error.fix(),
            Self::Value(problem) => problem.fix(),
            Self::Busy(_) => Some(
                "start it again; if that does not help, end the other one, or name another directory \
                 with --data-dir"
                    .into(),
            ),
            Self::NoDirectory => Some("name a directory with --data-dir".into()),
            Self::Random(_) => None,
        }
    }
}
