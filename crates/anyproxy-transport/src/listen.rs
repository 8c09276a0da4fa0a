//! The gateway's door: QUIC and WebSocket on one port number.
//!
//! ```text
//! accept ──▶ Arrival (nothing read yet) ──spawn──▶ greet: transport handshake, Hello
//! ```
//!
//! Accepting never waits for a handshake, so one slow peer cannot hold the others up.

mod arrival;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use quinn::{Endpoint, TokioRuntime};
use tokio_rustls::TlsAcceptor;

use crate::{
    behind::Behind,
    net::{Accepting, Listener, Net, Role, UnixDoor},
    quic::{self, Congestion},
    tls::{Asking, ClientCertificates, Identity, IdentityError, OldestTls, Shown},
    ws,
};

pub use arrival::Arrival;
use arrival::Door;

/// How often another port is tried when the system's choice is free for one protocol only.
const PORT_TRIES: u32 = 16;

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
    /// Who decides how fast it sends towards clients.
    pub congestion: Congestion,
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
    /// How accepting goes at the TCP port, and at the Unix socket: one has no part in the other's
    /// pauses, and QUIC, which needs no descriptor for a connection, in neither's.
    accepting: (Accepting, Accepting),
    door: ws::Door,
    shown: Arc<Shown>,
    asking: Arc<Asking>,
    addr: SocketAddr,
}

struct WebSocketDoor {
    listener: Listener,
    tls: TlsAcceptor,
    congestion: Congestion,
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
        let (shown, asking) = (Shown::new(&config.identity), Asking::new());
        let tls = (&shown, &asking);
        let websocket = match config.offer {
            Offer::Quic => None,
            Offer::WebSocket | Offer::Both => Some(WebSocketDoor::bind(net, config, tls)?),
        };
        if let Some(door) = &websocket {
            addr = door.listener.local_addr().map_err(|error| bind_error(addr, "tcp", error))?;
        }
        let quic = match config.offer {
            Offer::WebSocket => None,
            Offer::Quic | Offer::Both => Some(bind_quic(net, config, addr, tls)?),
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
        let accepting = (Accepting::new("tunnels"), Accepting::new("ws_socket"));
        Ok(Self { quic, websocket, unix, accepting, door, shown, asking, addr })
    }

    /// Where it listens, with the port that the system chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Shows new peers another certificate from now on. Tunnels that are up go on.
    pub fn set_identity(&self, identity: &Identity) {
        self.shown.set(identity);
    }

    /// Asks new peers for certificates from now on, or does not.
    pub fn set_client_certificates(&self, certificates: ClientCertificates) {
        self.asking.set(certificates);
    }

    /// Waits for the next peer, of which nothing was read yet. Cancel safe. A failure to accept costs
    /// a pause, never the listener, and is logged.
    pub async fn accept(&self) -> Arrival {
        tokio::select! {
            arrival = self.accept_quic() => arrival,
            arrival = self.accept_websocket() => arrival,
            arrival = self.accept_unix() => arrival,
        }
    }

    async fn accept_quic(&self) -> Arrival {
        let Some(endpoint) = &self.quic else { return std::future::pending().await };
        match endpoint.accept().await {
            Some(incoming) => Arrival(Door::Quic(Box::new(incoming))),
            None => std::future::pending().await,
        }
    }

    async fn accept_websocket(&self) -> Arrival {
        let Some(door) = &self.websocket else { return std::future::pending().await };
        let accepted = self.accepting.0.next(|| door.listener.accept(Role::Tunnel));
        let (conn, peer) = accepted.await;
        conn.set_congestion(door.congestion);
        let (tls, door) = (door.tls.clone(), self.door.clone());
        Arrival(Door::WebSocket { conn, peer, tls, door })
    }

    async fn accept_unix(&self) -> Arrival {
        let Some(unix) = &self.unix else { return std::future::pending().await };
        let stream = self.accepting.1.next(|| unix.accept()).await;
        Arrival(Door::Unix { stream, door: self.door.clone() })
    }
}

impl WebSocketDoor {
    fn bind(
        net: &dyn Net,
        config: &ListenConfig,
        (shown, asking): (&Arc<Shown>, &Arc<Asking>),
    ) -> Result<Self, ListenError> {
        let tls = TlsAcceptor::from(shown.websocket(config.oldest_tls, asking)?);
        let listener =
            net.listen(config.addr).map_err(|error| bind_error(config.addr, "tcp", error))?;
        Ok(Self { listener, tls, congestion: config.congestion })
    }
}

fn bind_quic(
    net: &dyn Net,
    config: &ListenConfig,
    addr: SocketAddr,
    (shown, asking): (&Arc<Shown>, &Arc<Asking>),
) -> Result<Endpoint, ListenError> {
    let quic_error = |error: &dyn std::fmt::Display| ListenError::Quic(error.to_string());
    let keys = quic::EndpointKeys::of(&config.identity).map_err(|error| quic_error(&error))?;
    let quic = shown.quic(asking)?;
    let server = quic::server_config(quic, &keys, config.dead_after, config.congestion)
        .map_err(|error| quic_error(&error))?;
    let socket = net.udp(addr).map_err(|error| bind_error(addr, "udp", error))?;
    Endpoint::new_with_abstract_socket(
        quic::gateway_endpoint(&keys),
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
