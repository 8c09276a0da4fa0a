//! UDP sockets of users and targets, as opposed to the one that QUIC runs on.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use quinn::AsyncUdpSocket;

/// A UDP socket for proxied datagrams.
#[derive(Debug)]
pub enum Datagrams {
    /// A socket of a simulated network.
    Virtual(Arc<dyn AsyncUdpSocket>),
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
    /// Waits for the next datagram. Cancel safe. A datagram longer than `buf` is cut; 65,507 bytes are
    /// enough for every one.
    ///
    /// # Errors
    /// What the system answered. An ICMP error is one of a single peer, never the socket's end.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<Received> {
        let _ = buf;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sends a datagram to `to`, from the local address `from` if one is given, so that the answer
    /// comes from where the question went. Never waits.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is no room now; the datagram is lost then.
    pub fn try_send(&self, payload: &[u8], to: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
        let _ = (payload, to, from);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where it is bound, with the port that the system chose.
    ///
    /// # Errors
    /// What `getsockname` answered.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Virtual(socket) => socket.local_addr(),
        }
    }
}
