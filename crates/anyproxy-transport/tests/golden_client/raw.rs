//! The other end of a tunnel, written on the transports themselves.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use quinn::{Connection, Endpoint, RecvStream, SendStream, crypto::rustls::QuicServerConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
    },
};

/// A CA and a certificate of `gateway.test`, as PEM.
pub(crate) struct Certificates {
    pub(crate) ca: String,
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let mut ca = CertificateParams::new(vec![]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["gateway.test".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &ca).unwrap();
        Self {
            chain: format!("{}{}", leaf.pem(), ca.pem()),
            ca: ca.pem(),
            key: key.serialize_pem(),
        }
    }

    fn server(&self, alpn: &str) -> ServerConfig {
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![alpn.into()];
        config
    }
}

/// A QUIC connection with its control stream, or a WebSocket.
pub(crate) enum Raw {
    Quic { conn: Connection, send: SendStream, recv: RecvStream, ahead: Vec<u8>, _kept: Endpoint },
    WebSocket { socket: Box<WebSocketStream<TlsStream<TcpStream>>>, ahead: Vec<u8> },
}

/// Waits for one product client.
pub(crate) enum RawListener {
    Quic(Endpoint),
    WebSocket(TcpListener, TlsAcceptor),
}

impl RawListener {
    pub(crate) fn quic(certificates: &Certificates) -> (Self, SocketAddr) {
        let tls = QuicServerConfig::try_from(certificates.server("anyproxy/1")).unwrap();
        let config = quinn::ServerConfig::with_crypto(Arc::new(tls));
        let endpoint = Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = endpoint.local_addr().unwrap();
        (Self::Quic(endpoint), addr)
    }

    pub(crate) async fn websocket(certificates: &Certificates) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let tls = TlsAcceptor::from(Arc::new(certificates.server("http/1.1")));
        (Self::WebSocket(listener, tls), addr)
    }

    pub(crate) async fn accept(self) -> Raw {
        match self {
            Self::Quic(endpoint) => {
                let conn = endpoint.accept().await.unwrap().await.unwrap();
                let (send, recv) = conn.accept_bi().await.unwrap();
                Raw::Quic { conn, send, recv, ahead: vec![], _kept: endpoint }
            }
            Self::WebSocket(listener, tls) => {
                let (tcp, _) = listener.accept().await.unwrap();
                let tls = tls.accept(tcp).await.unwrap();
                let socket = tokio_tungstenite::accept_hdr_async(tls.into(), answer).await.unwrap();
                Raw::WebSocket { socket: Box::new(socket), ahead: vec![] }
            }
        }
    }
}

#[allow(clippy::result_large_err, reason = "tungstenite's callback has this type")]
fn answer(
    request: &Request,
    mut response: Response,
) -> Result<Response, tokio_tungstenite::tungstenite::handshake::server::ErrorResponse> {
    assert_eq!(request.uri().path(), "/anyproxy");
    let protocol = request.headers()["sec-websocket-protocol"].clone();
    assert_eq!(protocol, "anyproxy.v1");
    response.headers_mut().insert("sec-websocket-protocol", protocol);
    Ok(response)
}

impl Raw {
    pub(crate) fn connection(&self) -> Option<&Connection> {
        match self {
            Self::Quic { conn, .. } => Some(conn),
            Self::WebSocket { .. } => None,
        }
    }

    pub(crate) fn exporter(&self) -> Option<[u8; 32]> {
        let mut exporter = [0; 32];
        let conn = self.connection()?;
        conn.export_keying_material(&mut exporter, b"EXPORTER-anyproxy-1", b"").unwrap();
        Some(exporter)
    }

    /// Sends bytes of whole frames on the control stream or in one message.
    pub(crate) async fn say(&mut self, frames: &[u8]) {
        match self {
            Self::Quic { send, .. } => send.write_all(frames).await.unwrap(),
            Self::WebSocket { socket, .. } => {
                let message = Message::Binary(Bytes::copy_from_slice(frames));
                socket.send(message).await.unwrap();
            }
        }
    }

    /// The bytes of the next frame that is no Ping, whose time and token are the sender's affair.
    pub(crate) async fn frame(&mut self) -> Vec<u8> {
        loop {
            let frame = self.any_frame().await;
            if frame[0] != 0x08 {
                return frame;
            }
        }
    }

    async fn any_frame(&mut self) -> Vec<u8> {
        loop {
            let ahead = match self {
                Self::Quic { ahead, .. } | Self::WebSocket { ahead, .. } => ahead,
            };
            if let Some(size) = frame_size(ahead).filter(|size| *size <= ahead.len()) {
                let rest = ahead.split_off(size);
                return std::mem::replace(ahead, rest);
            }
            match self {
                Self::Quic { recv, ahead, .. } => {
                    let chunk = recv.read_chunk(4096, true).await.unwrap().unwrap();
                    ahead.extend_from_slice(&chunk.bytes);
                }
                Self::WebSocket { socket, ahead } => match socket.next().await.unwrap().unwrap() {
                    Message::Binary(bytes) => ahead.extend_from_slice(&bytes),
                    other => panic!("not binary: {other:?}"),
                },
            }
        }
    }
}

/// Bytes of the frame at the front, as far as its head is there. The golden frames have types and
/// lengths of one or two bytes.
fn frame_size(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(1..)?;
    match length.first()? >> 6 {
        0 => Some(2 + usize::from(length[0])),
        1 => Some(3 + (usize::from(length[0] & 0x3f) << 8 | usize::from(*length.get(1)?))),
        _ => panic!("a frame too long for this test"),
    }
}
