//! What a client asks a gateway to forward, as flags and files write it.
//!
//! ```text
//! LISTEN=TARGET               127.0.0.1:8000=db.internal:5432
//! [ADDRESS:]PORTS:HOST:PORTS  8000:localhost:3000, as `ssh -R` takes it
//! udp:…                       either of them, for datagrams
//! ```
//!
//! A listen address without an IP is the gateway's loopback, as with `ssh -R`: a service becomes
//! public because somebody wrote `0.0.0.0`, never because somebody left it out.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

use super::{
    ForwardProtocol, HostPort,
    port_rule::{parse_ip, port_range},
};
use crate::config::Problem;

/// Where the gateway listens: one port, or a range of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenPorts {
    address: IpAddr,
    first: u16,
    last: u16,
}

impl FromStr for ListenPorts {
    type Err = Problem;

    /// Reads `ip:port`, `ip:first-last`, `port` or `first-last`, IPv6 in brackets.
    fn from_str(text: &str) -> Result<Self, Problem> {
        parse_listen(text).ok_or_else(|| Problem::NotA {
            text: text.into(),
            expected: "an address to listen on (ip:port)",
            example: "\"127.0.0.1:8000\", \"0.0.0.0:9000-9010\", or \"8000\" for loopback",
        })
    }
}

fn parse_listen(text: &str) -> Option<ListenPorts> {
    let (address, ports) = match text.rsplit_once(':') {
        Some((address, ports)) => (parse_ip(address)?, ports),
        None => (IpAddr::V4(Ipv4Addr::LOCALHOST), text),
    };
    let (first, last) = port_range(ports)?;
    Some(ListenPorts { address, first, last })
}

/// What the client dials: one port of a host, or a range of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetPorts {
    /// The host, with the first port.
    first: HostPort,
    last: u16,
}

impl FromStr for TargetPorts {
    type Err = Problem;

    /// Reads `host:port` or `host:first-last`.
    fn from_str(text: &str) -> Result<Self, Problem> {
        let range = text.rsplit_once(':').and_then(|(host, ports)| {
            let (first, last) = port_range(ports)?;
            Some((host, first, last))
        });
        match range {
            Some((host, first, last)) if last > first => {
                Ok(Self { first: format!("{host}:{first}").parse()?, last })
            }
            _ => {
                let first: HostPort = text.parse()?;
                Ok(Self { last: first.port, first })
            }
        }
    }
}

/// Ports of the gateway and, one for one, what the client dials for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMap {
    listen: ListenPorts,
    target: TargetPorts,
}

impl PortMap {
    /// Pairs them.
    ///
    /// # Errors
    ///
    /// [`Problem::Refused`] unless both have as many ports.
    pub fn new(listen: ListenPorts, target: TargetPorts) -> Result<Self, Problem> {
        let listened = u32::from(listen.last) - u32::from(listen.first) + 1;
        let dialled = u32::from(target.last) - u32::from(target.first.port) + 1;
        if listened == dialled {
            return Ok(Self { listen, target });
        }
        Err(Problem::Refused {
            what: format!(
                "the gateway would listen on {listened} ports for {dialled} of the target"
            ),
            fix: "give both as many ports, since each leads to one: \"0.0.0.0:9000-9010\" and \
                  \"10.0.0.5:9000-9010\""
                .into(),
        })
    }

    /// Whether there is more than one pair.
    #[must_use]
    pub fn is_range(&self) -> bool {
        self.listen.first < self.listen.last
    }

    /// How many pairs there are.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::from(self.listen.last - self.listen.first) + 1
    }

    /// Each port of the gateway with its target.
    pub fn pairs(&self) -> impl Iterator<Item = (SocketAddr, HostPort)> {
        let targets = self.target.first.port..=self.target.last;
        (self.listen.first..=self.listen.last).zip(targets).map(|(port, target)| {
            let host = self.target.first.host.clone();
            (SocketAddr::new(self.listen.address, port), HostPort { host, port: target })
        })
    }
}

/// One forward on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardFlag {
    /// What it carries.
    pub protocol: ForwardProtocol,
    /// Where the gateway listens, and what the client dials.
    pub ports: PortMap,
}

impl FromStr for ForwardFlag {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let (protocol, rest) = match text.split_once(':') {
            Some(("udp", rest)) => (ForwardProtocol::Udp, rest),
            Some(("tcp", rest)) => (ForwardProtocol::Tcp, rest),
            Some((word, rest)) if is_protocol_of(word, rest) => return Err(no_protocol(word)),
            _ => (ForwardProtocol::Tcp, text),
        };
        let (at, target) =
            rest.split_once('=').or_else(|| split_at_target(rest)).ok_or_else(|| {
                Problem::NotA {
                    text: text.into(),
                    expected: "a forward ([udp:][IP:]PORT:HOST:PORT, or LISTEN=TARGET)",
                    example: "\"8000:127.0.0.1:9000\" or \"udp:0.0.0.0:5353:10.0.0.1:53\"",
                }
            })?;
        Ok(Self { protocol, ports: PortMap::new(at.parse()?, target.parse()?)? })
    }
}

/// Whether `word` stands where a protocol does: there are a port and a target behind it.
fn is_protocol_of(word: &str, rest: &str) -> bool {
    let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic());
    let (listen, _) = rest.split_once('=').or_else(|| split_at_target(rest)).unwrap_or_default();
    is_word && word != "localhost" && parse_listen(listen).is_some()
}

fn no_protocol(word: &str) -> Problem {
    Problem::Refused {
        what: format!("`{word}` is neither a protocol nor an IP address of the gateway"),
        fix: "the protocols are `tcp` and `udp`, as in \"udp:0.0.0.0:5353:10.0.0.1:53\"".into(),
    }
}

/// Splits `listen:host:ports` before the host, which may be an IPv6 address in brackets.
fn split_at_target(text: &str) -> Option<(&str, &str)> {
    let (before, _ports) = text.rsplit_once(':')?;
    let host = if before.ends_with(']') { before.rfind('[')? } else { before.rfind(':')? + 1 };
    let listen = text.get(..host)?.strip_suffix(':')?;
    Some((listen, text.get(host..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<String> {
        let flag: ForwardFlag = text.parse().unwrap();
        let protocol = flag.protocol;
        let pair = |(at, target)| format!("{protocol:?} {at} {target}");
        flag.ports.pairs().map(pair).collect()
    }

    #[test]
    fn a_forward_on_the_command_line() {
        for (text, expected) in [
            ("[::1]:8000=db.internal:5432", "Tcp [::1]:8000 db.internal:5432"),
            ("8000=a:1", "Tcp 127.0.0.1:8000 a:1"),
            ("8000:localhost:3000", "Tcp 127.0.0.1:8000 localhost:3000"),
            ("0.0.0.0:8000:localhost:3000", "Tcp 0.0.0.0:8000 localhost:3000"),
            ("[::]:8000:[2001:db8::1]:3000", "Tcp [::]:8000 [2001:db8::1]:3000"),
            ("udp:5353:10.0.0.1:53", "Udp 127.0.0.1:5353 10.0.0.1:53"),
            ("udp:0.0.0.0:53=dns.corp:53", "Udp 0.0.0.0:53 dns.corp:53"),
            ("tcp:0:db:5432", "Tcp 127.0.0.1:0 db:5432"),
        ] {
            assert_eq!(pairs(text), [expected], "{text}");
        }
    }

    #[test]
    fn a_range_is_paired_port_by_port() {
        let expected = ["Tcp 0.0.0.0:9000 h:7000", "Tcp 0.0.0.0:9001 h:7001"];
        assert_eq!(pairs("0.0.0.0:9000-9001:h:7000-7001"), expected);
        assert_eq!(pairs("0.0.0.0:9000-9001=h:7000-7001"), expected);
        assert_eq!(pairs("1-65535:h:1-65535").len(), 65_535);
    }

    #[test]
    fn malformed_forwards_are_refused() {
        for text in [
            "",
            "8000",
            "8000:3000",
            "127.0.0.1:8000",
            "127.0.0.1:8000=",
            "=a:1",
            ":8000:a:1",
            "localhost:8000:a:1",
            "sctp:8000:a:1",
            "8000:-1:3",
            "8000:a:0",
            "8000:a:0-1",
            "9001-9000:a:9001-9000",
            "::1:8000:a:1",
        ] {
            assert!(text.parse::<ForwardFlag>().is_err(), "{text}");
        }
    }

    #[test]
    fn another_protocol_is_refused_with_those_that_there_are() {
        for text in ["UDP:8000:a:1", "sctp:8000:a:1", "sctp:0.0.0.0:1=a:1"] {
            let error = text.parse::<ForwardFlag>().unwrap_err();
            assert!(error.to_string().contains("neither a protocol"), "{text}: {error}");
            assert!(error.fix().unwrap().contains("`tcp` and `udp`"), "{text}");
        }
        let error = "localhost:8000:a:1".parse::<ForwardFlag>().unwrap_err();
        assert!(error.to_string().contains("an address to listen on"), "{error}");
    }

    #[test]
    fn ranges_of_other_lengths_are_refused_with_the_reason() {
        for text in ["9000-9010:a:9000", "9000:a:9000-9010", "9000-9001:a:9000-9002"] {
            let error = text.parse::<ForwardFlag>().unwrap_err();
            assert!(matches!(error, Problem::Refused { .. }), "{text}: {error}");
            assert!(error.fix().unwrap().contains("as many ports"), "{text}");
        }
    }
}
