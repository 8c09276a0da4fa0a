//! What a user asks for: `host:port` or `[IPv6]:port`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use super::{
    address,
    name::{Name, NameError},
};

/// A host and a port, parsed but neither resolved nor checked against a policy.
///
/// Only the canonical forms of addresses are addresses. `2130706433`, `0177.0.0.1`, `0x7f.1` and
/// `127.1` are names, which the resolver may well turn into an address; the policy sees what
/// comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub(super) host: Host,
    pub(super) port: u16,
}

/// The host part of a [`Target`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// To be looked up.
    Name(Name),
    /// A literal, in its plain form.
    Address(IpAddr),
}

/// What is wrong with a target's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// There is no `:port`.
    #[error("the port is missing: write host:port")]
    PortMissing,
    /// The port is not a decimal number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// A colon outside brackets.
    #[error("an IPv6 address needs brackets: [address]:port")]
    Brackets,
    /// What is between the brackets is no IPv6 address.
    #[error("between the brackets is no IPv6 address")]
    Ipv6,
    /// A zone id names an interface of the host that dials, which a user cannot know.
    #[error("zone ids are not accepted")]
    Zone,
    /// The host is no name either.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (host, number) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inside, after) = rest.split_once(']').ok_or(TargetError::Brackets)?;
                (bracketed(inside)?, after.strip_prefix(':').ok_or(TargetError::PortMissing)?)
            }
            None => {
                let (host, number) = text.rsplit_once(':').ok_or(TargetError::PortMissing)?;
                (bare(host)?, number)
            }
        };
        Ok(Self { host, port: port(number).ok_or(TargetError::Port)? })
    }
}

fn bracketed(text: &str) -> Result<Host, TargetError> {
    if text.contains('%') {
        return Err(TargetError::Zone);
    }
    let v6: Ipv6Addr = text.parse().map_err(|_| TargetError::Ipv6)?;
    Ok(Host::Address(address::plain(v6.into())))
}

fn bare(text: &str) -> Result<Host, TargetError> {
    if text.contains([':', '[', ']']) {
        return Err(TargetError::Brackets);
    }
    if let Ok(v4) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(v4.into()));
    }
    Ok(Host::Name(Name::parse(text)?))
}

/// A port as users write it: digits only, not zero.
pub(super) fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|&port| digits && port != 0)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{}:{}", name.asked(), self.port),
            Host::Address(IpAddr::V4(v4)) => write!(f, "{v4}:{}", self.port),
            Host::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]:{}", self.port),
        }
    }
}
