//! `Forwarded` (RFC 7239) and `X-Forwarded-For`, as a trusted reverse proxy sends them.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, header::FORWARDED};

use super::{ToldBy, Trusted};

/// Elements that are looked at, from the last one. Nobody has more proxies than that.
const MAX_ELEMENTS: usize = 32;

/// Where the client comes from, according to the header that `told_by` names, from a peer that *is*
/// trusted. Walks from the last element to the first, over trusted proxies, up to the first address
/// that is not trusted. `None`: it is not told, or the element is no address.
#[must_use]
pub fn client(headers: &HeaderMap, told_by: ToldBy, trusted: &Trusted) -> Option<SocketAddr> {
    let (name, split, read): (_, Split, fn(&str) -> Option<SocketAddr>) = match told_by {
        ToldBy::Nothing | ToldBy::ProxyProtocol => return None,
        ToldBy::Forwarded => (FORWARDED.as_str(), |line| split_at(line, ','), forwarded),
        ToldBy::XForwardedFor => ("x-forwarded-for", |line| Some(line.split(',').collect()), node),
    };
    let mut found = None;
    let mut left = MAX_ELEMENTS;
    // Several lines are one list (RFC 9110, 5.3).
    for line in headers.get_all(name).iter().rev() {
        let Some(elements) = line.to_str().ok().and_then(split) else { return found };
        for element in elements.into_iter().rev() {
            let Some(addr) = read(element).filter(|_| left > 0) else { return found };
            found = Some(addr);
            left = left.saturating_sub(1);
            if !trusted.has(addr.ip()) {
                return found;
            }
        }
    }
    found
}

type Split = fn(&str) -> Option<Vec<&str>>;

/// Splits at separators that are not inside quotes. `None`: a quote is left open. Else what a
/// client wrote could swallow the comma and the quotes that the proxy's own element has, and become
/// the last element itself.
fn split_at(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(|c: char| {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            _ if was_escaped => {}
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == separator && !quoted,
        }
        false
    });
    let parts = parts.collect();
    (!quoted).then_some(parts)
}

/// `for=192.0.2.1;proto=https;by=…`: the node of `for`.
fn forwarded(element: &str) -> Option<SocketAddr> {
    let pairs = split_at(element, ';')?;
    let pairs = pairs.into_iter().filter_map(|pair| pair.trim().split_once('='));
    let mut nodes = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("for"));
    let (_, value) = nodes.next()?;
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    node(quoted.unwrap_or(value)).filter(|_| nodes.next().is_none())
}

/// `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`, and the bare `2001:db8::1`,
/// which `X-Forwarded-For` has. An unknown port is 0.
fn node(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    let at = |ip: IpAddr, port| SocketAddr::new(ip.to_canonical(), port);
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(at(ip, 0));
    }
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return Some(at(addr.ip(), addr.port()));
    }
    // RFC 7239, 6.3: the port may be an obfuscated one, such as `_x`.
    let (host, port) =
        text.rsplit_once(':').filter(|(_, port)| !port.contains(']')).unwrap_or((text, "_"));
    if !port.starts_with('_') {
        return None;
    }
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.parse::<IpAddr>().ok().map(|ip| at(ip, 0))
}

#[cfg(test)]
mod tests;
