//! To which of this host's addresses a datagram came, and sending from that one.
//!
//! A socket on `0.0.0.0` or `[::]` otherwise answers from whichever address the route back has, which
//! a user who asked another one takes for a stranger's (RFC 1122, 4.1.3.5). Linux has IP_PKTINFO
//! (ip(7)) and IPV6_PKTINFO (RFC 3542, 6) for it, through `nix`: `socket2` and `rustix` know neither,
//! and quinn-udp only together with "don't fragment" and GRO. Elsewhere the system chooses.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use tokio::net::UdpSocket;

use super::Received;

/// `addr` as a socket bound to `local` has to be given it: a dual-stack one wants IPv4 mapped
/// (RFC 4291, 2.5.5.2).
pub(super) fn in_family(addr: SocketAddr, local: SocketAddr) -> SocketAddr {
    match (addr, local) {
        (SocketAddr::V4(v4), SocketAddr::V6(_)) => {
            SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
        }
        (SocketAddr::V4(_), SocketAddr::V4(_)) | (SocketAddr::V6(_), _) => addr,
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use linux::{recv, send, tell};

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) use elsewhere::{recv, send, tell};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::{
        io::{IoSlice, IoSliceMut},
        net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6},
        os::fd::{AsFd, AsRawFd as _},
    };

    use nix::{
        cmsg_space, libc,
        sys::socket::{
            ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6,
            SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
        },
    };

    use super::{IpAddr, Received, SocketAddr, UdpSocket, io};

    /// Asks the system to tell with each datagram where it came to.
    pub(in crate::net) fn tell(socket: &impl AsFd, local: SocketAddr) -> io::Result<()> {
        match local {
            SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        Ok(())
    }

    pub(in crate::net) fn recv(socket: &UdpSocket, buf: &mut [u8]) -> io::Result<Received> {
        let mut space = cmsg_space!(libc::in6_pktinfo);
        let bufs = &mut [IoSliceMut::new(buf)];
        let message = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            bufs,
            Some(&mut space),
            MsgFlags::empty(),
        )?;
        let from = message.address.as_ref().and_then(address);
        let to = message.cmsgs()?.find_map(came_to);
        let from = from.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Received { length: message.bytes, from, to })
    }

    fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = storage.as_sockaddr_in().map(|addr| SocketAddrV4::from(*addr).into());
        v4.or_else(|| storage.as_sockaddr_in6().map(|addr| SocketAddrV6::from(*addr).into()))
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "the kernel may tell more than was asked for"
    )]
    fn came_to(message: ControlMessageOwned) -> Option<IpAddr> {
        match message {
            // Not `ipi_addr`, which for a broadcast is not an address of this host.
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into())
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into())
            }
            _ => None,
        }
    }

    /// `to` is in the family of the socket.
    pub(in crate::net) fn send(
        socket: &UdpSocket,
        payload: &[u8],
        to: SocketAddr,
        from: IpAddr,
    ) -> io::Result<()> {
        let (fd, iov) = (socket.as_raw_fd(), [IoSlice::new(payload)]);
        let flags = MsgFlags::empty();
        match (to, from) {
            (SocketAddr::V4(to), IpAddr::V4(from)) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                let from = [ControlMessage::Ipv4PacketInfo(&info)];
                sendmsg(fd, &iov, &from, flags, Some(&SockaddrIn::from(to)))?;
            }
            (SocketAddr::V6(to), from) => {
                let from = match from {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                    IpAddr::V6(v6) => v6,
                };
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: from.octets() },
                    ipi6_ifindex: 0,
                };
                let from = [ControlMessage::Ipv6PacketInfo(&info)];
                sendmsg(fd, &iov, &from, flags, Some(&SockaddrIn6::from(to)))?;
            }
            (SocketAddr::V4(_), IpAddr::V6(_)) => return Err(io::ErrorKind::InvalidInput.into()),
        }
        Ok(())
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod elsewhere {
    use super::{IpAddr, Received, SocketAddr, UdpSocket, io};

    pub(in crate::net) fn tell<S>(_: &S, _: SocketAddr) -> io::Result<()> {
        Ok(())
    }

    pub(in crate::net) fn recv(socket: &UdpSocket, buf: &mut [u8]) -> io::Result<Received> {
        let (length, from) = socket.try_recv_from(buf)?;
        Ok(Received { length, from, to: None })
    }

    pub(in crate::net) fn send(
        socket: &UdpSocket,
        payload: &[u8],
        to: SocketAddr,
        _: IpAddr,
    ) -> io::Result<()> {
        socket2::SockRef::from(socket).send_to(payload, &to.into()).map(|_| ())
    }
}
