//! A connection that is not yet a tunnel: it sends and receives single frames.

use std::net::SocketAddr;

use anyproxy_runtime::Scope;
use anyproxy_wire::{
    WireError,
    codes::CloseCode,
    frame::{self, Frame, Stage},
    handshake::EXPORTER_LABEL,
    message::Binding,
};
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use rustls_pki_types::CertificateDer;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    error::TunnelError,
    quic::{self, ControlStreams, QuicTunnel},
    tls::OfferedCertificate,
    tunnel::{Settings, Transport, Tunnel},
    ws::{self, Socket, WsTunnel},
};

/// Bytes read at a time; a handshake frame has 4 KiB at most.
const READ: usize = 4096;

pub(crate) enum Pipe {
    Quic(QuicPipe),
    WebSocket(Box<WsPipe>),
}

pub(crate) struct QuicPipe {
    pub(crate) conn: quinn::Connection,
    pub(crate) streams: ControlStreams,
}

pub(crate) struct WsPipe {
    pub(crate) socket: Socket,
    pub(crate) ahead: Bytes,
    pub(crate) peer: SocketAddr,
}

/// A frame with its bytes as they went over the wire, which proofs cover.
pub(crate) struct Raw {
    pub(crate) frame: Frame,
    pub(crate) bytes: Bytes,
}

impl Pipe {
    pub(crate) fn transport(&self) -> Transport {
        match self {
            Self::Quic(_) => Transport::Quic,
            Self::WebSocket(_) => Transport::WebSocket,
        }
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        match self {
            Self::Quic(pipe) => pipe.conn.remote_address(),
            Self::WebSocket(pipe) => pipe.peer,
        }
    }

    /// QUIC's proofs cover the TLS session; most of a WebSocket's cannot, see `docs/protocol.md`, 4.
    pub(crate) fn binding(&self) -> Binding {
        match self {
            Self::Quic(_) => Binding::Exporter,
            Self::WebSocket(_) => Binding::None,
        }
    }

    /// 32 bytes that only the two ends of this TLS session know, if `binding` is about them.
    pub(crate) fn exporter(&self, binding: Binding) -> Result<Option<[u8; 32]>, TunnelError> {
        if binding == Binding::None {
            return Ok(None);
        }
        let exported = match self {
            Self::Quic(pipe) => {
                let mut bytes = [0; 32];
                let exported = pipe.conn.export_keying_material(&mut bytes, EXPORTER_LABEL, &[]);
                exported.ok().map(|()| bytes)
            }
            Self::WebSocket(pipe) => pipe.socket.get_ref().exporter(EXPORTER_LABEL),
        };
        let none = || TunnelError::Transport("TLS gives no exporter".into());
        exported.map(Some).ok_or_else(none)
    }

    /// At the gateway: what the client has shown in TLS on this very connection.
    pub(crate) fn certificate(&self) -> Option<OfferedCertificate> {
        match self {
            Self::Quic(pipe) => {
                let shown = pipe.conn.peer_identity()?;
                OfferedCertificate::new(&shown.downcast::<Vec<CertificateDer<'static>>>().ok()?)
            }
            Self::WebSocket(pipe) => {
                OfferedCertificate::new(pipe.socket.get_ref().peer_certificates()?)
            }
        }
    }

    /// Sends a frame and gives its bytes back. Not cancel safe.
    pub(crate) async fn send(&mut self, frame: &Frame) -> Result<Bytes, TunnelError> {
        let mut bytes = BytesMut::new();
        frame.encode(&mut bytes);
        let bytes = bytes.freeze();
        match self {
            Self::Quic(pipe) => {
                let sent = pipe.streams.send.write_all(&bytes).await;
                sent.map_err(|error| write_failed(&pipe.conn, &error))?;
            }
            Self::WebSocket(pipe) => {
                let message = Message::Binary(bytes.clone());
                pipe.socket.send(message).await.map_err(|error| ws::broken(&error))?;
            }
        }
        Ok(bytes)
    }

    /// Receives the next frame. Cancel safe.
    pub(crate) async fn receive(&mut self) -> Result<Raw, TunnelError> {
        match self {
            Self::Quic(pipe) => pipe.receive().await,
            Self::WebSocket(pipe) => pipe.receive().await,
        }
    }

    /// At the gateway: lifts the limits of strangers. (QUIC's are lifted when the tunnel starts.)
    pub(crate) async fn widen(self) -> Self {
        match self {
            Self::Quic(pipe) => Self::Quic(pipe),
            Self::WebSocket(pipe) => {
                let WsPipe { socket, ahead, peer } = *pipe;
                let socket = ws::widen(socket).await;
                Self::WebSocket(Box::new(WsPipe { socket, ahead, peer }))
            }
        }
    }

    /// Ends the attempt with a code. What was sent before still leaves.
    pub(crate) async fn close(self, code: CloseCode, reason: &str) {
        match self {
            Self::Quic(mut pipe) => {
                // The Refuse must arrive before the close does away with it. Callers bound this.
                if pipe.streams.send.finish().is_ok() {
                    let _ = pipe.streams.send.stopped().await;
                }
                pipe.conn.close(quic::close_varint(code), reason.as_bytes());
            }
            Self::WebSocket(mut pipe) => {
                let _ = pipe.socket.close(Some(ws::close_frame(code, reason))).await;
                // Until the peer has closed too: closing a socket with unread bytes sends RST,
                // which would take the Refuse away from it.
                while let Some(Ok(_)) = pipe.socket.next().await {}
            }
        }
    }

    pub(crate) fn into_tunnel(self, settings: Settings, scope: &Scope) -> Tunnel {
        match self {
            Self::Quic(pipe) => Tunnel::quic(QuicTunnel::start(pipe, settings, scope)),
            Self::WebSocket(pipe) => {
                let WsPipe { socket, ahead, peer } = *pipe;
                Tunnel::websocket(WsTunnel::start(socket, ahead, peer, settings, scope))
            }
        }
    }
}

impl QuicPipe {
    async fn receive(&mut self) -> Result<Raw, TunnelError> {
        loop {
            let before = self.streams.ahead.clone();
            if let Some(frame) = frame::decode(&mut self.streams.ahead, Stage::Handshake)? {
                let taken = before.len().saturating_sub(self.streams.ahead.len());
                let bytes = before.freeze().slice(..taken);
                return Ok(Raw { frame, bytes });
            }
            match self.streams.recv.read_chunk(READ, true).await {
                Ok(Some(chunk)) => self.streams.ahead.extend_from_slice(&chunk.bytes),
                Ok(None) => return Err(truncated()),
                Err(quinn::ReadError::ConnectionLost(error)) => return Err(quic::lost(&error)),
                Err(error) => return Err(TunnelError::Transport(error.to_string())),
            }
        }
    }
}

impl WsPipe {
    async fn receive(&mut self) -> Result<Raw, TunnelError> {
        loop {
            let before = self.ahead.clone();
            if let Some(frame) = frame::decode_message(&mut self.ahead, Stage::Handshake)? {
                let taken = before.len().saturating_sub(self.ahead.len());
                return Ok(Raw { frame, bytes: before.slice(..taken) });
            }
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => self.ahead = bytes,
                Some(Ok(Message::Close(frame))) => return Err(ws::closed(frame.as_ref())),
                Some(Ok(Message::Text(_))) => {
                    return Err(WireError::UnexpectedFrame("text message").into());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Err(ws::broken(&error)),
                None => return Err(truncated()),
            }
        }
    }
}

fn truncated() -> TunnelError {
    TunnelError::theirs(CloseCode::Abandoned, "it hung up during the handshake")
}

fn write_failed(conn: &quinn::Connection, error: &quinn::WriteError) -> TunnelError {
    match conn.close_reason() {
        Some(error) => quic::lost(&error),
        None => TunnelError::Transport(error.to_string()),
    }
}
