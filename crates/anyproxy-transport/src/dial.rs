//! The client's way to its gateway.

mod examine;
mod gateways;
mod hints;
mod race;
mod through;

use std::{
    borrow::Cow,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyproxy_runtime::Deadline;
use quinn::{Endpoint, TokioRuntime};
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;

pub use examine::{Examiner, NoDate, PathSize};
pub use gateways::Gateways;

use crate::{
    error::TunnelError,
    handshake::{Pipe, QuicPipe, WsPipe},
    net::{Conn, Net, Role, is_out_of_files},
    proxy::{HttpProxy, ProxyError, Way},
    quic::{self, Congestion, ControlStreams, Limits},
    tls::{OldestTls, OwnCertificate, Trust, TrustError},
    tunnel::Transport,
    ws,
};

/// Silence after which quinn gives a connection up. The shorter one of both ends counts (RFC 9000,
/// 10.1), and the gateway's own is what Welcome says; our heartbeat keeps to that as well.
const DEAD_AFTER: Duration = Duration::from_secs(120);

/// Where a gateway is and how to know it.
#[derive(Debug, Clone)]
pub struct DialConfig {
    /// Host name or IP address.
    pub host: String,
    /// Port, the same for both transports.
    pub port: u16,
    /// The name that the certificate must have; `host` if `None`.
    pub server_name: Option<String>,
    /// What makes it the right gateway.
    pub trust: Trust,
    /// What the client shows of itself where it is asked.
    pub certificate: Option<OwnCertificate>,
    /// Path of the WebSocket.
    pub path: String,
    /// Oldest TLS version of the WebSocket.
    pub oldest_tls: OldestTls,
    /// What the WebSocket meets on its way.
    pub route: Route,
    /// Who decides how fast it sends towards the gateway.
    pub congestion: Congestion,
}

/// What a WebSocket meets on its way; nothing by default. QUIC is dialled straight, always.
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// The proxy to dial through. It looks the gateway's name up.
    pub proxy: Option<HttpProxy>,
    /// `Host` of the request, with the port if it has one, for reverse proxies that tell sites apart
    /// by it; else the server name.
    pub host: Option<String>,
}

/// Why a dialler cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DialConfigError {
    /// The name cannot be in a certificate.
    #[error("{0:?} is neither a host name nor an IP address")]
    ServerName(String),
    /// The trust settings are unusable.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// TLS cannot carry QUIC.
    #[error("TLS cannot be used for QUIC: {0}")]
    Quic(String),
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The gateway's name could not be looked up.
    #[error("cannot look up {host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No local socket.
    #[error("no socket to reach {addr}: {source}{}", hints::files(.source))]
    Socket {
        /// The gateway's address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The gateway did not take the connection.
    #[error("cannot connect to {addr}/{protocol}: {source}{hint}")]
    Connect {
        /// The gateway's address.
        addr: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
        /// What went wrong.
        source: TunnelError,
        /// What a person may try; may be empty.
        hint: Cow<'static, str>,
    },
    /// The HTTP proxy does not let us through.
    #[error("cannot connect to {gateway} through the proxy {proxy}: {source}")]
    Proxy {
        /// The gateway's name and port.
        gateway: String,
        /// The proxy, without its password.
        proxy: String,
        /// Why not, and what a person can do.
        source: ProxyError,
    },
    /// The proxy lets us through, and the gateway, or whoever answers in its place, did not take
    /// the connection.
    #[error("cannot connect to {gateway} through the proxy {proxy}: {source}{hint}")]
    Through {
        /// The gateway's name and port.
        gateway: String,
        /// The proxy, without its password.
        proxy: String,
        /// What went wrong.
        source: TunnelError,
        /// What a person may try; may be empty.
        hint: Cow<'static, str>,
    },
    /// It took too long.
    #[error("{addr}/{protocol} did not answer in time{hint}")]
    TimedOut {
        /// The gateway's address.
        addr: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
        /// What a person may try.
        hint: &'static str,
    },
}

impl DialError {
    /// Whether whoever answered has no certificate that the client accepts.
    #[must_use]
    pub fn is_wrong_certificate(&self) -> bool {
        match self {
            Self::Connect { source: TunnelError::Transport(text), .. }
            | Self::Through { source: TunnelError::Transport(text), .. } => {
                text.contains("invalid peer certificate: ") || text.contains("not the pinned one")
            }
            Self::Connect { .. }
            | Self::Through { .. }
            | Self::Resolve { .. }
            | Self::Socket { .. }
            | Self::Proxy { .. }
            | Self::TimedOut { .. } => false,
        }
    }
}

/// Dials one gateway, as often as needed.
pub struct Dialer {
    net: Arc<dyn Net>,
    config: DialConfig,
    name: ServerName<'static>,
    quic: quinn::ClientConfig,
    websocket: TlsConnector,
    way: Option<Way>,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A secured connection to the right gateway, before the log-in.
pub struct Connected {
    pub(crate) pipe: Pipe,
}

impl Connected {
    /// Who is at the other end: the gateway, or the proxy before it.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.pipe.peer()
    }
}

impl Dialer {
    /// Prepares TLS for both transports.
    ///
    /// # Errors
    /// See [`DialConfigError`].
    pub fn new(net: Arc<dyn Net>, config: DialConfig) -> Result<Self, DialConfigError> {
        let quic = config.trust.quic()?;
        let websocket = config.trust.websocket(config.oldest_tls)?;
        Self::with_tls(net, config, (quic, websocket))
    }

    fn with_tls(
        net: Arc<dyn Net>,
        config: DialConfig,
        (quic, websocket): (Arc<rustls::ClientConfig>, Arc<rustls::ClientConfig>),
    ) -> Result<Self, DialConfigError> {
        let name = config.server_name.as_deref().unwrap_or(&config.host).to_owned();
        let name =
            ServerName::try_from(name.clone()).map_err(|_| DialConfigError::ServerName(name))?;
        let present = |tls| match &config.certificate {
            Some(certificate) => certificate.present(tls),
            None => tls,
        };
        let (quic, websocket) = (present(quic), present(websocket));
        let limits = Limits::Gateway;
        let quic = quic::client_config(quic, limits, DEAD_AFTER, config.congestion)
            .map_err(|error| DialConfigError::Quic(error.to_string()))?;
        let websocket = TlsConnector::from(websocket);
        let way = config.route.proxy.clone().map(Way::new).transpose()?;
        Ok(Self { net, config, name, quic, websocket, way })
    }

    async fn dial_one(
        &self,
        transport: Transport,
        addr: SocketAddr,
        deadline: Deadline,
    ) -> Result<Connected, DialError> {
        let (protocol, hint) = match transport {
            Transport::Quic => ("udp", "; if a firewall drops UDP, use --transport ws"),
            Transport::WebSocket => ("tcp", ""),
        };
        let connecting = async {
            match transport {
                Transport::Quic => tokio::select! {
                    pipe = self.dial_quic(addr) => pipe,
                    error = quic::closed(&*self.net, addr) => Err(error.into()),
                },
                Transport::WebSocket => self.dial_websocket(addr).await,
            }
        };
        match deadline.bound(connecting).await {
            Ok(Ok(pipe)) => Ok(Connected { pipe }),
            Ok(Err(Failed::Socket(source))) => Err(DialError::Socket { addr, source }),
            Ok(Err(Failed::Tunnel(source))) => {
                let hint = self.certificate_hint(&source);
                Err(DialError::Connect { addr, protocol, source, hint })
            }
            Err(_) => Err(DialError::TimedOut { addr, protocol, hint }),
        }
    }

    async fn dial_quic(&self, addr: SocketAddr) -> Result<Pipe, Failed> {
        let any: IpAddr = match addr {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // A fresh socket each time: a stale NAT binding cannot keep us away for ever.
        let socket = self.net.udp(SocketAddr::new(any, 0)).map_err(Failed::Socket)?;
        let runtime = Arc::new(TokioRuntime);
        let endpoint =
            Endpoint::new_with_abstract_socket(quic::endpoint_config(), None, socket, runtime)
                .map_err(Failed::Socket)?;
        let connecting = endpoint
            .connect_with(self.quic.clone(), addr, &self.name.to_str())
            .map_err(|error| TunnelError::Transport(error.to_string()))?;
        let conn = connecting.await.map_err(|error| quic::lost(&error))?;
        let (send, recv) = conn.open_bi().await.map_err(|error| quic::lost(&error))?;
        let streams = ControlStreams { send, recv, ahead: bytes::BytesMut::new() };
        Ok(Pipe::Quic(QuicPipe { conn, streams }))
    }

    async fn dial_websocket(&self, addr: SocketAddr) -> Result<Pipe, Failed> {
        let conn =
            self.net.connect(addr, Role::Tunnel).await.map_err(|error| {
                match is_out_of_files(&error) {
                    true => Failed::Socket(error),
                    false => Failed::Tunnel(TunnelError::Transport(error.to_string())),
                }
            })?;
        Ok(self.upgrade(conn, addr).await?)
    }

    /// From a connection to the gateway, or to a proxy at `peer` that passes it on, to a WebSocket.
    async fn upgrade(&self, conn: Conn, peer: SocketAddr) -> Result<Pipe, TunnelError> {
        conn.set_congestion(self.config.congestion);
        let tls = self
            .websocket
            .connect(self.name.clone(), ws::Heard::new(conn))
            .await
            .map_err(|error| TunnelError::Transport(error.to_string()))?;
        let socket = ws::connect(tls.into(), &self.host_header(), &self.config.path).await?;
        let ahead = bytes::Bytes::new();
        Ok(Pipe::WebSocket(Box::new(WsPipe { socket, ahead, peer })))
    }

    /// `Host` names the gateway as its certificate does (RFC 9110, 7.2).
    fn host_header(&self) -> String {
        if let Some(host) = &self.config.route.host {
            return host.clone();
        }
        let host = self.config.server_name.as_deref().unwrap_or(&self.config.host);
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        match self.config.port {
            443 => host,
            port => format!("{host}:{port}"),
        }
    }
}

enum Failed {
    Socket(io::Error),
    Tunnel(TunnelError),
}

impl From<TunnelError> for Failed {
    fn from(error: TunnelError) -> Self {
        Self::Tunnel(error)
    }
}
