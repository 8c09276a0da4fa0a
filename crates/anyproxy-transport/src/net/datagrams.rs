//! UDP sockets of users and targets, as opposed to the one that QUIC runs on.
//!
//! ```text
//! Datagrams ─┬─ system     tokio's readiness, the kernel's answer taken as it is
//!            └─ simulated  the socket that a test's network makes for QUIC
//! ```
//!
//! quinn's own socket is not used: it sets "don't fragment", gathers segments (GRO) and hides
//! errors, all of which are right for QUIC and wrong for somebody else's datagrams.
//!
//! Whatever family the socket has, addresses are told in their plain form: an IPv4 peer of a
//! dual-stack socket is an IPv4 address.

use std::{
    future::poll_fn,
    io::{self, IoSliceMut, Read as _},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use quinn::{
    AsyncUdpSocket,
    udp::{RecvMeta, Transmit},
};
use socket2::SockRef;
use tokio::{io::Interest, net::UdpSocket};

use super::local;

/// A datagram, or an ICMP error: for the system that is not something to read.
const NEWS: Interest = Interest::READABLE.add(Interest::ERROR);

/// A UDP socket for proxied datagrams.
#[derive(Debug)]
pub struct Datagrams {
    arm: Arm,
    local: SocketAddr,
    peer: Option<SocketAddr>,
}

#[derive(Debug)]
enum Arm {
    System(UdpSocket),
    Simulated(Arc<dyn AsyncUdpSocket>),
}

/// A datagram that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its length in bytes; 0 is legal.
    pub length: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// The address of this host that it came to, where the system says so.
    pub to: Option<IpAddr>,
}

impl Datagrams {
    /// Takes over a non-blocking socket, which is connected if there is a `peer`.
    pub(super) fn system(
        socket: std::net::UdpSocket,
        peer: Option<SocketAddr>,
    ) -> io::Result<Self> {
        let local = socket.local_addr()?;
        Ok(Self { arm: Arm::System(UdpSocket::from_std(socket)?), local, peer: peer.map(plain) })
    }

    /// Datagrams over a socket of a simulated network; with a `peer`, only with that one.
    #[must_use]
    pub fn simulated(socket: Arc<dyn AsyncUdpSocket>, peer: Option<SocketAddr>) -> Self {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let local = socket.local_addr().unwrap_or(unknown);
        Self { arm: Arm::Simulated(socket), local, peer: peer.map(plain) }
    }

    /// Waits for the next datagram. Cancel safe. A datagram longer than `buf` is cut; 65,507 bytes are
    /// enough for every one.
    ///
    /// # Errors
    /// What the system answered. An ICMP error is one of a single peer, never the socket's end: it
    /// is told once, and only on a socket with a peer.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<Received> {
        match &self.arm {
            Arm::System(socket) => socket.async_io(NEWS, || self.recv_now(socket, buf)).await,
            Arm::Simulated(socket) => poll_fn(|cx| self.poll_simulated(&**socket, cx, buf)).await,
        }
    }

    /// As [`Datagrams::recv`], through a buffer that many sockets share: each would need 64 KiB for
    /// itself, to be ready for what seldom comes. It is locked while a datagram is copied.
    ///
    /// # Errors
    /// As [`Datagrams::recv`].
    pub async fn recv_through(&self, buffer: &Mutex<Vec<u8>>) -> io::Result<(Bytes, Received)> {
        let copied = |buf: &[u8], received: Received| {
            (Bytes::copy_from_slice(buf.get(..received.length).unwrap_or(buf)), received)
        };
        match &self.arm {
            Arm::System(socket) => {
                let receive = || {
                    let mut buf = lock(buffer);
                    let received = self.recv_now(socket, &mut buf)?;
                    Ok(copied(&buf, received))
                };
                socket.async_io(NEWS, receive).await
            }
            Arm::Simulated(socket) => {
                poll_fn(|cx| {
                    let mut buf = lock(buffer);
                    let received = ready!(self.poll_simulated(&**socket, cx, &mut buf))?;
                    Poll::Ready(Ok(copied(&buf, received)))
                })
                .await
            }
        }
    }

    fn recv_now(&self, socket: &UdpSocket, buf: &mut [u8]) -> io::Result<Received> {
        if let Some(from) = self.peer {
            let length = (&*SockRef::from(socket)).read(buf)?;
            return Ok(Received { length, from, to: None });
        }
        let Received { length, from, to } = local::recv(socket, buf)?;
        let fixed = Some(self.local.ip()).filter(|ip| !ip.is_unspecified());
        Ok(Received { length, from: plain(from), to: own(to.or(fixed)) })
    }

    fn poll_simulated(
        &self,
        socket: &dyn AsyncUdpSocket,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<Received>> {
        loop {
            let mut meta = [RecvMeta::default()];
            ready!(socket.poll_recv(cx, &mut [IoSliceMut::new(buf)], &mut meta))?;
            let [RecvMeta { addr: from, len: length, dst_ip: to, .. }] = meta;
            let from = plain(from);
            if self.peer.is_none_or(|peer| peer == from) {
                return Poll::Ready(Ok(Received { length, from, to: own(to) }));
            }
        }
    }

    /// Sends a datagram to `to`, from the local address `from` if one is given, so that the answer
    /// comes from where the question went. Never waits. A socket with a peer sends to no other, and
    /// `to` and `from` do not count.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is no room now; the datagram is lost then, as with any
    /// other error. None ends the socket.
    pub fn try_send(&self, payload: &[u8], to: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
        let to = self.peer.unwrap_or(to);
        match &self.arm {
            Arm::System(socket) => match self.send_system(socket, payload, to, from) {
                // What an earlier datagram met is told in place of sending this one.
                Err(error) if is_icmp(&error) => self.send_system(socket, payload, to, from),
                sent => sent,
            },
            Arm::Simulated(socket) => socket.try_send(&Transmit {
                destination: local::in_family(to, self.local),
                ecn: None,
                contents: payload,
                segment_size: None,
                src_ip: from.filter(|_| self.peer.is_none()),
            }),
        }
    }

    /// Past tokio's readiness: a fresh socket is not yet known to be writable, and would drop its
    /// first datagrams.
    fn send_system(
        &self,
        socket: &UdpSocket,
        payload: &[u8],
        to: SocketAddr,
        from: Option<IpAddr>,
    ) -> io::Result<()> {
        let raw = SockRef::from(socket);
        let to = local::in_family(to, self.local);
        match from.filter(|_| self.local.ip().is_unspecified()) {
            _ if self.peer.is_some() => raw.send(payload).map(|_| ()),
            Some(from) => local::send(socket, payload, to, from),
            None => raw.send_to(payload, &to.into()).map(|_| ()),
        }
    }

    /// Where it is bound, with the port that the system chose.
    ///
    /// # Errors
    /// What `getsockname` answered.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.arm {
            Arm::System(socket) => socket.local_addr(),
            Arm::Simulated(socket) => socket.local_addr(),
        }
    }
}

/// The buffer holds nothing between two uses, so poisoning says nothing.
fn lock(buffer: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    buffer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether an error tells of a datagram sent earlier (RFC 1122, 4.1.3.3), not of the socket.
#[must_use]
pub fn is_icmp(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

/// The address with IPv4 in its own form.
fn plain(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().to_canonical() != addr.ip() {
        addr.set_ip(addr.ip().to_canonical());
    }
    addr
}

/// What was sent to a group or to everybody has no address from which it can be answered.
fn own(to: Option<IpAddr>) -> Option<IpAddr> {
    let to = to.map(|ip| ip.to_canonical());
    to.filter(|ip| !ip.is_multicast() && *ip != IpAddr::V4(std::net::Ipv4Addr::BROADCAST))
}
