//! The gateway's door: QUIC and WebSocket on one port number.
//!
//! ```text
//! accept ──▶ Arrival (nothing read yet) ──spawn──▶ greet: transport handshake, Hello
//! ```
//!
//! Accepting never waits for a handshake, so one slow peer cannot hold the others up.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyproxy_runtime::Deadline;
use quinn::{Endpoint, TokioRuntime};
use tokio_rustls::TlsAcceptor;

use crate::{
    behind::{self, Behind, ToldBy, UNKNOWN},
    error::TunnelError,
    handshake::{Greeting, Pipe, QuicPipe, WsPipe},
    net::{Conn, Listener, LocalStream, Net, Role, UnixDoor},
    quic::{self, ControlStreams},
    tls::{Identity, IdentityError, OldestTls},
    ws::{self, Wire},
};

/// How often another port is tried when the system's choice is free for one protocol only.
const PORT_TRIES: u32 = 16;

/// Handshakes under way from which on a QUIC peer must first show that it owns its address
/// (a Retry, RFC 9000, 8.1.2).
const RETRY_FROM: usize = 256;

/// Which transports a gateway offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Offer {
    /// QUIC alone.
    Quic,
    /// The WebSocket alone.
    WebSocket,
    /// Both, on the same port number.
    #[default]
    Both,
}

/// How a gateway listens for tunnels.
#[derive(Debug)]
pub struct ListenConfig {
    /// Address and port (0: any).
    pub addr: SocketAddr,
    /// Which transports.
    pub offer: Offer,
    /// Certificate and key.
    pub identity: Identity,
    /// Path of the WebSocket, with its leading slash.
    pub path: String,
    /// Oldest TLS version of the WebSocket.
    pub oldest_tls: OldestTls,
    /// Silence after which a peer is dead.
    pub dead_after: Duration,
    /// What stands in front of the WebSocket. It has no bearing on QUIC.
    pub behind: Behind,
}

/// Why a gateway cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be had.
    #[error("cannot listen on {addr}/{protocol} for tunnels")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The Unix socket cannot be had.
    #[error("cannot listen on {} for tunnels", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate or key is not usable.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificate cannot serve QUIC.
    #[error("TLS cannot serve QUIC: {0}")]
    Quic(String),
}

/// Listens for tunnels; the port is free again when this is dropped.
pub struct TunnelListener {
    quic: Option<Endpoint>,
    websocket: Option<WebSocketDoor>,
    unix: Option<UnixDoor>,
    door: ws::Door,
    addr: SocketAddr,
}

struct WebSocketDoor {
    listener: Listener,
    tls: TlsAcceptor,
}

impl std::fmt::Debug for TunnelListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TunnelListener").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl TunnelListener {
    /// Binds what `config` offers. When this returns, the port is ours.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn bind(net: &dyn Net, config: &ListenConfig) -> Result<Self, ListenError> {
        let mut tries = PORT_TRIES;
        loop {
            match Self::bind_once(net, config) {
                Err(ListenError::Bind { protocol: "udp", .. })
                    if config.addr.port() == 0 && tries > 0 =>
                {
                    tries -= 1;
                }
                result => return result,
            }
        }
    }

    fn bind_once(net: &dyn Net, config: &ListenConfig) -> Result<Self, ListenError> {
        let mut addr = config.addr;
        let websocket = match config.offer {
            Offer::Quic => None,
            Offer::WebSocket | Offer::Both => Some(WebSocketDoor::bind(net, config)?),
        };
        if let Some(door) = &websocket {
            addr = door.listener.local_addr().map_err(|error| bind_error(addr, "tcp", error))?;
        }
        let quic = match config.offer {
            Offer::WebSocket => None,
            Offer::Quic | Offer::Both => Some(bind_quic(net, config, addr)?),
        };
        if let Some(endpoint) = &quic {
            addr = endpoint.local_addr().map_err(|error| bind_error(addr, "udp", error))?;
        }
        let unix = config.behind.socket.as_deref().map(|path| bind_unix(net, path)).transpose()?;
        let door = ws::Door {
            path: config.path.as_str().into(),
            trusted: Arc::new(config.behind.trusted.clone()),
            told_by: config.behind.told_by,
        };
        Ok(Self { quic, websocket, unix, door, addr })
    }

    /// Where it listens, with the port that the system chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits for the next peer, of which nothing was read yet. Cancel safe.
    ///
    /// # Errors
    /// What `accept` answered; the listener still owns its port, so go on after a pause.
    pub async fn accept(&self) -> io::Result<Arrival> {
        tokio::select! {
            arrival = self.accept_quic() => Ok(arrival),
            arrival = self.accept_websocket() => arrival,
            arrival = self.accept_unix() => arrival,
        }
    }

    async fn accept_quic(&self) -> Arrival {
        let Some(endpoint) = &self.quic else { return std::future::pending().await };
        loop {
            let Some(incoming) = endpoint.accept().await else {
                return std::future::pending().await;
            };
            let crowded = endpoint.open_connections() >= RETRY_FROM;
            if crowded && !incoming.remote_address_validated() && incoming.may_retry() {
                let _ = incoming.retry();
                continue;
            }
            return Arrival(Door::Quic(Box::new(incoming)));
        }
    }

    async fn accept_websocket(&self) -> io::Result<Arrival> {
        let Some(door) = &self.websocket else { return std::future::pending().await };
        let (conn, peer) = door.listener.accept(Role::Tunnel).await?;
        let (tls, door) = (door.tls.clone(), self.door.clone());
        Ok(Arrival(Door::WebSocket { conn, peer, tls, door }))
    }

    async fn accept_unix(&self) -> io::Result<Arrival> {
        let Some(unix) = &self.unix else { return std::future::pending().await };
        let stream = unix.accept().await?;
        Ok(Arrival(Door::Unix { stream, door: self.door.clone() }))
    }
}

impl WebSocketDoor {
    fn bind(net: &dyn Net, config: &ListenConfig) -> Result<Self, ListenError> {
        let tls = TlsAcceptor::from(config.identity.websocket(config.oldest_tls)?);
        let listener =
            net.listen(config.addr).map_err(|error| bind_error(config.addr, "tcp", error))?;
        Ok(Self { listener, tls })
    }
}

fn bind_quic(
    net: &dyn Net,
    config: &ListenConfig,
    addr: SocketAddr,
) -> Result<Endpoint, ListenError> {
    let server = quic::server_config(config.identity.quic()?, config.dead_after)
        .map_err(|error| ListenError::Quic(error.to_string()))?;
    let socket = net.udp(addr).map_err(|error| bind_error(addr, "udp", error))?;
    Endpoint::new_with_abstract_socket(
        quic::endpoint_config(),
        Some(server),
        socket,
        Arc::new(TokioRuntime),
    )
    .map_err(|error| bind_error(addr, "udp", error))
}

fn bind_unix(net: &dyn Net, path: &Path) -> Result<UnixDoor, ListenError> {
    net.listen_unix(path).map_err(|source| ListenError::Socket { path: path.to_owned(), source })
}

fn bind_error(addr: SocketAddr, protocol: &'static str, source: io::Error) -> ListenError {
    ListenError::Bind { addr, protocol, source }
}

/// A peer of which nothing was read yet.
pub struct Arrival(Door);

enum Door {
    Quic(Box<quinn::Incoming>),
    WebSocket { conn: Conn, peer: SocketAddr, tls: TlsAcceptor, door: ws::Door },
    Unix { stream: LocalStream, door: ws::Door },
}

impl Arrival {
    /// Who is connected: the client, or a reverse proxy. One over the Unix socket has no address,
    /// and 0.0.0.0 stands for it.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        match &self.0 {
            Door::Quic(incoming) => incoming.remote_address(),
            Door::WebSocket { peer, .. } => *peer,
            Door::Unix { .. } => UNKNOWN,
        }
    }

    /// Whether [`Arrival::peer`] is a trusted reverse proxy, or one on this machine, through which
    /// many clients come: nothing is to be counted by its address. Where the client comes from is
    /// known once it was greeted ([`Greeting::peer`]).
    #[must_use]
    pub fn is_through_proxy(&self) -> bool {
        match &self.0 {
            Door::Quic(_) => false,
            Door::WebSocket { peer, door, .. } => door.trusted.has(peer.ip()),
            Door::Unix { .. } => true,
        }
    }

    /// Shakes hands and reads the Hello, all before `deadline`. Not cancel safe: dropping the
    /// future closes the connection.
    ///
    /// # Errors
    /// [`TunnelError`] when the peer is no client, or is too slow.
    pub async fn greet(self, deadline: Deadline) -> Result<Greeting, TunnelError> {
        let greeting = async {
            let pipe = match self.0 {
                Door::Quic(incoming) => greet_quic(*incoming).await?,
                Door::WebSocket { conn, peer, tls, door } => {
                    let believed = door.trusted.has(peer.ip());
                    greet_websocket(Wires::Tls(conn, tls), Peer { addr: peer, believed }, &door)
                        .await?
                }
                Door::Unix { stream, door } => {
                    let peer = Peer { addr: UNKNOWN, believed: door.trusted.has_unix() };
                    greet_websocket(Wires::Local(stream), peer, &door).await?
                }
            };
            Greeting::read(pipe).await
        };
        deadline.bound(greeting).await.unwrap_or_else(|_| Err(too_slow()))
    }
}

/// What a WebSocket comes over, before TLS.
enum Wires {
    Tls(Conn, TlsAcceptor),
    Local(LocalStream),
}

/// Who is connected, and whether it is believed what it tells of clients.
struct Peer {
    addr: SocketAddr,
    believed: bool,
}

async fn greet_websocket(wires: Wires, peer: Peer, door: &ws::Door) -> Result<Pipe, TunnelError> {
    let transport = |error: io::Error| TunnelError::Transport(error.to_string());
    let header = peer.believed && door.told_by == ToldBy::ProxyProtocol;
    let mut client = None;
    let wire = match wires {
        Wires::Tls(mut conn, tls) => {
            if header {
                client = behind::read_header(&mut conn).await.map_err(transport)?;
            }
            Wire::from(tls.accept(conn).await.map_err(transport)?)
        }
        Wires::Local(mut stream) => {
            if header {
                client = behind::read_header(&mut stream).await.map_err(transport)?;
            }
            Wire::Local(stream)
        }
    };
    let asked = ws::accept(wire, door).await?;
    let told = if peer.believed { client.or(asked.client) } else { None };
    let ahead = bytes::Bytes::new();
    let peer = told.unwrap_or(peer.addr);
    Ok(Pipe::WebSocket(Box::new(WsPipe { socket: asked.socket, ahead, peer })))
}

fn too_slow() -> TunnelError {
    TunnelError::ours(
        anyproxy_wire::codes::CloseCode::TooSlow,
        "the handshake was not finished in time",
    )
}

async fn greet_quic(incoming: quinn::Incoming) -> Result<Pipe, TunnelError> {
    let conn = incoming.await.map_err(|error| quic::lost(&error))?;
    let (send, recv) = conn.accept_bi().await.map_err(|error| quic::lost(&error))?;
    let streams = ControlStreams { send, recv, ahead: bytes::BytesMut::new() };
    Ok(Pipe::Quic(QuicPipe { conn, streams }))
}
