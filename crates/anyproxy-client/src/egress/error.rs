//! Why a target could not be reached, in words for the user and as a code for the wire.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use anyproxy_transport::net::{MORE_FILES, is_out_of_files};
use anyproxy_wire::codes::OpenCode;

use super::{policy::Denial, target::TargetError};

/// Why dialling failed. Its text is the detail that the user is shown.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The target's text makes no sense.
    #[error("bad target: {0}")]
    BadTarget(#[from] TargetError),
    /// Denied by the name asked for, before any look-up.
    #[error("denied by policy: {host}: {denial}")]
    NameDenied {
        /// The name asked for.
        host: String,
        /// What denies it.
        denial: Denial,
    },
    /// Every address is denied.
    #[error("denied by policy: {address}: {denial}")]
    AddressDenied {
        /// The first of them.
        address: IpAddr,
        /// What denies it.
        denial: Denial,
    },
    /// The name does not exist, or has no address.
    #[error("the name {0} was not found")]
    NameNotFound(String),
    /// The resolver gave no answer.
    #[error("the look-up of {host} failed: {error}{}", fix(.error))]
    LookupFailed {
        /// The name asked for.
        host: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// The deadline came before the resolver's answer.
    #[error("the look-up of {0} took too long")]
    LookupTimedOut(String),
    /// No address could be connected to.
    #[error("{address}: {error}{}{}", others(*.tried), fix(.error))]
    Connect {
        /// The address that failed in the most telling way.
        address: SocketAddr,
        /// How it failed.
        error: io::Error,
        /// How many addresses were tried.
        tried: usize,
    },
}

fn others(tried: usize) -> String {
    match tried {
        0 | 1 => String::new(),
        _ => format!(" ({tried} addresses tried)"),
    }
}

/// What whoever runs the client can do, where that is known.
fn fix(error: &io::Error) -> String {
    if is_out_of_files(error) {
        format!("; where the client runs, {MORE_FILES}")
    } else {
        String::new()
    }
}

impl DialError {
    /// Whether it is this client that has no descriptor left, so that it says nothing about the target.
    #[must_use]
    pub fn is_out_of_files(&self) -> bool {
        match self {
            Self::LookupFailed { error, .. } | Self::Connect { error, .. } => {
                is_out_of_files(error)
            }
            Self::BadTarget(_)
            | Self::NameDenied { .. }
            | Self::AddressDenied { .. }
            | Self::NameNotFound(_)
            | Self::LookupTimedOut(_) => false,
        }
    }

    /// The code for the open reply.
    #[must_use]
    pub fn code(&self) -> OpenCode {
        match self {
            // It passes, and another client of the group may have some: the gateway asks that one.
            error if error.is_out_of_files() => OpenCode::Overloaded,
            Self::BadTarget(_) => OpenCode::BadTarget,
            Self::NameDenied { .. } | Self::AddressDenied { .. } => OpenCode::Denied,
            Self::NameNotFound(_) => OpenCode::NameNotFound,
            Self::LookupFailed { .. } => OpenCode::LookupFailed,
            Self::LookupTimedOut(_) => OpenCode::TimedOut,
            Self::Connect { error, .. } => connect_code(error.kind()),
        }
    }
}

/// The code for an error of `connect`. What is not about the target or the way to it (address family
/// not supported, say) is this client's own trouble.
fn connect_code(kind: io::ErrorKind) -> OpenCode {
    use io::ErrorKind as Kind;
    #[allow(clippy::wildcard_enum_match_arm, reason = "the kinds of error are an open set")]
    match kind {
        Kind::ConnectionRefused => OpenCode::Refused,
        Kind::ConnectionReset | Kind::ConnectionAborted => OpenCode::Reset,
        Kind::HostUnreachable => OpenCode::HostUnreachable,
        Kind::NetworkUnreachable | Kind::NetworkDown => OpenCode::NetworkUnreachable,
        Kind::TimedOut => OpenCode::TimedOut,
        _ => OpenCode::Internal,
    }
}

/// How much an error says about the target: of several addresses, the highest is reported.
///
/// A host that refuses is there. "Network unreachable" ranks below a time-out: on a host without
/// IPv6 it is what every IPv6 address fails with, and says nothing about the target.
pub(super) fn telling(error: &io::Error) -> u8 {
    #[allow(clippy::wildcard_enum_match_arm, reason = "all other codes are equally unclear")]
    match connect_code(error.kind()) {
        OpenCode::Refused => 5,
        OpenCode::Reset => 4,
        OpenCode::HostUnreachable => 3,
        OpenCode::TimedOut => 2,
        OpenCode::NetworkUnreachable => 1,
        _ => 0,
    }
}
