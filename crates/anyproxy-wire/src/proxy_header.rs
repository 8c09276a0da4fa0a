//! The PROXY protocol, versions 1 and 2, without I/O (HAProxy's `proxy-protocol.txt`).
//!
//! ```text
//! v1   PROXY TCP4 203.0.113.9 198.51.100.1 40000 443\r\n            at most 107 bytes
//! v2   signature | version, command | family, protocol | length | addresses, TLVs
//! ```
//!
//! What follows the header is TLS, which another reader gets, so the parser never asks for a byte
//! beyond the header's end: of version 1, whose length is not told, it asks for as few as are sure to
//! belong to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Section 2.2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Section 2.1.
const V1: &[u8] = b"PROXY ";
/// The longest line of version 1, with its end.
const MAX_LINE: usize = 107;
/// The shortest line: `PROXY UNKNOWN`, CR, LF.
const MIN_LINE: usize = 15;
/// Bytes of version 2 before the addresses.
const FIXED: usize = 16;
/// Bytes of addresses and TLVs that are taken; the client's certificate may be among them.
const MAX_BLOCK: usize = 4096;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderStep {
    /// Exactly so many more bytes, at least one, belong to the header.
    More(usize),
    /// The header is complete.
    Done(Source),
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From here.
    Client(SocketAddr),
    /// It is not told: a health check of the proxy itself, or another protocol.
    Unknown,
}

/// Why there is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// It begins in another way.
    #[error(
        "a trusted reverse proxy sent no PROXY header: switch it on there (nginx: proxy_protocol \
         on; HAProxy: send-proxy-v2)"
    )]
    Absent,
    /// It is cut, or not of the form that it has to be.
    #[error("a trusted reverse proxy sent a malformed PROXY header")]
    Malformed,
    /// It is too long.
    #[error("a trusted reverse proxy sent a PROXY header that is too long")]
    TooLong,
}

/// Reads the header from its start.
///
/// # Errors
/// [`BadHeader`], also when there are bytes behind the header: nobody asked for them.
pub fn parse(bytes: &[u8]) -> Result<HeaderStep, BadHeader> {
    if begins(bytes, V1) && bytes.first() == V1.first() {
        return line(bytes);
    }
    if begins(bytes, &SIGNATURE) {
        return block(bytes);
    }
    Err(BadHeader::Absent)
}

/// Whether `bytes` and `start` agree as far as both go.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(byte, expected)| byte == expected)
}

fn line(bytes: &[u8]) -> Result<HeaderStep, BadHeader> {
    let feed = bytes.iter().position(|byte| *byte == b'\n');
    let Some(feed) = feed else {
        let have = bytes.len();
        let sure = match bytes.last() {
            _ if have < MIN_LINE => MIN_LINE.saturating_sub(have),
            Some(b'\r') => 1,
            Some(_) | None => 2,
        };
        // One byte short of the limit, only a line feed can still end the line.
        let room = MAX_LINE.saturating_sub(have);
        return if room == 0 {
            Err(BadHeader::TooLong)
        } else {
            Ok(HeaderStep::More(sure.min(room)))
        };
    };
    let text = bytes.get(..feed).and_then(|line| line.strip_suffix(b"\r"));
    let text = text.filter(|_| feed.saturating_add(1) == bytes.len());
    let text = text.and_then(|line| std::str::from_utf8(line).ok()).ok_or(BadHeader::Malformed)?;
    let source = words(text).ok_or(BadHeader::Malformed)?;
    Ok(HeaderStep::Done(source))
}

fn words(line: &str) -> Option<Source> {
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        // "The receiver must ignore anything presented before the CRLF".
        return Some(Source::Unknown);
    }
    let [source, destination] = [words.next()?, words.next()?];
    let [from, to] = [words.next()?, words.next()?];
    if words.next().is_some() || port(to).is_none() {
        return None;
    }
    let ip: IpAddr = match family {
        "TCP4" => {
            destination.parse::<Ipv4Addr>().ok()?;
            source.parse::<Ipv4Addr>().ok()?.into()
        }
        "TCP6" => {
            destination.parse::<Ipv6Addr>().ok()?;
            source.parse::<Ipv6Addr>().ok()?.into()
        }
        _ => return None,
    };
    Some(Source::Client(SocketAddr::new(ip.to_canonical(), port(from)?)))
}

/// Decimal, without a sign or leading zeros.
fn port(text: &str) -> Option<u16> {
    let plain = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| plain)
}

fn block(bytes: &[u8]) -> Result<HeaderStep, BadHeader> {
    let Some(fixed) = bytes.get(..FIXED) else {
        // Few enough that a shorter header of version 1 is not read over: that one begins
        // differently, and is known after the first byte.
        let missing = if bytes.is_empty() { 1 } else { FIXED.saturating_sub(bytes.len()) };
        return Ok(HeaderStep::More(missing));
    };
    let [.., command, family, high, low] = *fixed else { return Err(BadHeader::Malformed) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_BLOCK {
        return Err(BadHeader::TooLong);
    }
    let rest = bytes.get(FIXED..).unwrap_or_default();
    if rest.len() < length {
        return Ok(HeaderStep::More(length.saturating_sub(rest.len())));
    }
    if rest.len() > length {
        return Err(BadHeader::Malformed);
    }
    match command {
        0x20 => Ok(HeaderStep::Done(Source::Unknown)),
        0x21 => addresses(family, rest).map(HeaderStep::Done).ok_or(BadHeader::Malformed),
        _ => Err(BadHeader::Malformed),
    }
}

/// The source address of a block. Families other than TCP over IP are no addresses of clients.
fn addresses(family: u8, block: &[u8]) -> Option<Source> {
    let port = |at: usize| {
        let bytes = block.get(at..at.saturating_add(2))?;
        bytes.try_into().ok().map(u16::from_be_bytes)
    };
    match family {
        0x11 => {
            let ip: [u8; 4] = block.get(..4)?.try_into().ok()?;
            block.get(..12)?;
            Some(Source::Client(SocketAddr::new(ip.into(), port(8)?)))
        }
        0x21 => {
            let ip: [u8; 16] = block.get(..16)?.try_into().ok()?;
            block.get(..36)?;
            let ip = IpAddr::from(ip).to_canonical();
            Some(Source::Client(SocketAddr::new(ip, port(32)?)))
        }
        _ => Some(Source::Unknown),
    }
}

#[cfg(test)]
mod tests;
