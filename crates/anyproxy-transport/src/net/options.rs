//! Socket options, and why each is set.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpSocket, TcpStream};

use crate::quic::Congestion;

/// What a TCP connection is for; it decides its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Between gateway and client. A peer that acknowledges nothing for
    /// [`TUNNEL_USER_TIMEOUT`] is gone (`TCP_USER_TIMEOUT`, RFC 5482; a live tunnel takes the time that both
    /// ends agreed on), and little unsent data stays in the kernel, so that control frames are never far from
    /// the wire.
    Tunnel,
    /// A user's or a target's. It may pause for as long as it likes, so there is no user time-out;
    /// keep-alive finds peers that vanished.
    Proxied,
}

/// How long sent bytes of a tunnel may stay unacknowledged before both ends have agreed on a time.
pub(super) const TUNNEL_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Unsent bytes that the kernel may hold for a tunnel (`TCP_NOTSENT_LOWAT`).
const TUNNEL_UNSENT: u32 = 128 * 1024;

/// The largest TCP segment of a tunnel (`TCP_MAXSEG`, RFC 9293 section 3.7.1), which fits where QUIC's packets do:
/// IPv6 promises 1280 bytes, less 60 of headers. A path that shrinks under a live connection while a firewall
/// drops the ICMP that says so would swallow every larger one, and by default Linux does not look for the
/// size by itself (`tcp_mtu_probing`). It costs less than 1 % of the bytes on the wire.
#[cfg(any(target_os = "linux", target_os = "android"))]
const TUNNEL_SEGMENT: u32 = 1220;

/// Pending connections of a listener; the system caps it (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// Bytes asked of the kernel for each direction of the QUIC socket. quinn moves up to 64 KiB in one
/// call, and 7 MiB is what other QUIC programs ask for as well.
const UDP_BUFFER: usize = 7 * 1024 * 1024;

/// Bytes asked of the kernel for each direction of a socket for proxied datagrams. A reader is
/// only ever late by a turn of the scheduler, but a burst of large datagrams must fit.
const DATAGRAM_BUFFER: usize = 1024 * 1024;

/// What the kernel granted for the QUIC socket, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpBuffers {
    /// Asked for, each way.
    pub asked: usize,
    /// Granted for receiving.
    pub receive: usize,
    /// Granted for sending.
    pub send: usize,
}

impl UdpBuffers {
    /// Whether the kernel granted less than was asked for.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.receive.min(self.send) < self.asked
    }
}

/// Sets the options of `role`. A system that lacks one is no reason to refuse a connection.
pub(super) fn apply(tcp: &TcpStream, role: Role) {
    let socket = SockRef::from(tcp);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15));
    let mut results = vec![tcp.set_nodelay(true), socket.set_tcp_keepalive(&keepalive)];
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if role == Role::Tunnel {
        results.push(socket.set_tcp_user_timeout(Some(TUNNEL_USER_TIMEOUT)));
        results.push(socket.set_tcp_notsent_lowat(TUNNEL_UNSENT));
    }
    for error in results.into_iter().filter_map(Result::err) {
        tracing::debug!(%error, ?role, "a socket option was not accepted");
    }
}

/// Replaces [`TUNNEL_USER_TIMEOUT`] once it is agreed when the peer counts as dead: the kernel must neither give up
/// sooner nor hold what nobody waits for any more.
pub(super) fn set_user_timeout(tcp: &TcpStream, timeout: Duration) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // The kernel takes a positive int of milliseconds; zero would mean its own default.
        let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX).max(1);
        let timeout = Duration::from_millis(u64::try_from(millis).unwrap_or(1));
        if let Err(error) = SockRef::from(tcp).set_tcp_user_timeout(Some(timeout)) {
            tracing::debug!(%error, "TCP_USER_TIMEOUT was not accepted");
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (tcp, timeout);
}

/// Who decides how much of a tunnel may be in flight (`TCP_CONGESTION`, tcp(7)). A process without rights has what
/// `net.ipv4.tcp_allowed_congestion_control` names; where that lacks the one that is asked for, the system's own stays.
pub(super) fn set_congestion(tcp: &TcpStream, congestion: Congestion) {
    #[cfg(any(target_os = "linux", target_os = "freebsd"))]
    if let Err(error) = SockRef::from(tcp).set_tcp_congestion(congestion.name().as_bytes()) {
        tracing::debug!(%error, %congestion, "TCP_CONGESTION was not accepted");
    }
    #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
    let _ = (tcp, congestion);
}

/// Bounds a tunnel's segments, both ways; to be called before it connects. Not on loopback, which no path shrinks.
pub(super) fn bound_segments(socket: &TcpSocket, peer: SocketAddr, role: Role) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if role == Role::Tunnel
        && !peer.ip().is_loopback()
        && let Err(error) = SockRef::from(socket).set_tcp_mss(TUNNEL_SEGMENT)
    {
        tracing::debug!(%error, "TCP_MAXSEG was not accepted");
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (socket, peer, role);
}

/// Makes the coming close send RST, also the one that the kernel does for a process that died.
pub(super) fn abort(tcp: &TcpStream) {
    set_linger(tcp, Some(Duration::ZERO));
}

/// Makes the coming close an orderly one again.
pub(super) fn close_gently(tcp: &TcpStream) {
    set_linger(tcp, None);
}

fn set_linger(tcp: &TcpStream, linger: Option<Duration>) {
    if let Err(error) = SockRef::from(tcp).set_linger(linger) {
        tracing::debug!(%error, "SO_LINGER was not accepted");
    }
}

/// A listening socket. `SO_REUSEADDR` lets a restart bind while old connections linger in
/// TIME-WAIT; it does not let two listeners share a port.
pub(super) fn listener(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let (socket, addr) = open(addr, Type::STREAM, Protocol::TCP)?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A UDP socket with large buffers; says what the kernel granted.
pub(super) fn udp(addr: SocketAddr) -> io::Result<(std::net::UdpSocket, UdpBuffers)> {
    let (socket, addr) = open(addr, Type::DGRAM, Protocol::UDP)?;
    socket.set_nonblocking(true)?;
    enlarge(&SockRef::from(&socket));
    socket.bind(&addr.into())?;
    let buffers = buffers(&SockRef::from(&socket))?;
    Ok((socket.into(), buffers))
}

/// The same for a socket that is bound already.
pub(super) fn inherited_udp(
    socket: std::net::UdpSocket,
) -> io::Result<(std::net::UdpSocket, UdpBuffers)> {
    socket.set_nonblocking(true)?;
    // A service manager may set more than is granted to us, and asking again would lose it.
    if buffers(&SockRef::from(&socket))?.is_short() {
        enlarge(&SockRef::from(&socket));
    }
    let buffers = buffers(&SockRef::from(&socket))?;
    Ok((socket, buffers))
}

fn enlarge(socket: &SockRef<'_>) {
    let _ = socket.set_recv_buffer_size(UDP_BUFFER);
    let _ = socket.set_send_buffer_size(UDP_BUFFER);
}

fn buffers(socket: &SockRef<'_>) -> io::Result<UdpBuffers> {
    Ok(UdpBuffers {
        asked: UDP_BUFFER,
        receive: usable(socket.recv_buffer_size()?),
        send: usable(socket.send_buffer_size()?),
    })
}

/// A UDP socket for proxied datagrams; with a `peer`, only its datagrams are received.
///
/// Unlike QUIC's it lets the kernel fragment: what a target answers over the path's MTU belongs to
/// the target and is not ours to lose. Linux sets "don't fragment" by default and then drops what a
/// router further on cannot pass, when the ICMP message about it does not come back (RFC 8085, 3.2).
pub(super) fn datagrams(
    local: SocketAddr,
    peer: Option<SocketAddr>,
) -> io::Result<std::net::UdpSocket> {
    let (socket, local) = open(local, Type::DGRAM, Protocol::UDP)?;
    socket.set_nonblocking(true)?;
    let _ = socket.set_recv_buffer_size(DATAGRAM_BUFFER);
    let _ = socket.set_send_buffer_size(DATAGRAM_BUFFER);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
        // A dual-stack socket has this option too, for its IPv4 half.
        if let Err(error) = set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::DONT) {
            tracing::debug!(%error, "IP_MTU_DISCOVER was not accepted");
        }
    }
    if local.ip().is_unspecified() && peer.is_none() {
        super::local::tell(&socket, local)?;
    }
    socket.bind(&local.into())?;
    if let Some(peer) = peer {
        socket.connect(&super::local::in_family(peer, local).into())?;
    }
    Ok(socket.into())
}

/// Linux reports twice what it was asked for; half is for its own bookkeeping (socket(7)).
fn usable(reported: usize) -> usize {
    if cfg!(target_os = "linux") { reported / 2 } else { reported }
}

/// A socket for `addr`. `[::]` serves IPv4 too, and becomes `0.0.0.0` on a machine without IPv6; a
/// particular address serves only itself.
fn open(addr: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<(Socket, SocketAddr)> {
    let any = addr.ip().is_unspecified();
    match Socket::new(Domain::for_address(addr), kind, Some(protocol)) {
        Ok(socket) => {
            if addr.is_ipv6() {
                socket.set_only_v6(!any)?;
            }
            Ok((socket, addr))
        }
        Err(_) if addr.is_ipv6() && any => {
            let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()));
            Ok((Socket::new(Domain::IPV4, kind, Some(protocol))?, v4))
        }
        Err(error) => Err(error),
    }
}

/// What the kernel knows of the way to an address, which it tells of a socket that has this peer.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn path_mtu(addr: SocketAddr) -> io::Result<u32> {
    use rustix::net::sockopt::{ip_mtu, ipv6_mtu};
    let any = if addr.is_ipv6() {
        IpAddr::from(Ipv6Addr::UNSPECIFIED)
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(addr)?;
    Ok(if addr.is_ipv6() { ipv6_mtu(&socket) } else { ip_mtu(&socket) }?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn path_mtu(_: SocketAddr) -> io::Result<u32> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::net::sockopt::{Ipv4PathMtuDiscovery, ip_mtu_discover};

    use super::*;

    /// What a link with a small MTU shows needs a link: `tests/real/doctor.sh`.
    #[test]
    fn the_way_to_this_machine_carries_what_quic_needs() {
        let mtu = path_mtu("127.0.0.1:9".parse().unwrap()).unwrap();
        assert!(mtu > 1_228, "{mtu}");
    }

    #[test]
    fn the_kernel_may_fragment_proxied_datagrams() {
        for local in ["0.0.0.0:0", "127.0.0.1:0", "[::]:0"] {
            let socket = datagrams(local.parse().unwrap(), None).unwrap();
            assert_eq!(ip_mtu_discover(&socket).unwrap(), Ipv4PathMtuDiscovery::DONT, "{local}");
        }
    }

    /// `reno` is always there, and every process may have it.
    #[tokio::test]
    async fn a_tunnel_has_the_control_that_is_asked_for_where_it_is_allowed() {
        const ALLOWED: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
        let allowed = std::fs::read_to_string(ALLOWED).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        for congestion in [Congestion::Bbr, Congestion::Cubic] {
            let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let socket = SockRef::from(&tcp);
            socket.set_tcp_congestion(b"reno").unwrap();
            set_congestion(&tcp, congestion);
            let now = String::from_utf8(socket.tcp_congestion().unwrap()).unwrap();
            let now = now.trim_end_matches('\0');
            let is_allowed = allowed.split_whitespace().any(|name| name == congestion.name());
            // With rights, it may be had although it is not for everybody.
            let may_be =
                if is_allowed { vec![congestion.name()] } else { vec!["reno", congestion.name()] };
            assert!(may_be.contains(&now), "{now}");
        }
    }

    #[tokio::test]
    async fn only_what_a_path_could_swallow_has_small_segments() {
        let segment = |peer: &str, role| {
            let socket = TcpSocket::new_v4().unwrap();
            bound_segments(&socket, peer.parse().unwrap(), role);
            SockRef::from(&socket).tcp_mss().unwrap()
        };
        assert_eq!(segment("192.0.2.1:443", Role::Tunnel), TUNNEL_SEGMENT);
        for (peer, role) in [("127.0.0.1:443", Role::Tunnel), ("192.0.2.1:443", Role::Proxied)] {
            assert_ne!(segment(peer, role), TUNNEL_SEGMENT, "{peer} {role:?}");
        }
    }
}
