//! Hosts, their addresses and ports.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use super::state::State;

/// First port that the system hands out (RFC 6335 §6).
const FIRST_DYNAMIC_PORT: u16 = 49_152;

#[derive(Debug)]
pub(super) struct HostState {
    pub(super) name: String,
    pub(super) ips: Vec<IpAddr>,
    pub(super) lookups: Vec<String>,
    next_port: u16,
    pub(super) slept: Duration,
}

/// What a look-up answers.
#[derive(Debug, Clone)]
pub(super) enum Name {
    Addresses(Vec<IpAddr>),
    Failure(io::ErrorKind),
}

impl State {
    /// Whose address it is, seen from `near`.
    pub(super) fn owner(&self, ip: IpAddr, near: usize) -> Option<usize> {
        if ip.is_loopback() {
            return Some(near);
        }
        self.hosts.iter().position(|host| host.ips.contains(&ip))
    }

    /// The address that packets of `host` to `to` leave from.
    pub(super) fn source(&self, host: usize, to: IpAddr) -> Option<IpAddr> {
        if to.is_loopback() {
            return Some(to);
        }
        let ips = &self.hosts[host].ips;
        if ips.contains(&to) {
            return Some(to);
        }
        ips.iter().copied().find(|ip| ip.is_ipv4() == to.is_ipv4())
    }

    /// Checks an address to bind to, and chooses the port if it is 0. `taken` are those in use.
    pub(super) fn bind(
        &mut self,
        host: usize,
        addr: SocketAddr,
        taken: &[SocketAddr],
    ) -> io::Result<SocketAddr> {
        let ip = addr.ip();
        if !ip.is_unspecified() && self.owner(ip.to_canonical(), host) != Some(host) {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let clashes = |port| taken.iter().any(|other| clash(SocketAddr::new(ip, port), *other));
        if addr.port() != 0 {
            let clashed = clashes(addr.port());
            return if clashed { Err(io::ErrorKind::AddrInUse.into()) } else { Ok(addr) };
        }
        for _ in FIRST_DYNAMIC_PORT..=u16::MAX {
            let port = self.dynamic_port(host);
            if !clashes(port) {
                return Ok(SocketAddr::new(ip, port));
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    pub(super) fn dynamic_port(&mut self, host: usize) -> u16 {
        let next = &mut self.hosts[host].next_port;
        let port = *next;
        *next = port.checked_add(1).unwrap_or(FIRST_DYNAMIC_PORT);
        port
    }

    pub(super) fn add_host(&mut self, name: &str, ip: IpAddr) -> usize {
        let host = HostState {
            name: name.to_owned(),
            ips: Vec::new(),
            lookups: Vec::new(),
            next_port: FIRST_DYNAMIC_PORT,
            slept: Duration::ZERO,
        };
        self.hosts.push(host);
        let host = self.hosts.len() - 1;
        self.add_ip(host, ip);
        host
    }

    pub(super) fn add_ip(&mut self, host: usize, ip: IpAddr) {
        assert!(self.owner(ip, host).is_none(), "{ip} is a host's address already");
        self.hosts[host].ips.push(ip);
    }

    /// Moves a host to `ip`. What is bound to the address that it had follows.
    pub(super) fn set_ip(&mut self, host: usize, ip: IpAddr) {
        let same_family = |other: &IpAddr| other.is_ipv4() == ip.is_ipv4();
        let ips = &mut self.hosts[host].ips;
        let place = ips.iter().position(same_family).unwrap_or(ips.len());
        let old: Vec<IpAddr> = ips.extract_if(.., |other| same_family(other)).collect();
        self.add_ip(host, ip);
        let ips = &mut self.hosts[host].ips;
        ips[place..].rotate_right(1);
        let sockets = self.sockets.values_mut().map(|s| (s.host, &mut s.bound));
        let listeners = self.listeners.values_mut().map(|l| (l.host, &mut l.bound));
        for (owner, bound) in sockets.chain(listeners) {
            if owner == host && old.contains(&bound.ip()) {
                bound.set_ip(ip);
            }
        }
        self.release_held();
    }
}

/// Whether two sockets with these addresses cannot exist together. `[::]` covers IPv4 too.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && (covers(one.ip(), other.ip()) || covers(other.ip(), one.ip()))
}

/// Whether a socket bound to `bound` receives what is sent to `ip`.
pub(super) fn covers(bound: IpAddr, ip: IpAddr) -> bool {
    match bound {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => ip.is_ipv4(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => true,
        IpAddr::V4(_) | IpAddr::V6(_) => bound.to_canonical() == ip.to_canonical(),
    }
}

/// How a socket that is bound to `bound` shows `addr`: a dual-stack one maps IPv4 (RFC 4291
/// §2.5.5.2).
pub(super) fn shown(bound: IpAddr, addr: SocketAddr) -> SocketAddr {
    match (bound, addr.ip()) {
        (IpAddr::V6(_), IpAddr::V4(v4)) => SocketAddr::new(v4.to_ipv6_mapped().into(), addr.port()),
        (IpAddr::V4(_) | IpAddr::V6(_), _) => addr,
    }
}

/// Where a packet to `ip` goes: the unspecified address means this host (ip(7)), and a mapped
/// address is IPv4.
pub(super) fn destination(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other @ (IpAddr::V4(_) | IpAddr::V6(_)) => other,
    }
}
