//! The URL of an HTTP proxy, and who is reached without it.

use std::{fmt, net::IpAddr, str::FromStr};

use anyproxy_wire::handshake::Secret;
use ipnet::IpNet;

use super::{HostPort, address::split_host};
use crate::config::Problem;

/// An HTTP proxy. Its `Debug` shows no password.
#[derive(Debug, Clone)]
pub struct ProxyUrl {
    /// Whether the way to it is behind TLS (`https://`).
    pub tls: ProxyTls,
    /// Where it is.
    pub at: HostPort,
    /// The user to log in as.
    pub user: Option<String>,
    /// The password that was part of the URL.
    pub password: Option<Secret>,
}

/// Whether the way to a proxy is behind TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyTls {
    /// `http://`
    Off,
    /// `https://`
    On,
}

impl fmt::Display for ProxyUrl {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.tls {
            ProxyTls::Off => "http",
            ProxyTls::On => "https",
        };
        write!(f, "{scheme}://{}", self.at)
    }
}

impl FromStr for ProxyUrl {
    type Err = Problem;

    /// Reads `http://user@proxy:3128`; without a scheme it is `http`, without a port that of the
    /// scheme (80 or 443). No error repeats what stands before an `@`.
    fn from_str(text: &str) -> Result<Self, Problem> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, rest),
        };
        let place = place.split('/').next().unwrap_or_default();
        let wrong = || Problem::NotA {
            text: format!("{scheme}://{place}"),
            expected: "the URL of an HTTP proxy (http://host:port)",
            example: "\"http://proxy.corp.example:3128\"",
        };
        let (tls, port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (ProxyTls::Off, 80),
            "https" => (ProxyTls::On, 443),
            _ => return Err(wrong()),
        };
        let at = split_host(place, port).ok_or_else(wrong)?;
        let (user, password) = match login {
            None => (None, None),
            Some(login) => credentials(login).ok_or_else(wrong)?,
        };
        Ok(Self { tls, at, user, password })
    }
}

/// `user`, `user:password`, with percent-encoding (RFC 3986, 3.2.1).
fn credentials(login: &str) -> Option<(Option<String>, Option<Secret>)> {
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(decoded(password)?)),
        None => (login, None),
    };
    let user = String::from_utf8(decoded(user)?).ok()?;
    if user.contains(':') || user.chars().any(char::is_control) {
        return None;
    }
    Some((Some(user).filter(|user| !user.is_empty()), password.map(Secret::new)))
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(out)
}

/// Whether `NO_PROXY` exempts a host, by the rules of curl:
///
/// - `*` alone exempts all;
/// - entries are separated by commas or spaces; a name exempts itself and all names below it, with or
///   without a leading dot, in any case;
/// - an IP address or network (`10.0.0.0/8`) exempts addresses, never names: nothing is looked up.
#[must_use]
pub fn is_exempt(no_proxy: &str, host: &str) -> bool {
    if no_proxy.trim() == "*" {
        return true;
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let ip = host.parse::<IpAddr>().ok();
    let mut entries =
        no_proxy.split(|c: char| c == ',' || c.is_ascii_whitespace()).filter(|e| !e.is_empty());
    entries.any(|entry| match ip {
        Some(ip) => exempts_address(entry, ip),
        None => exempts_name(entry, &host),
    })
}

fn exempts_address(entry: &str, ip: IpAddr) -> bool {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    match (bare.parse::<IpAddr>(), bare.parse::<IpNet>()) {
        (Ok(one), _) => one == ip,
        (Err(_), Ok(network)) => network.contains(&ip),
        (Err(_), Err(_)) => false,
    }
}

fn exempts_name(entry: &str, host: &str) -> bool {
    let entry = entry.to_ascii_lowercase();
    let entry = entry.strip_prefix('.').unwrap_or(&entry);
    let entry = entry.strip_suffix('.').unwrap_or(entry);
    match host.strip_suffix(entry) {
        Some(before) => !entry.is_empty() && (before.is_empty() || before.ends_with('.')),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_proxies() {
        for (text, shown, user, password) in [
            ("http://proxy:3128", "http://proxy:3128", None, None),
            ("proxy:3128", "http://proxy:3128", None, None),
            ("http://proxy/", "http://proxy:80", None, None),
            ("HTTPS://proxy.example", "https://proxy.example:443", None, None),
            ("http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080", None, None),
            ("http://me@proxy:1", "http://proxy:1", Some("me"), None),
            ("http://me:@proxy:1", "http://proxy:1", Some("me"), Some("")),
            ("http://d%5Cme:p%40ss:w@proxy:1", "http://proxy:1", Some("d\\me"), Some("p@ss:w")),
        ] {
            let url: ProxyUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(url.user.as_deref(), user, "{text}");
            let got = url.password.as_ref().map(Secret::expose);
            assert_eq!(got, password.map(str::as_bytes), "{text}");
            assert!(!format!("{url:?}").contains("p@ss"));
        }
    }

    #[test]
    fn what_is_no_url_is_refused_without_its_password() {
        for text in [
            "",
            "http://",
            "socks5://me:hunter2@proxy:1080",
            "http://me:hunter2@proxy:0",
            "http://me:hunter2@pro xy:1",
            "http://me:hunter2%zz@proxy:1",
            "http://a%3Ab:hunter2@proxy:1",
        ] {
            let error = text.parse::<ProxyUrl>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn who_needs_no_proxy() {
        for (list, exempt, not) in [
            ("*", &["a", "10.0.0.1", "::1"][..], &[][..]),
            (
                "example.com",
                &["example.com", "www.example.com", "EXAMPLE.com."],
                &["badexample.com", "example.com.evil", "com"],
            ),
            (".Example.com", &["example.com", "a.b.example.com"], &["badexample.com"]),
            ("a, b c,,d.", &["a", "b", "c", "x.d"], &["e", "ab"]),
            ("10.0.0.0/8,192.0.2.7", &["10.1.2.3", "192.0.2.7"], &["11.0.0.1", "192.0.2.70"]),
            ("fd00::/8 [2001:db8::1]", &["fd12::1", "2001:db8::1"], &["2001:db8::2", "fe80::1"]),
            // Names are never looked up, and addresses are no suffixes of names.
            ("10.0.0.0/8", &[], &["gw.example.com", "10.example.com"]),
            ("0.0.1", &[], &["10.0.0.1"]),
            ("", &[], &["a", "10.0.0.1"]),
            (".", &[], &["a", "10.0.0.1"]),
        ] {
            for host in exempt {
                assert!(is_exempt(list, host), "{list:?} {host}");
            }
            for host in not {
                assert!(!is_exempt(list, host), "{list:?} {host}");
            }
        }
    }
}
