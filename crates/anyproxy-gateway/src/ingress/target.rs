//! The text of a target: `host:port`, an IPv6 literal in brackets.
//!
//! The host goes to the client as the user gave it; the client resolves and judges it. Here only
//! the shape is checked, and it is checked by hand: the port of a lenient parser would fall back to
//! a default when it is out of range.

use std::{fmt, net::Ipv6Addr};

use anyproxy_wire::message::Open;

/// Why a text is not a target. Its display finishes the sentence "the target …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// Nothing before the port.
    #[error("has no host")]
    NoHost,
    /// No port, and none can be guessed.
    #[error("has no port; write host:port")]
    NoPort,
    /// The port is not a number from 1 to 65535.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// Brackets that do not hold an IPv6 address, or an IPv6 address without them.
    #[error("has a malformed IPv6 address; write [address]:port")]
    Ipv6,
    /// A character that no host name has.
    #[error("has characters that a host name cannot have")]
    Character,
    /// Longer than an Open can carry.
    #[error("is too long")]
    TooLong,
}

/// Where a user wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetAddr {
    text: String,
}

impl TargetAddr {
    /// Reads `host[:port]`, with `default_port` where there is none.
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Self, BadTarget> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']').ok_or(BadTarget::Ipv6)?;
                let port = match rest.strip_prefix(':') {
                    None if rest.is_empty() => None,
                    None => return Err(BadTarget::Ipv6),
                    Some(port) => Some(port),
                };
                let address: Ipv6Addr = address.parse().map_err(|_| BadTarget::Ipv6)?;
                (format!("[{address}]"), port)
            }
            None => match text.split_once(':') {
                None => (bare(text)?.to_owned(), None),
                Some((_, port)) if port.contains(':') => return Err(BadTarget::Ipv6),
                Some((host, port)) => (bare(host)?.to_owned(), Some(port)),
            },
        };
        // `http://host:/` is legal: an empty port is none (RFC 3986 section 3.2.3).
        let port = match port {
            None | Some("") => default_port.ok_or(BadTarget::NoPort)?,
            Some(digits) => parse_port(digits)?,
        };
        Self::from_parts(&host, port)
    }

    /// From a bare host, which may be an IPv6 literal without brackets, and a port.
    pub fn new(host: &str, port: u16) -> Result<Self, BadTarget> {
        if port == 0 {
            return Err(BadTarget::Port);
        }
        match host.parse::<Ipv6Addr>() {
            Ok(address) => Self::from_parts(&format!("[{address}]"), port),
            Err(_) if host.contains(':') => Err(BadTarget::Ipv6),
            Err(_) => Self::from_parts(bare(host)?, port),
        }
    }

    fn from_parts(host: &str, port: u16) -> Result<Self, BadTarget> {
        if host.is_empty() {
            return Err(BadTarget::NoHost);
        }
        if host.contains(|c: char| c.is_whitespace() || c.is_control() || "/?#@\\".contains(c)) {
            return Err(BadTarget::Character);
        }
        let text = format!("{host}:{port}");
        if text.len() > Open::MAX_TARGET {
            return Err(BadTarget::TooLong);
        }
        Ok(Self { text })
    }

    /// `host:port`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for TargetAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A host without brackets: only an IPv6 address has them.
fn bare(host: &str) -> Result<&str, BadTarget> {
    if host.contains(['[', ']']) { Err(BadTarget::Ipv6) } else { Ok(host) }
}

fn parse_port(digits: &str) -> Result<u16, BadTarget> {
    // `u16::from_str` also takes a plus sign.
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BadTarget::Port);
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(BadTarget::Port),
        Ok(port) => Ok(port),
    }
}

#[cfg(test)]
mod tests;
