//! The raw client: frames cut by hand out of what a transport delivers.

use std::sync::Arc;

use anyproxy_wire::handshake::EXPORTER_LABEL;
use bytes::{Buf as _, Bytes};
use futures_util::{SinkExt as _, StreamExt as _};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

const PING: u8 = 8;

pub(crate) enum Peer {
    Quic(QuicPeer),
    WebSocket(Box<WsPeer>),
}

pub(crate) struct QuicPeer {
    pub(crate) conn: quinn::Connection,
    send: quinn::SendStream,
    recv: quinn::RecvStream,
    buffer: Vec<u8>,
    _endpoint: quinn::Endpoint,
}

pub(crate) struct WsPeer {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    message: Bytes,
}

fn tls(root: CertificateDer<'static>, alpn: &[u8]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

/// Cuts the first frame off: type, length, payload.
fn cut(bytes: &mut impl Cut) -> Option<Vec<u8>> {
    let all = bytes.view();
    let (_, kind) = varint(all)?;
    let (length, size) = varint(&all[kind..])?;
    let end = kind + size + usize::try_from(length).unwrap();
    let frame = all.get(..end)?.to_vec();
    bytes.skip(end);
    Some(frame)
}

trait Cut {
    fn view(&self) -> &[u8];
    fn skip(&mut self, bytes: usize);
}

impl Cut for Vec<u8> {
    fn view(&self) -> &[u8] {
        self
    }

    fn skip(&mut self, bytes: usize) {
        self.drain(..bytes);
    }
}

impl Cut for Bytes {
    fn view(&self) -> &[u8] {
        self
    }

    fn skip(&mut self, bytes: usize) {
        self.advance(bytes);
    }
}

/// RFC 9000, 16: the value, and how many bytes it takes.
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let size = 1 << (bytes.first()? >> 6);
    let value = bytes.get(..size)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    Some((value & ((1 << (8 * size - 2)) - 1), size))
}

impl QuicPeer {
    pub(crate) async fn connect(port: u16, root: CertificateDer<'static>) -> Self {
        let crypto = QuicClientConfig::try_from(tls(root, b"anyproxy/1")).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(crypto));
        let endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
        let gateway = ([127, 0, 0, 1], port).into();
        let conn = endpoint.connect_with(config, gateway, "localhost").unwrap().await.unwrap();
        let (send, recv) = conn.open_bi().await.unwrap();
        Self { conn, send, recv, buffer: Vec::new(), _endpoint: endpoint }
    }

    /// The next data stream of the gateway, and the frame at its head.
    pub(crate) async fn stream(&mut self) -> (quinn::SendStream, quinn::RecvStream, Vec<u8>) {
        let (send, mut recv) = self.conn.accept_bi().await.unwrap();
        let mut head = vec![0; 3];
        recv.read_exact(&mut head).await.unwrap();
        let (length, size) = varint(&head[1..]).unwrap();
        head.resize(1 + size + usize::try_from(length).unwrap(), 0);
        recv.read_exact(&mut head[3..]).await.unwrap();
        (send, recv, head)
    }

    async fn next(&mut self) -> Vec<u8> {
        loop {
            if let Some(frame) = cut(&mut self.buffer) {
                return frame;
            }
            let chunk = self.recv.read_chunk(usize::MAX, true).await.unwrap().unwrap();
            self.buffer.extend_from_slice(&chunk.bytes);
        }
    }
}

impl WsPeer {
    pub(crate) async fn connect(port: u16, root: CertificateDer<'static>) -> Self {
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(tls(root, b"http/1.1")));
        let tls = connector.connect(name, tcp).await.unwrap();
        let mut request = "wss://localhost/anyproxy".into_client_request().unwrap();
        let protocol = "anyproxy.v1".parse().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let (socket, _) = client_async(request, tls).await.unwrap();
        Self { socket, message: Bytes::new() }
    }

    async fn next(&mut self) -> Vec<u8> {
        loop {
            if let Some(frame) = cut(&mut self.message) {
                return frame;
            }
            assert!(self.message.is_empty(), "a message holds whole frames");
            let message = self.socket.next().await.unwrap().unwrap();
            let Message::Binary(bytes) = message else { panic!("{message:?} is not binary") };
            self.message = bytes;
        }
    }
}

impl Peer {
    /// Sends bytes: on the control stream, or as one binary message.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        match self {
            Self::Quic(peer) => peer.send.write_all(bytes).await.unwrap(),
            Self::WebSocket(peer) => {
                let message = Message::Binary(Bytes::copy_from_slice(bytes));
                peer.socket.send(message).await.unwrap();
            }
        }
    }

    async fn any(&mut self) -> Vec<u8> {
        match self {
            Self::Quic(peer) => peer.next().await,
            Self::WebSocket(peer) => peer.next().await,
        }
    }

    /// The next frame off the control stream or out of the messages. Pings, which a WebSocket's
    /// gateway sends to measure, are left out.
    pub(crate) async fn next(&mut self) -> Vec<u8> {
        loop {
            let frame = self.any().await;
            if frame[0] != PING {
                return frame;
            }
        }
    }

    pub(crate) async fn next_ping(&mut self) -> Vec<u8> {
        loop {
            let frame = self.any().await;
            if frame[0] == PING {
                return frame;
            }
        }
    }

    /// Code and reason of the gateway's close.
    pub(crate) async fn closed(&mut self) -> (u64, String) {
        match self {
            Self::Quic(peer) => {
                // The gateway waits until the control stream was read to its end.
                let _ = peer.recv.read_to_end(usize::MAX).await;
                let quinn::ConnectionError::ApplicationClosed(close) = peer.conn.closed().await
                else {
                    panic!("not closed by the gateway")
                };
                (close.error_code.into_inner(), String::from_utf8(close.reason.to_vec()).unwrap())
            }
            Self::WebSocket(peer) => loop {
                if let Message::Close(close) = peer.socket.next().await.unwrap().unwrap() {
                    let close = close.unwrap();
                    let reason = close.reason.as_str().to_owned();
                    // Answers the close, which the gateway waits for.
                    let _ = peer.socket.flush().await;
                    return (u64::from(u16::from(close.code)) - 4000, reason);
                }
            },
        }
    }

    /// What the proofs cover beside the frames.
    pub(crate) fn exporter(&self) -> Option<[u8; 32]> {
        let Self::Quic(peer) = self else { return None };
        let mut bytes = [0; 32];
        peer.conn.export_keying_material(&mut bytes, EXPORTER_LABEL, &[]).unwrap();
        Some(bytes)
    }

    pub(crate) fn quic(&mut self) -> &mut QuicPeer {
        let Self::Quic(peer) = self else { panic!("not on QUIC") };
        peer
    }
}
