//! From an accepted connection to a stranger that has said Hello.

use std::{io, net::SocketAddr};

use anyproxy_runtime::Deadline;
use tokio_rustls::TlsAcceptor;

use crate::{
    behind::{self, ToldBy, UNKNOWN},
    error::TunnelError,
    handshake::{Greeting, Pipe, QuicPipe, WsPipe},
    net::{Conn, LocalStream},
    quic::{self, ControlStreams},
    ws::{self, Heard, Wire},
};

/// A peer of which nothing was read yet.
pub struct Arrival(pub(super) Door);

pub(super) enum Door {
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

    /// Whether the peer is known to be where its packets say that they come from. TCP's handshake shows
    /// it; a first packet of QUIC does not, unless it has a token of ours.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        match &self.0 {
            Door::Quic(incoming) => incoming.remote_address_validated(),
            Door::WebSocket { .. } | Door::Unix { .. } => true,
        }
    }

    /// Has the peer prove its address: it is sent a token, nothing is kept of it, and it comes again with that
    /// (Retry, RFC 9000, 8.1.2). Who sends under another's address never sees the token, and the
    /// answer is shorter than the question. One that has proven its address already is turned away.
    pub fn ask_for_proof(self) {
        if let Door::Quic(incoming) = self.0
            && incoming.may_retry()
        {
            // It fails only where a Retry would be illegal, and then the peer is turned away.
            let _ = incoming.retry();
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

/// The PROXY header if one is to come, then TLS unless it is the Unix socket, then HTTP, whose fields
/// may tell the client's address too.
async fn greet_websocket(wires: Wires, peer: Peer, door: &ws::Door) -> Result<Pipe, TunnelError> {
    let transport = |error: io::Error| TunnelError::Transport(error.to_string());
    let header = peer.believed && door.told_by == ToldBy::ProxyProtocol;
    let mut client = None;
    let wire = match wires {
        Wires::Tls(mut conn, tls) => {
            if header {
                client = behind::read_header(&mut conn).await.map_err(transport)?;
            }
            Wire::from(tls.accept(Heard::new(conn)).await.map_err(transport)?)
        }
        Wires::Local(mut stream) => {
            if header {
                client = behind::read_header(&mut stream).await.map_err(transport)?;
            }
            Wire::Local(Heard::new(stream))
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
