//! Why certificates or secrets could not be made.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why certificates or secrets could not be made.
#[derive(Debug, Error)]
pub enum CertsError {
    /// A file or the directory could not be made.
    #[error("cannot write {}", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// A file that is there could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// A file that is there does not hold what it should.
    #[error("{} is unusable: {what}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Of two files that belong together, only one is there.
    #[error("{} is there, but {} is missing", present.display(), missing.display())]
    Half {
        /// The one that is there.
        present: PathBuf,
        /// The one that is not.
        missing: PathBuf,
    },
    /// There is nothing to show.
    #[error("there are no certificates in {}", list(.0))]
    Nothing(Vec<PathBuf>),
    /// What was asked for is no name that a certificate can carry.
    #[error("`{0}` is neither a DNS name nor an IP address")]
    Name(String),
    /// The certificate library failed.
    #[error("cannot make a certificate")]
    Generate(#[from] rcgen::Error),
    /// The system has no randomness.
    #[error("the system gives no random bytes")]
    Random(#[from] getrandom::Error),
    /// Standard output failed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl CertsError {
    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Write { path, .. } => {
                Some(format!("make {} writable, or choose another --dir", path.display()))
            }
            Self::Read { path, .. } => Some(format!("run as the owner of {}", path.display())),
            Self::Unusable { path, .. } => Some(format!(
                "restore {0} from a backup; or move {0} away, and this command makes a new one \
                 (for ca.crt or ca.key move both; clients then need the new pin)",
                path.display()
            )),
            Self::Half { present, missing } => Some(format!(
                "put {} back; or move {} away too, and this command makes new ones (clients then \
                 need the new pin)",
                missing.display(),
                present.display()
            )),
            Self::Nothing(_) => Some(
                "name their directory with --dir; or start a gateway without a file, which makes its own"
                    .into(),
            ),
            Self::Name(_) => Some("write --name gw.example.com or --name 192.0.2.1".into()),
            Self::Generate(_) | Self::Random(_) | Self::Output(_) => None,
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
