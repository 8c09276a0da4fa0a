//! Peers that speak to the tunnel port without our client.

use std::{io, net::SocketAddr, sync::Arc};

use anyproxy_tests::lab::{Certificates, Site};
use anyproxy_transport::{
    Transport,
    net::{Conn, Role},
};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::{ClientConfig, RootCertStore, pki_types::pem::PemObject as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsConnector, client::TlsStream};

fn tls(certificates: &Certificates, alpn: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let ca = rustls::pki_types::CertificateDer::from_pem_slice(certificates.ca.as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth();
    config.alpn_protocols = vec![alpn.into()];
    config
}

/// The first bytes that a TLS client sends.
pub(crate) fn client_hello(certificates: &Certificates) -> Vec<u8> {
    let config = Arc::new(tls(certificates, "http/1.1"));
    let mut client =
        rustls::ClientConnection::new(config, "gateway.test".try_into().unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// TLS to the tunnel port.
pub(crate) async fn over_tls(
    site: &Site,
    certificates: &Certificates,
    gateway: SocketAddr,
) -> TlsStream<Conn> {
    let conn = site.client.connect(gateway, Role::Proxied).await.unwrap();
    let connector = TlsConnector::from(Arc::new(tls(certificates, "http/1.1")));
    connector.connect("gateway.test".try_into().unwrap(), conn).await.unwrap()
}

/// A connection that is a tunnel as far as the transport goes, and on which nothing was said.
pub(crate) enum Raw {
    Quic {
        conn: quinn::Connection,
        send: quinn::SendStream,
        /// Dropping them would say something.
        _kept: (quinn::RecvStream, quinn::Endpoint),
    },
    WebSocket(Box<TlsStream<Conn>>),
}

impl Raw {
    pub(crate) async fn connect(
        transport: Transport,
        site: &Site,
        certificates: &Certificates,
        gateway: SocketAddr,
    ) -> Self {
        match transport {
            Transport::Quic => Self::quic(site, certificates, gateway).await,
            Transport::WebSocket => {
                let mut tls = over_tls(site, certificates, gateway).await;
                upgrade(&mut tls).await;
                Self::WebSocket(Box::new(tls))
            }
        }
    }

    async fn quic(site: &Site, certificates: &Certificates, gateway: SocketAddr) -> Self {
        let socket = site.client.udp("0.0.0.0:0".parse().unwrap()).unwrap();
        let (config, runtime) = (quinn::EndpointConfig::default(), Arc::new(quinn::TokioRuntime));
        let endpoint =
            quinn::Endpoint::new_with_abstract_socket(config, None, socket, runtime).unwrap();
        let tls = QuicClientConfig::try_from(tls(certificates, "anyproxy/1")).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(tls));
        let connecting = endpoint.connect_with(config, gateway, "gateway.test").unwrap();
        let conn = connecting.await.unwrap();
        let (send, recv) = conn.open_bi().await.unwrap();
        Self::Quic { conn, send, _kept: (recv, endpoint) }
    }

    /// Sends bytes of frames, in one message on the WebSocket.
    pub(crate) async fn say(&mut self, frames: &[u8]) {
        match self {
            Self::Quic { send, .. } => send.write_all(frames).await.unwrap(),
            Self::WebSocket(tls) => {
                tls.write_all(&message(frames)).await.unwrap();
                tls.flush().await.unwrap();
            }
        }
    }

    /// Sends only the first half of what carries these frames.
    pub(crate) async fn say_half(&mut self, frames: &[u8]) {
        match self {
            Self::Quic { .. } => self.say(&frames[..frames.len() / 2]).await,
            Self::WebSocket(tls) => {
                let message = message(frames);
                tls.write_all(&message[..message.len() / 2]).await.unwrap();
                tls.flush().await.unwrap();
            }
        }
    }

    /// Waits for the end and returns the gateway's close code; none: it closed without one.
    pub(crate) async fn close_code(&mut self) -> Option<u64> {
        match self {
            Self::Quic { conn, .. } => match conn.closed().await {
                quinn::ConnectionError::ApplicationClosed(close) => {
                    Some(close.error_code.into_inner())
                }
                _ => None,
            },
            Self::WebSocket(tls) => ws_close_code(tls).await.ok().flatten(),
        }
    }
}

/// RFC 6455, 4.1.
async fn upgrade(tls: &mut TlsStream<Conn>) {
    let request = "GET /anyproxy HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: anyproxy.v1\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    tls.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tls.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    // RFC 6455, 1.3 has this pair of key and answer.
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
}

/// A binary message with a mask of zeros (RFC 6455, 5.2).
fn message(payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0x82];
    match payload.len() {
        short @ ..126 => message.push(0x80 | short as u8),
        long => {
            message.push(0x80 | 126);
            message.extend((long as u16).to_be_bytes());
        }
    }
    message.extend([0; 4]);
    message.extend(payload);
    message
}

/// Reads messages up to the Close frame.
async fn ws_close_code(tls: &mut TlsStream<Conn>) -> io::Result<Option<u64>> {
    loop {
        let (kind, len) = (tls.read_u8().await?, tls.read_u8().await?);
        let len = if len == 126 { tls.read_u16().await? } else { len.into() };
        let mut payload = vec![0; len.into()];
        tls.read_exact(&mut payload).await?;
        if kind == 0x88 {
            let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
            return Ok(code.map(|code| u64::from(code) - 4000));
        }
    }
}
