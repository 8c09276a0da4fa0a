//! The HTTP proxy behind TLS and over HTTP/2, and HTTP next to SOCKS on one port.
//!
//! ```text
//! test ── as the user, TLS ──▶ proxy ─▶ gateway ══ tunnel ══ client ─▶ target ── as the target ──▶ test
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

#[macro_use]
extern crate anyproxy_tests;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_gateway::{Gateway, GatewayConfig, HttpsConfig};
use anyproxy_tests::{
    lab::{self, Certificates, GROUP, Lab, Options, SECRET, Site},
    target,
    user::base64,
};
use anyproxy_transport::{Identity, Transport, net::Conn};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request};
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, pki_types::CertificateDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

#[path = "secure/bounds.rs"]
mod bounds;
#[path = "secure/mixed.rs"]
mod mixed;
#[path = "secure/requests.rs"]
mod requests;
#[path = "secure/rotated.rs"]
mod rotated;
#[path = "secure/tls.rs"]
mod tls;
#[path = "secure/tunnels.rs"]
mod tunnels;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

/// An installation whose proxy is also behind TLS and at a mixed port, and a target whose
/// connections the test gets.
struct Scene {
    lab: Lab,
    ca: String,
    target: SocketAddr,
    targets: mpsc::Receiver<Conn>,
}

impl Scene {
    async fn start(site: Site, transport: Transport) -> Self {
        let (hand_out, targets) = mpsc::channel(64);
        let target = target::serve(&site, move |conn| {
            let hand_out = hand_out.clone();
            async move {
                let _ = hand_out.send(conn).await;
            }
        });
        let (options, certificates) =
            (Options::new(transport), Certificates::new(&["gateway.test"]));
        let config = config(&site, &options, &certificates);
        let gateway =
            Gateway::start(&config, site.gateway.clone(), Duration::from_secs(10)).unwrap();
        let tunnels = gateway.addresses().tunnels;
        let client = lab::start_client(&site, &options, &certificates, tunnels);
        let ports = lab::connected(&client).await;
        let lab = Lab { gateway, client, site, ports };
        Self { lab, ca: certificates.ca, target, targets }
    }

    fn https(&self) -> SocketAddr {
        self.lab.gateway.addresses().https[0]
    }

    /// The next connection at the target.
    async fn accept(&mut self) -> Conn {
        self.targets.recv().await.unwrap()
    }

    /// A user's connection behind TLS.
    async fn tls(
        &self,
        version: &'static SupportedProtocolVersion,
        alpn: &[&[u8]],
    ) -> TlsStream<Conn> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let conn = self.lab.tcp(self.https()).await;
        let name = "gateway.test".try_into().unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, conn).await.unwrap()
    }

    /// A user's HTTP/2 connection. Ending the task closes the connection.
    async fn http2(&self) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
        let tls = self.tls(&rustls::version::TLS13, &[b"h2", b"http/1.1"]).await;
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1 << 20).initial_connection_window_size(8 << 20);
        let (sender, connection) = builder.handshake(tls).await.unwrap();
        (sender, tokio::spawn(connection))
    }

    /// CONNECT to the target, of a user who is logged in.
    fn connect_request(&self) -> Request<()> {
        connect_request(&self.target.to_string())
    }

    /// A plain request to the target, of a user who is logged in.
    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let uri = format!("http://{}{path}", self.target);
        Request::builder()
            .method(method)
            .uri(uri)
            .header("proxy-authorization", login())
            .version(http::Version::HTTP_2)
    }
}

fn config(site: &Site, options: &Options, certificates: &Certificates) -> GatewayConfig {
    let mut config = lab::gateway_config(site, options, certificates);
    let any = SocketAddr::new(site.gateway_ip, 0);
    let (chain, key) = (certificates.chain.as_bytes(), certificates.key.as_bytes());
    let identity = Identity::from_pem(chain, key).unwrap();
    config.https = Some(HttpsConfig { addrs: vec![any], identity });
    config.mixed = vec![any];
    config
}

fn login() -> String {
    format!("Basic {}", base64(format!("{GROUP}:{SECRET}").as_bytes()))
}

fn connect_request(target: &str) -> Request<()> {
    Request::builder()
        .method(Method::CONNECT)
        .uri(target)
        .header("proxy-authorization", login())
        .version(http::Version::HTTP_2)
        .body(())
        .unwrap()
}

async fn send(conn: &mut Conn, bytes: impl AsRef<[u8]>) {
    conn.write_all(bytes.as_ref()).await.unwrap();
    conn.flush().await.unwrap();
}

/// Takes exactly `expected`.
async fn expect(conn: &mut Conn, expected: &str) {
    let mut got = vec![0; expected.len()];
    conn.read_exact(&mut got).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&got), expected);
}

/// All of a body, and how it ended.
async fn collect(body: &mut h2::RecvStream) -> (Vec<u8>, Result<(), Option<h2::Reason>>) {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => {
                body.flow_control().release_capacity(data.len()).unwrap();
                all.extend(data);
            }
            Err(error) => return (all, Err(error.reason())),
        }
    }
    (all, Ok(()))
}

/// Takes exactly `expected` of a body.
async fn expect_data(body: &mut h2::RecvStream, expected: &str) {
    let mut got = Vec::new();
    while got.len() < expected.len() {
        let data = body.data().await.expect("it ended").unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        got.extend(data);
    }
    assert_eq!(String::from_utf8_lossy(&got), expected);
}
