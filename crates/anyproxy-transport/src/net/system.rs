//! The operating system's sockets.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use quinn::Runtime as _;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::Semaphore,
};

use super::{
    AsyncUdpSocket, BoxFuture, Conn, Datagrams, Listener, Net, OutsideTime, Role, UdpBuffers,
    UnixDoor, inherited::Inherited, options,
};

/// Look-ups in the system's resolver at once. Each holds a thread until it ends, also when nobody
/// waits for it any more, because `getaddrinfo` cannot be stopped.
const LOOKUPS: usize = 64;

/// The operating system's sockets and resolver.
#[derive(Debug)]
pub struct System {
    /// Whether small UDP buffers were mentioned: a client makes a socket for each attempt.
    told: AtomicBool,
    lookups: Arc<Semaphore>,
    inherited: Inherited,
}

impl Default for System {
    fn default() -> Self {
        Self {
            told: AtomicBool::new(false),
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
            inherited: Inherited::default(),
        }
    }
}

impl System {
    /// With sockets that were bound for this process. Each serves when its very address is asked for.
    ///
    /// # Errors
    /// When a socket has no address.
    pub fn with_inherited(
        listeners: Vec<std::net::TcpListener>,
        sockets: Vec<std::net::UdpSocket>,
    ) -> io::Result<Self> {
        Ok(Self { inherited: Inherited::new(listeners, sockets)?, ..Self::default() })
    }

    /// What the kernel grants a socket that QUIC would run on. Binds one for a moment.
    ///
    /// # Errors
    /// When there is no such socket.
    pub fn udp_buffers() -> io::Result<UdpBuffers> {
        options::udp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).map(|(_, buffers)| buffers)
    }

    /// The largest packet that the kernel sends to `addr` in one piece, by its own link and by what the way has told
    /// it (ICMP), in bytes with the IP header. Sends nothing.
    ///
    /// # Errors
    /// When there is no way to `addr`, and where the system does not tell.
    pub fn path_mtu(addr: SocketAddr) -> io::Result<u32> {
        options::path_mtu(addr)
    }

    /// Inherited sockets that were not asked for so far, as `address/protocol`.
    #[must_use]
    pub fn unused_sockets(&self) -> Vec<String> {
        self.inherited.unused()
    }
}

impl Net for System {
    fn listen(&self, addr: SocketAddr) -> io::Result<Listener> {
        let listener = match self.inherited.listener(addr) {
            Some(listener) => {
                listener.set_nonblocking(true)?;
                listener
            }
            None => options::listener(addr)?,
        };
        TcpListener::from_std(listener).map(Listener::Tcp)
    }

    fn listen_unix(&self, path: &Path) -> io::Result<UnixDoor> {
        UnixDoor::bind(path)
    }

    fn connect(&self, addr: SocketAddr, role: Role) -> BoxFuture<'_, io::Result<Conn>> {
        Box::pin(async move {
            let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            options::bound_segments(&socket, addr, role);
            let tcp = socket.connect(addr).await?;
            options::apply(&tcp, role);
            Ok(Conn::Tcp(tcp))
        })
    }

    fn udp(&self, addr: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let (socket, buffers) = match self.inherited.socket(addr) {
            Some(socket) => options::inherited_udp(socket)?,
            None => options::udp(addr)?,
        };
        if buffers.is_short() && !self.told.swap(true, Ordering::Relaxed) {
            tracing::info!(
                asked = buffers.asked,
                receive = buffers.receive,
                send = buffers.send,
                "the kernel grants smaller UDP buffers than asked for; for fast links raise \
                 net.core.rmem_max and net.core.wmem_max"
            );
        }
        quinn::TokioRuntime.wrap_udp_socket(socket)
    }

    fn datagrams(&self, local: SocketAddr, peer: Option<SocketAddr>) -> io::Result<Datagrams> {
        Datagrams::system(options::datagrams(local, peer)?, peer)
    }

    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            if let Ok(ip) = host.parse() {
                return Ok(vec![SocketAddr::new(ip, port)]);
            }
            let turn = Arc::clone(&self.lookups).acquire_owned().await;
            let turn = turn.map_err(io::Error::other)?;
            let host = host.to_owned();
            let looking = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                (host.as_str(), port).to_socket_addrs().map(Iterator::collect)
            });
            looking.await.map_err(io::Error::other)?.map_err(classify)
        })
    }

    fn source(&self, peer: SocketAddr) -> Option<IpAddr> {
        let any: IpAddr = match peer {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // To connect a UDP socket is to ask for a route (connect(2)).
        let socket = std::net::UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
        socket.connect(peer).ok()?;
        socket.local_addr().ok().map(|addr| addr.ip())
    }

    fn outside_time(&self) -> Option<OutsideTime> {
        OutsideTime::now()
    }
}

/// Tells "no such name" from "the look-up failed".
///
/// The standard library reports both as [`io::ErrorKind::Uncategorized`], with the text of
/// `gai_strerror`; glibc's and musl's texts for `EAI_NONAME` and `EAI_NODATA` are stable.
fn classify(error: io::Error) -> io::Error {
    const UNKNOWN: [&str; 4] = [
        "Name or service not known",
        "No address associated with hostname",
        "Name does not resolve",
        "nodename nor servname provided",
    ];
    let text = error.to_string();
    if UNKNOWN.iter().any(|known| text.contains(known)) {
        return io::Error::new(io::ErrorKind::NotFound, text);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_source_is_what_the_system_would_take() {
        let source = |peer: &str| System::default().source(peer.parse().unwrap());
        assert_eq!(source("127.0.0.1:443"), Some(Ipv4Addr::LOCALHOST.into()));
        assert_ne!(source("127.0.0.1:443"), source("[::1]:443"));
    }
}
