//! One entry of an allow or deny list.
//!
//! ```text
//! rule    = subject [":" ports]
//! subject = "*" | name | "*." name | IPv4 ["/" length] | "[" IPv6 "]" ["/" length]
//! ports   = "*" | port | port "-" port
//! ```
//!
//! An IPv6 subject without brackets is taken where it cannot be misread. A rule that would match
//! something other than it seems to (`10.0.0.1/8`, `127.1`, `::1:443`) is refused with the
//! spelling that was probably meant: a silent mistake in a deny list is a hole.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::IpNet;

use super::{
    address,
    name::{Name, NameError},
    target::port,
};

/// A subject and the ports it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) subject: Subject,
    ports: Ports,
}

/// What a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// `*`
    Everything,
    /// `localhost`: that name, and the loopback addresses however they were asked for.
    Localhost,
    /// Exactly this name.
    Name(Name),
    /// Every name below this one, at any depth, but not itself.
    Below(Name),
    /// Addresses; a single one has the longest prefix.
    Net(IpNet),
}

/// An inclusive range of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ports {
    first: u16,
    last: u16,
}

const EVERY_PORT: Ports = Ports { first: 1, last: u16::MAX };

/// What is wrong with an entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The entry is empty.
    #[error("it is empty")]
    Empty,
    /// The part after the colon is neither `*`, a port nor a range.
    #[error("the ports are not `*`, a number from 1 to 65535, or a range such as 8000-9000")]
    Ports,
    /// A range that ends before it starts.
    #[error("the range of ports ends before it starts")]
    Backwards,
    /// `*` inside a name.
    #[error("`*` stands alone or as the whole first part, as in *.example.com")]
    Star,
    /// Reads like an address in an unusual base; targets of that kind are matched by the address
    /// they turn out to be.
    #[error("it looks like a number but is no address: write addresses as 127.0.0.1")]
    Number,
    /// Neither an IPv6 address nor host:port.
    #[error("it is no IPv6 address, and no name has a colon")]
    Ipv6,
    /// A bracketed or slashed subject that is no address.
    #[error("{0:?} is no address")]
    Address(String),
    /// `2001:db8::1:443` is one address, and might be meant as address and port.
    #[error("it can be read in two ways: write [{address}] or [{host}]:{port}")]
    Ambiguous {
        /// Read as one address.
        address: String,
        /// Read as address and port: the address.
        host: String,
        /// Read as address and port: the port.
        port: u16,
    },
    /// A prefix length over 32 or 128, or no number.
    #[error("the prefix length is not a number from 0 to {0}")]
    Length(u8),
    /// Bits are set after the prefix.
    #[error("it has bits after its prefix: did you mean {0}?")]
    HostBits(String),
    /// IPv4 written as IPv6; addresses of that form are matched as IPv4.
    #[error("it is IPv4 in the form of IPv6: write it as IPv4, which covers both")]
    Ipv4AsIpv6,
    /// Not a name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Rule {
    /// Whether the rule's ports have `port`.
    pub(super) fn has_port(&self, port: u16) -> bool {
        (self.ports.first..=self.ports.last).contains(&port)
    }

    /// Whether the subject is this name.
    pub(super) fn has_name(&self, name: &Name) -> bool {
        match &self.subject {
            Subject::Everything => true,
            Subject::Localhost => name.compared() == "localhost",
            Subject::Name(mine) => mine.compared() == name.compared(),
            Subject::Below(mine) => {
                let above = name.compared().strip_suffix(mine.compared());
                above.is_some_and(|above| above.len() > 1 && above.ends_with('.'))
            }
            Subject::Net(_) => false,
        }
    }

    /// Whether the subject holds this address.
    pub(super) fn has_address(&self, ip: IpAddr) -> bool {
        match &self.subject {
            Subject::Everything => true,
            Subject::Localhost => ip.is_loopback(),
            Subject::Name(_) | Subject::Below(_) => false,
            Subject::Net(net) => net.contains(&ip),
        }
    }

    /// Whether some address could match.
    pub(super) fn is_about_addresses(&self) -> bool {
        !matches!(self.subject, Subject::Name(_) | Subject::Below(_))
    }

    /// Whether the rule names exactly `net` or a part of it, rather than something wider.
    pub(super) fn is_within(&self, net: &IpNet) -> bool {
        matches!(&self.subject, Subject::Net(mine) if net.contains(mine))
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        if text.is_empty() {
            return Err(RuleError::Empty);
        }
        let (subject, ports) = match text.strip_prefix('[') {
            Some(rest) => bracketed(rest)?,
            None => match text.split_once('/') {
                Some((ip, rest)) => network(parse_ip(ip)?, rest)?,
                None if text.matches(':').count() > 1 => (bare_ipv6(text)?, None),
                None => {
                    let (host, ports) = match text.split_once(':') {
                        Some((host, ports)) => (host, Some(ports)),
                        None => (text, None),
                    };
                    (host_subject(host)?, ports)
                }
            },
        };
        Ok(Self { subject, ports: ports.map_or(Ok(EVERY_PORT), str::parse)? })
    }
}

/// A subject, and the text of the ports.
type Parsed<'a> = Result<(Subject, Option<&'a str>), RuleError>;

/// What follows `[`.
fn bracketed(rest: &str) -> Parsed<'_> {
    let (inside, after) = rest.split_once(']').ok_or(RuleError::Ipv6)?;
    let v6: Ipv6Addr = inside.parse().map_err(|_| RuleError::Address(inside.to_owned()))?;
    match after.strip_prefix('/') {
        Some(rest) => network(v6.into(), rest),
        None if after.is_empty() => Ok((net(v6.into(), 128)?, None)),
        None => Ok((net(v6.into(), 128)?, Some(after.strip_prefix(':').ok_or(RuleError::Ports)?))),
    }
}

/// What follows the slash: `length` or `length:ports`.
fn network(ip: IpAddr, rest: &str) -> Parsed<'_> {
    let (length, ports) = match rest.split_once(':') {
        Some((length, ports)) => (length, Some(ports)),
        None => (rest, None),
    };
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    let digits = length.bytes().all(|b| b.is_ascii_digit());
    let length: Option<u8> = length.parse().ok().filter(|&n| digits && n <= longest);
    Ok((net(ip, length.ok_or(RuleError::Length(longest))?)?, ports))
}

fn net(ip: IpAddr, prefix: u8) -> Result<Subject, RuleError> {
    let net = IpNet::new(ip, prefix).map_err(|_| RuleError::Length(prefix))?;
    if matches!(ip, IpAddr::V6(v6) if address::spells_ipv4(v6, prefix)) {
        return Err(RuleError::Ipv4AsIpv6);
    }
    if net.trunc() != net {
        return Err(RuleError::HostBits(subject_text(&net.trunc())));
    }
    Ok(Subject::Net(net))
}

fn parse_ip(text: &str) -> Result<IpAddr, RuleError> {
    text.parse().map_err(|_| RuleError::Address(text.to_owned()))
}

/// An IPv6 address without brackets, unless its last group could be a port.
fn bare_ipv6(text: &str) -> Result<Subject, RuleError> {
    let address: Ipv6Addr = text.parse().map_err(|_| RuleError::Ipv6)?;
    let split = text
        .rsplit_once(':')
        .and_then(|(host, number)| Some((host.parse::<Ipv6Addr>().ok()?, port(number)?)));
    match split {
        Some((host, port)) => {
            Err(RuleError::Ambiguous { address: address.to_string(), host: host.to_string(), port })
        }
        None => net(address.into(), 128),
    }
}

/// A subject without colons.
fn host_subject(text: &str) -> Result<Subject, RuleError> {
    if text == "*" {
        return Ok(Subject::Everything);
    }
    if let Ok(v4) = text.parse::<Ipv4Addr>() {
        return net(v4.into(), 32);
    }
    let (bare, below) = match text.strip_prefix("*.") {
        Some(bare) => (bare, true),
        None => (text, false),
    };
    if bare.contains('*') {
        return Err(RuleError::Star);
    }
    let name = Name::parse(bare)?.into_compared();
    if name.ends_in_number() {
        return Err(RuleError::Number);
    }
    Ok(match below {
        true => Subject::Below(name),
        false if name.compared() == "localhost" => Subject::Localhost,
        false => Subject::Name(name),
    })
}

impl FromStr for Ports {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        if text == "*" {
            return Ok(EVERY_PORT);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let first = port(first).ok_or(RuleError::Ports)?;
        let last = port(last).ok_or(RuleError::Ports)?;
        if first > last {
            return Err(RuleError::Backwards);
        }
        Ok(Self { first, last })
    }
}

/// An address or network as rules write it.
fn subject_text(net: &IpNet) -> String {
    let ip = match net.addr() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    if net.prefix_len() == net.max_prefix_len() { ip } else { format!("{ip}/{}", net.prefix_len()) }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::Everything => f.write_str("*")?,
            Subject::Localhost => f.write_str("localhost")?,
            Subject::Name(name) => f.write_str(name.compared())?,
            Subject::Below(name) => write!(f, "*.{}", name.compared())?,
            Subject::Net(net) => f.write_str(&subject_text(net))?,
        }
        match self.ports {
            EVERY_PORT => Ok(()),
            Ports { first, last } if first == last => write!(f, ":{first}"),
            Ports { first, last } => write!(f, ":{first}-{last}"),
        }
    }
}
