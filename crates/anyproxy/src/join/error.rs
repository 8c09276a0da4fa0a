//! Why a client could not join.

use std::{io, path::PathBuf};

use anyproxy_transport::BadSeed;
use thiserror::Error;

use super::token::ANOTHER;
use crate::{config::Problem, store::StoreError, values::HostPort};

/// Why a client could not join.
#[derive(Debug, Error)]
pub enum JoinError {
    /// The token is none.
    #[error(transparent)]
    Token(Problem),
    /// A file will not do.
    #[error(transparent)]
    Input(Problem),
    /// Standard input cannot be read.
    #[error("cannot read the token from standard input")]
    Stdin(#[source] io::Error),
    /// Nothing says where the key should be kept.
    #[error("there is no place for this client's key: HOME is not set")]
    NoDirectory,
    /// The directory that was named has no identity.
    #[error("this client has not joined a gateway: {} has no identity.json", .0.display())]
    NotJoined(PathBuf),
    /// What others can read is no secret.
    #[error("{} holds this client's key and others can read it (mode {mode:04o})", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not hold what it should.
    #[error("{} is damaged, or was written by a newer version", .0.display())]
    Damaged(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// The directory cannot be made.
    #[error(transparent)]
    Directory(#[from] StoreError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[from] getrandom::Error),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] BadSeed),
    /// The directory belongs to a client of another gateway or group.
    #[error("this client has joined another group or gateway, {gateway}")]
    OtherGateway {
        /// Its identity.
        file: PathBuf,
        /// The other gateway.
        gateway: HostPort,
    },
    /// The client has joined under another id.
    #[error("this client has joined as `{0}`, and its key is good for no other id")]
    OtherId(String),
    /// The settings could never work.
    #[error(transparent)]
    Dial(#[from] anyproxy_transport::DialConfigError),
    /// The gateway said no.
    #[error("the gateway did not let this client join: {0}")]
    Refused(String),
    /// Gateway and client do not understand each other.
    #[error("the gateway and this client have no version of the protocol in common: {0}")]
    Versions(String),
    /// Whoever answers is another gateway.
    #[error("what answers at {gateway} is not the gateway that made the token: {what}")]
    WrongGateway {
        /// Where the token leads.
        gateway: HostPort,
        /// What is wrong with it.
        what: String,
    },
    /// The gateway was not reached while a token lives.
    #[error("the gateway was not reached at {gateway}: {what}")]
    Unreachable {
        /// Where the token leads.
        gateway: HostPort,
        /// The last failure.
        what: String,
    },
}

impl JoinError {
    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Token(problem) | Self::Input(problem) => problem.fix(),
            Self::Directory(_) | Self::NoDirectory => {
                Some("name a directory that this user can write with --state-dir".into())
            }
            Self::NotJoined(_) => {
                Some(format!("use --join TOKEN; if there is no token, {ANOTHER}"))
            }
            Self::Open { path, .. } => Some(format!(
                "run: chmod 600 {}; if somebody else may have read it, revoke this client at the \
                 gateway and join again",
                path.display()
            )),
            Self::Damaged(path) => Some(format!(
                "restore it, or remove it (`rm {}`) and join again: {ANOTHER}",
                path.display()
            )),
            Self::Write { .. } => Some("name another directory with --state-dir".into()),
            Self::OtherGateway { file, .. } => Some(format!(
                "use --state-dir DIR for a second client on this machine; or remove {} to forget \
                 the other one",
                file.display()
            )),
            Self::OtherId(_) => {
                Some("leave --client-id out, or join again with a new token".into())
            }
            Self::Refused(_) => Some(ANOTHER.into()),
            Self::Versions(_) => Some(
                "`anyproxy --version` on both machines says which side is older: upgrade that one; the token \
                 stays good"
                    .into(),
            ),
            Self::WrongGateway { .. } => Some(format!(
                "check that the address leads to the gateway; if its CA was made anew, {ANOTHER}"
            )),
            Self::Unreachable { .. } => Some(
                "check that the gateway runs and that its --advertise is an address that this \
                 machine can reach; --gateway HOST:PORT tries another one"
                    .into(),
            ),
            Self::Stdin(_) | Self::Random(_) | Self::Key(_) | Self::Dial(_) => None,
        }
    }
}
