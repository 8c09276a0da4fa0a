//! Which gateway ports a group's clients may ask for.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::config::Problem;

/// Ports of the gateway that the clients of a group may ask for.
///
/// Written `8000`, `9000-9010`, `0.0.0.0:7000`, `[::1]:7000-7010`, or `0` for a port that the
/// system chooses. Without an address the rule covers every address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardRule {
    /// The only address that the rule covers; `None`: every address.
    pub address: Option<IpAddr>,
    /// The first port that the rule covers; 0 stands for "the system chooses" and is alone.
    pub first: u16,
    /// The last port that the rule covers, not below `first`.
    pub last: u16,
}

impl fmt::Display for ForwardRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V4(ip)) => write!(f, "{ip}:")?,
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:")?,
            None => {}
        }
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl FromStr for ForwardRule {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        parse_rule(text).ok_or_else(|| Problem::NotA {
            text: text.into(),
            expected: "a port, a range of ports, or an address with either",
            example: "\"8000\", \"9000-9010\" or \"127.0.0.1:7000\"",
        })
    }
}

fn parse_rule(text: &str) -> Option<ForwardRule> {
    let (address, ports) = match text.rsplit_once(':') {
        Some((address, ports)) => (Some(parse_ip(address)?), ports),
        None => (None, text),
    };
    let (first, last) = port_range(ports)?;
    Some(ForwardRule { address, first, last })
}

/// Reads `8000` or `9000-9010`. Port 0 stands alone.
pub(super) fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
        None => {
            let port = text.parse().ok()?;
            (port, port)
        }
    };
    let ascending = first <= last && (first != 0 || last == 0);
    ascending.then_some((first, last))
}

/// Reads an IPv4 address, or an IPv6 address in brackets.
pub(super) fn parse_ip(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => text.parse().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_written() {
        for (rule, address, first, last) in [
            ("8000", None, 8000, 8000),
            ("9000-9010", None, 9000, 9010),
            ("127.0.0.1:7000", Some("127.0.0.1"), 7000, 7000),
            ("[::1]:7000-7001", Some("::1"), 7000, 7001),
            ("0", None, 0, 0),
            ("1-65535", None, 1, 65535),
        ] {
            let parsed: ForwardRule = rule.parse().unwrap();
            let address = address.map(|ip| ip.parse().unwrap());
            assert_eq!(parsed, ForwardRule { address, first, last });
            assert_eq!(parsed.to_string(), rule);
        }
    }

    #[test]
    fn malformed_rules_are_refused() {
        for text in
            ["", "http", "9010-9000", "0-10", "65536", "-1", "1-", "::1:7000", "localhost:7000"]
        {
            assert!(text.parse::<ForwardRule>().is_err(), "{text}");
        }
    }
}
