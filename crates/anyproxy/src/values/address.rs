//! Addresses: what a gateway listens on, and what a client dials.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use rustls_pki_types::ServerName;

use crate::config::Problem;

/// The port of a gateway that is named without one.
const GATEWAY_PORT: u16 = 443;

/// Reads an address to listen on: `ip:port`, IPv6 in brackets. Port 0 lets the system choose.
///
/// Names are refused: `localhost` is two addresses, and which one a service listens on must not
/// depend on a resolver.
///
/// # Errors
///
/// [`Problem::NotA`] for anything else.
pub fn listen(text: &str) -> Result<SocketAddr, Problem> {
    text.parse().map_err(|_| Problem::NotA {
        text: text.into(),
        expected: "an address to listen on (ip:port)",
        example: "\"127.0.0.1:8080\", or \"[::]:8080\" for every interface",
    })
}

/// The addresses of one entry point; none means that it is switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners(pub Vec<SocketAddr>);

impl FromStr for Listeners {
    type Err = Problem;

    /// Reads `off`, or addresses separated by commas.
    fn from_str(text: &str) -> Result<Self, Problem> {
        if text == "off" {
            return Ok(Self(Vec::new()));
        }
        text.split(',').map(|entry| listen(entry.trim())).collect::<Result<_, _>>().map(Self)
    }
}

/// A host and a port to dial. The host is a DNS name or an IP address, without brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A DNS name or an IP address, as it was written, without brackets.
    pub host: String,
    /// The port, never 0.
    pub port: u16,
}

impl fmt::Display for HostPort {
    /// Writes `host:port`, an IPv6 address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for HostPort {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        split_host_port(text).ok_or_else(|| Problem::NotA {
            text: text.into(),
            expected: "a host and a port (host:port)",
            example: "\"gw.example.com:8443\", \"192.0.2.1:8443\" or \"[2001:db8::1]:8443\"",
        })
    }
}

/// Reads the address at which clients reach a gateway.
///
/// # Errors
///
/// [`Problem::NotA`] for what is no address, [`Problem::Refused`] for one that is every address: a gateway can
/// listen there, and nobody can dial it.
pub fn advertised(text: &str) -> Result<HostPort, Problem> {
    let mut address: HostPort = text.parse()?;
    // The root of a name is not part of it in a certificate (RFC 5280, section 4.2.1.6; RFC 1034, 3.5).
    if let Some(host) = address.host.strip_suffix('.').filter(|host| !host.is_empty()) {
        address.host = host.to_owned();
    }
    let ip = address.host.parse::<IpAddr>();
    if ip.is_ok_and(|ip| ip.to_canonical().is_unspecified()) {
        return Err(Problem::Refused {
            what: format!(
                "{} is where a gateway listens, and no client can connect to it",
                address.host
            ),
            fix: "give the name or address that clients connect to; `listen` says where to listen"
                .into(),
        });
    }
    Ok(address)
}

/// Reads the gateway to dial. Without a port it is 443, the one that firewalls let through.
///
/// # Errors
///
/// [`Problem::NotA`] for anything else.
pub fn gateway(text: &str) -> Result<HostPort, Problem> {
    split_host(text, GATEWAY_PORT).ok_or_else(|| Problem::NotA {
        text: text.into(),
        expected: "a host, or a host and a port (host:port)",
        example: "\"gw.example.com\" for port 443, \"gw.example.com:8443\" or \"[2001:db8::1]:8443\"",
    })
}

/// Reads a host with or without a port; an IPv6 address needs its brackets.
pub(super) fn split_host(text: &str, default: u16) -> Option<HostPort> {
    let bracketed = text.starts_with('[') && text.ends_with(']');
    if bracketed || !text.contains(':') {
        return split_host_port(&format!("{text}:{default}"));
    }
    split_host_port(text)
}

fn split_host_port(text: &str) -> Option<HostPort> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port| port != 0)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => {
            let inner = rest.strip_suffix(']')?;
            inner.parse::<Ipv6Addr>().ok()?;
            inner
        }
        None if is_host(host) => host,
        None => return None,
    };
    Some(HostPort { host: host.into(), port })
}

/// An IPv4 address or a name of letters, digits, `-` and `_` (private networks use it), with dots. No label begins with a
/// hyphen (RFC 1123 section 2.1): `-1` is a number that went wrong.
fn is_host(host: &str) -> bool {
    // A name whose last label is a number is an IPv4 address or a mistake: resolvers read "10.1" or
    // "0x7f.1" as addresses that nobody meant to write (WHATWG URL, "ends in a number").
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    if numeric {
        return host.parse::<IpAddr>().is_ok();
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

/// Reads the name that a certificate must carry: a DNS name or an IP address.
///
/// # Errors
///
/// [`Problem::NotA`] for anything else.
pub fn server_name(text: &str) -> Result<ServerName<'static>, Problem> {
    ServerName::try_from(text.to_owned()).map_err(|_| Problem::NotA {
        text: text.into(),
        expected: "a server name (a DNS name or an IP address, without a port)",
        example: "\"gw.example.com\"",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port() {
        for (text, host, port) in [
            ("gw.example.com:8443", "gw.example.com", 8443),
            ("gw.example.com.:1", "gw.example.com.", 1),
            ("my_service:80", "my_service", 80),
            ("192.0.2.1:8443", "192.0.2.1", 8443),
            ("[2001:db8::1]:8443", "2001:db8::1", 8443),
            ("localhost:65535", "localhost", 65535),
        ] {
            let parsed: HostPort = text.parse().unwrap();
            assert_eq!((parsed.host.as_str(), parsed.port), (host, port));
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn malformed_hosts_are_refused() {
        for text in [
            "",
            ":80",
            "host",
            "host:",
            "host:0",
            "host:65536",
            "host:http",
            "2001:db8::1:8443",
            "[::1]",
            "[::1:80",
            "[127.0.0.1]:80",
            "a b:80",
            "a..b:80",
            "-1:80",
            "a.-b:80",
            "http://host:80",
            "10.1:80",
            "0x7f000001:80",
            "256.0.0.1:80",
        ] {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }

    #[test]
    fn nobody_is_told_to_connect_to_every_address() {
        for every in ["0.0.0.0:1", "[::]:1", "[::ffff:0.0.0.0]:1"] {
            let error = advertised(every).unwrap_err();
            assert!(error.to_string().contains("no client can connect"), "{every}: {error}");
            assert!(error.fix().unwrap().contains("`listen`"));
        }
        for one in ["gw.example.com:1", "192.0.2.1:1", "[::1]:1"] {
            assert_eq!(advertised(one).unwrap().to_string(), one);
        }
        // As certificates have it.
        assert_eq!(advertised("gw.example.com.:1").unwrap().to_string(), "gw.example.com:1");
    }

    #[test]
    fn a_gateway_without_a_port_is_at_443() {
        for (text, shown) in [
            ("gw.example.com", "gw.example.com:443"),
            ("192.0.2.1", "192.0.2.1:443"),
            ("[2001:db8::1]", "[2001:db8::1]:443"),
            ("gw.example.com:8443", "gw.example.com:8443"),
        ] {
            assert_eq!(gateway(text).unwrap().to_string(), shown);
        }
        for text in ["", ":", "2001:db8::1", "gw:", "gw:0", "https://gw", "[gw]", "a b"] {
            assert!(gateway(text).is_err(), "{text}");
        }
    }

    #[test]
    fn listeners() {
        assert_eq!("off".parse::<Listeners>().unwrap().0, []);
        let two: Listeners = "127.0.0.1:1, [::1]:2".parse().unwrap();
        assert_eq!(two.0, ["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()]);
        for text in ["", "localhost:80", "8080", ":8080", "127.0.0.1", "::1:80", "127.0.0.1:1,"] {
            assert!(text.parse::<Listeners>().is_err(), "{text}");
        }
    }
}
