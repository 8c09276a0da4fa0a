//! Why a service could not be managed.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{config::ConfigError, join::JoinError, store::StoreError};

/// Why a service could not be managed.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The configuration of the service would not start.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The identity that is to be taken over will not do.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// What a gateway without a file keeps cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A flag is about the other side.
    #[error("{0} is for the other side")]
    OtherSide(&'static str),
    /// A flag says what the configuration says.
    #[error("{flag} is for a service without a configuration, and there is {}", config.display())]
    HasFile {
        /// The flag.
        flag: &'static str,
        /// The configuration.
        config: PathBuf,
    },
    /// What is to be taken over would replace another one.
    #[error("{} has one already", .0.display())]
    Already(PathBuf),
    /// A file that is to be moved has another one in its way.
    #[error("{} is there already, and is another one", .0.display())]
    Occupied(PathBuf),
    /// What is to be moved is a link, a pipe or a directory.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The gateway that is to be taken over runs.
    #[error("a gateway runs from {}", .0.display())]
    Runs(PathBuf),
    /// There is no gateway to take over.
    #[error("{} is no data directory of a gateway without a file", .0.display())]
    NoGateway(PathBuf),
    /// A text cannot stand in a unit.
    #[error("`{0}` cannot stand in a unit")]
    Text(String),
    /// Nothing of it is installed.
    #[error("there is no such service")]
    NotInstalled(&'static str),
    /// systemd is not the init system.
    #[error("systemd does not run here")]
    NoSystemd,
    /// There is no home directory for a user's units.
    #[error("neither XDG_CONFIG_HOME nor HOME is set")]
    NoHome,
    /// The path of this program cannot stand in a unit.
    #[error("a service cannot run {}", .0.display())]
    Program(PathBuf),
    /// The client's configuration names a file that systemd cannot hand over under that name.
    #[error("{}: `{key}` names a file in another directory", config.display())]
    Elsewhere {
        /// The configuration.
        config: PathBuf,
        /// The key.
        key: &'static str,
    },
    /// A file cannot be written or removed.
    #[error("cannot change {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// A command of systemd failed.
    #[error("`{line}` failed: {why}")]
    Command {
        /// The command.
        line: String,
        /// How it ended.
        why: String,
    },
    /// Standard output failed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl ServiceError {
    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        Some(match self {
            Self::Config(error) => return error.fix(),
            Self::NoSystemd => "let your init system run `anyproxy gateway --config FILE` or `anyproxy \
                client --config FILE`: it stays in the foreground, logs to standard error, and ends at SIGTERM. \
                --root DIR writes the units for another system"
                .into(),
            Self::Join(JoinError::NotJoined(directory)) => format!(
                "name the directory in which the client that joined keeps its identity.json, for a user \
                 ~/.local/state/anyproxy/client, instead of {}",
                directory.display()
            ),
            Self::Join(error) => return error.fix(),
            Self::Store(error) => return error.fix(),
            Self::OtherSide(_) => "--advertise, --listen and --data-dir are for a gateway, --state-dir and --forward for a \
                client"
                .into(),
            Self::HasFile { config, .. } => {
                format!("write it into {}; or move that away to run without it", config.display())
            }
            Self::Already(directory) => format!(
                "leave the flag out to run what is there; or move {} away to take the other one over",
                directory.display()
            ),
            Self::Occupied(path) => format!("move {} away, and run this again", path.display()),
            Self::NotAFile(_) => {
                "put the file itself there: links are not followed, since they may lead to a file of somebody else's"
                    .into()
            }
            Self::Runs(_) => "stop it (Ctrl-C, or SIGTERM), and run this again: what it writes after the move \
                would be lost"
                .into(),
            Self::NoGateway(_) => {
                "name the directory that has its groups.db; or leave the flag out, and the service makes its own"
                    .into()
            }
            Self::Text(_) => "use a path or an address of letters, digits and -_.:/+,=[]".into(),
            Self::NotInstalled(side) => format!("anyproxy service install {side}"),
            Self::NoHome => "set HOME".into(),
            Self::Program(_) => "copy it to /usr/local/bin, and run that one: the path must have no spaces, and units \
                do not see home directories"
                .into(),
            Self::Elsewhere { config, .. } => format!(
                "put the file beside {} and give its name alone: systemd hands files over by their names",
                config.display()
            ),
            Self::File { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                "run it as root, or use --user".into()
            }
            Self::Command { .. } => "see `journalctl -u anyproxy-gateway -u anyproxy-client`".into(),
            Self::File { .. } | Self::Output(_) => return None,
        })
    }
}
