//! One address, many spellings: what an IPv6 address says about IPv4.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The address that is matched and dialled: IPv4 inside IPv6 becomes IPv4.
///
/// An IPv4-mapped address (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2) leads a socket to the IPv4
/// host; the deprecated IPv4-compatible form (`::a.b.c.d`) means the same host where it means
/// anything. Dialling the plain form keeps "checked" and "dialled" one and the same.
pub(super) fn plain(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => embedded(v6).map_or(ip, IpAddr::V4),
    }
}

/// [`plain`] for a socket address, with `port` in place of whatever the resolver put there. An IPv6
/// address keeps its scope, which only the resolver knows.
pub(super) fn dialable(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    match plain(address.ip()) {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, port),
        IpAddr::V6(_) => address,
    }
}

/// The IPv4 address of a mapped or compatible one; `::` and `::1` are neither.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    if v6.is_unspecified() || v6.is_loopback() { None } else { v6.to_ipv4() }
}

/// The IPv4 address that a translator or relay on the way would take out of `ip`.
///
/// Such an address stays what it is when dialled, but a deny entry for the IPv4 host has to hold
/// for it too. Known are the forms with a fixed place: NAT64's well-known prefix `64:ff9b::/96`
/// (RFC 6052), 6to4 `2002::/16` (RFC 3056) and IPv4-translated `::ffff:0:0:0/96` (RFC 2765). A
/// network's own NAT64 prefix, RFC 8215's range included, cannot be recognised; Teredo
/// (RFC 4380) reaches only Teredo clients.
pub(super) fn carried(ip: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = ip else { return None };
    let bits = v6.to_bits();
    let last = || Ipv4Addr::from_bits((bits & 0xffff_ffff) as u32);
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Some(last().into()),
        [0x2002, ..] => Some(Ipv4Addr::from_bits(((bits >> 80) & 0xffff_ffff) as u32).into()),
        _ => None,
    }
}

/// Whether a network holds IPv4 addresses in mapped or compatible spelling and nothing else, so
/// that it would never match a [`plain`] address.
pub(super) fn spells_ipv4(v6: Ipv6Addr, prefix: u8) -> bool {
    let inside = matches!(v6.segments(), [0, 0, 0, 0, 0, 0 | 0xffff, ..]);
    let whole = prefix == 128 && embedded(v6).is_none();
    inside && prefix >= 96 && !whole
}
