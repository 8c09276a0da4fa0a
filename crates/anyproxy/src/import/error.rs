//! Why a foreign configuration could not be imported.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{config::Problem, password::PasswordError};

/// Why a foreign configuration could not be imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(Problem),
    /// The file is not well-formed.
    #[error("{}: {why}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, without any of its values.
        why: String,
    },
    /// The file is a template.
    #[error("{} has template expressions ({{{{ … }}}})", .0.display())]
    Template(PathBuf),
    /// Nothing tells whose file it is.
    #[error("{}: neither its tables nor its keys tell which program it is for", .0.display())]
    Unknown(PathBuf),
    /// Two files are about the same side.
    #[error("two of the files configure the same side of {0}")]
    Twice(&'static str),
    /// There is neither a gateway nor a client in it.
    #[error("nothing in it configures a gateway or a client")]
    Nothing,
    /// A file is there that would be overwritten.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// No secret can be made or hashed.
    #[error(transparent)]
    Secret(#[from] PasswordError),
    /// Standard output failed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl ImportError {
    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Read(problem) => problem.fix(),
            Self::Template(_) => Some("put the values in first, and import the result".into()),
            Self::Unknown(_) => Some("add --from anyproxy, --from frp or --from rathole".into()),
            Self::Twice(_) => {
                Some("import them one after the other, each with its own --out".into())
            }
            Self::Exists(_) => Some("name an empty directory with --out".into()),
            Self::Syntax { why, .. } if why.contains("more than one document") => {
                Some("make a file of each document, and import them together".into())
            }
            Self::Syntax { .. } => {
                let fix = "correct it there; its name says what it is read as (.toml, .yaml, .json, .ini)";
                Some(fix.into())
            }
            Self::Nothing | Self::Write { .. } | Self::Secret(_) | Self::Output(_) => None,
        }
    }
}
