//! Addresses as SOCKS5 writes them (RFC 1928 section 5): in requests, replies and datagrams.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const IPV4: u8 = 0x01;
/// A name, or whatever a user takes for one.
pub const NAME: u8 = 0x03;
const IPV6: u8 = 0x04;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An address and its port, `length` bytes together.
    Whole {
        /// An IP address as text, or a name. What is not UTF-8 became a character that the check of
        /// targets refuses.
        host: String,
        /// The port; 0 is possible.
        port: u16,
        /// Bytes of both.
        length: usize,
    },
    /// More bytes are needed.
    Incomplete,
    /// An address type whose end cannot be found.
    Unknown,
}

/// Reads the address behind an address type.
pub fn parse(kind: u8, rest: &[u8]) -> Address {
    let host = match kind {
        IPV4 => rest.first_chunk::<4>().map(|octets| (Ipv4Addr::from(*octets).to_string(), 4)),
        IPV6 => rest.first_chunk::<16>().map(|octets| (Ipv6Addr::from(*octets).to_string(), 16)),
        NAME => counted(rest, 0).map(|name| {
            let text = String::from_utf8(name.to_vec()).unwrap_or_else(|_| "\0".into());
            (text, name.len().saturating_add(1))
        }),
        _ => return Address::Unknown,
    };
    let Some((host, length)) = host else { return Address::Incomplete };
    match rest.get(length..).and_then(<[u8]>::first_chunk::<2>) {
        Some(port) => {
            let length = length.saturating_add(2);
            Address::Whole { host, port: u16::from_be_bytes(*port), length }
        }
        None => Address::Incomplete,
    }
}

/// Appends type, address and port.
pub fn put(out: &mut Vec<u8>, addr: SocketAddr) {
    match addr.ip().to_canonical() {
        IpAddr::V4(ip) => {
            out.push(IPV4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(IPV6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&addr.port().to_be_bytes());
}

/// The bytes behind a length byte at `at`; `None` until all of them are there.
pub fn counted(input: &[u8], at: usize) -> Option<&[u8]> {
    let (length, rest) = input.get(at..)?.split_first()?;
    rest.get(..usize::from(*length))
}
