//! The PROXY protocol: tells a forward's target who is connected (HAProxy's `proxy-protocol.txt`).
//!
//! ```text
//! v1   PROXY TCP4 203.0.113.9 198.51.100.1 40000 443\r\n                     (section 2.1, one line)
//! v2   signature | version, command | family, protocol | length | addresses  (section 2.2)
//! ```
//!
//! The header is the first thing on the connection and is written at once. Both addresses are of
//! one family: an IPv4 user whom a dual-stack listener shows as `::ffff:a.b.c.d` is an IPv4 user
//! again, and only when the two really differ does IPv4 become mapped IPv6. Addresses that are not
//! known are not made up: `PROXY UNKNOWN`, and `LOCAL` in version 2.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::ProxyHeader;

/// Section 2.2: what no other protocol begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2 in the high bits, the command in the low ones.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
/// The family in the high bits, the protocol in the low ones.
const UNSPECIFIED: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// The two ends of a user's connection to the gateway, in one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    V4 { source: Ipv4Addr, destination: Ipv4Addr, ports: Ports },
    V6 { source: Ipv6Addr, destination: Ipv6Addr, ports: Ports },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ports {
    source: u16,
    destination: u16,
}

/// The header for a user at `source` who reached the gateway at `destination`.
pub(crate) fn encode(
    version: ProxyHeader,
    source: Option<SocketAddr>,
    destination: Option<SocketAddr>,
) -> Vec<u8> {
    let ends = source.zip(destination).map(|(source, destination)| Ends::new(source, destination));
    match version {
        ProxyHeader::V1 => text(ends).into_bytes(),
        ProxyHeader::V2 => binary(ends),
    }
}

impl Ends {
    fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        let ports = Ports { source: source.port(), destination: destination.port() };
        match (source.ip().to_canonical(), destination.ip().to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                Self::V4 { source, destination, ports }
            }
            (source, destination) => {
                Self::V6 { source: mapped(source), destination: mapped(destination), ports }
            }
        }
    }
}

fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

fn text(ends: Option<Ends>) -> String {
    match ends {
        None => "PROXY UNKNOWN\r\n".into(),
        Some(Ends::V4 { source, destination, ports: Ports { source: from, destination: to } }) => {
            format!("PROXY TCP4 {source} {destination} {from} {to}\r\n")
        }
        Some(Ends::V6 { source, destination, ports: Ports { source: from, destination: to } }) => {
            format!(
                "PROXY TCP6 {} {} {from} {to}\r\n",
                hexadecimal(source),
                hexadecimal(destination)
            )
        }
    }
}

/// Version 1 knows groups of hexadecimal digits only, so not the `::ffff:1.2.3.4` of RFC 5952.
fn hexadecimal(ip: Ipv6Addr) -> String {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => format!("::ffff:{high:x}:{low:x}"),
        _ => ip.to_string(),
    }
}

fn binary(ends: Option<Ends>) -> Vec<u8> {
    match ends {
        None => block(LOCAL, UNSPECIFIED, &[]),
        Some(Ends::V4 { source, destination, ports }) => {
            block(PROXY, TCP_OVER_IPV4, &[&source.octets(), &destination.octets(), &ports.octets()])
        }
        Some(Ends::V6 { source, destination, ports }) => {
            block(PROXY, TCP_OVER_IPV6, &[&source.octets(), &destination.octets(), &ports.octets()])
        }
    }
}

fn block(command: u8, family: u8, addresses: &[&[u8]]) -> Vec<u8> {
    let addresses = addresses.concat();
    // At most 36 bytes.
    let length = u16::try_from(addresses.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, &addresses].concat()
}

impl Ports {
    fn octets(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.source.to_be_bytes(), self.destination.to_be_bytes());
        [a, b, c, d]
    }
}

#[cfg(test)]
mod tests;
