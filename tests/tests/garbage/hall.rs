//! An installation with every listener, and strangers at each.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyproxy_client::Client;
use anyproxy_gateway::{Gateway, HttpsConfig};
use anyproxy_tests::{
    lab::{self, Certificates, GROUP, Lab, Options, SECRET, Site},
    target,
    user::{WAYS, base64},
};
use anyproxy_transport::{Identity, Transport, net::Conn};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::UnixStream,
    task::JoinSet,
};

use crate::{
    bytes::{self, Random},
    raw::{self, Raw},
};

/// Strangers who are there at a time.
const CROWD: usize = 64;
/// One in so many strangers at a door with TLS gets through TLS before it says anything odd.
const THROUGH_TLS: usize = 20;

/// Where strangers come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// The tunnels' TCP port: TLS, then a WebSocket.
    Tunnels,
    Http,
    Https,
    Socks5,
    Mixed,
    Forward,
    /// The Unix socket for reverse proxies: a WebSocket without TLS.
    Unix,
}

pub(crate) struct Hall {
    lab: Lab,
    transport: Transport,
    certificates: Certificates,
    target: SocketAddr,
    socket: PathBuf,
    hello: Arc<[u8]>,
    _place: tempfile::TempDir,
}

impl Hall {
    pub(crate) async fn open(transport: Transport) -> Self {
        let (site, place) = (Site::loopback(), tempfile::tempdir().unwrap());
        let socket = place.path().join("ws.sock");
        let target = target::echo(&site);
        let options = Options::new(transport).one_connection().forwards(&[target]);
        let certificates = Certificates::new(&["gateway.test"]);
        let gateway = gateway(&site, &options, &certificates, &socket);
        let tunnels = gateway.addresses().tunnels;
        let client = lab::start_client(&site, &options, &certificates, tunnels);
        let ports = lab::connected(&client).await;
        let hello = raw::client_hello(&certificates).into();
        let lab = Lab { gateway, client, site, ports };
        Self { lab, transport, certificates, target, socket, hello, _place: place }
    }

    fn addr(&self, door: Door) -> SocketAddr {
        let addresses = self.lab.gateway.addresses();
        match door {
            Door::Tunnels | Door::Unix => addresses.tunnels,
            Door::Http => addresses.http[0],
            Door::Https => addresses.https[0],
            Door::Socks5 => addresses.socks5[0],
            Door::Mixed => addresses.mixed[0],
            Door::Forward => self.lab.ports[0],
        }
    }

    /// So many strangers come, say something odd, and leave.
    pub(crate) async fn crowd(&self, door: Door, strangers: usize) {
        let mut live = JoinSet::new();
        for number in 0..strangers {
            if live.len() >= CROWD {
                live.join_next().await.unwrap().unwrap();
            }
            let words = bytes::of(number, &self.hello);
            if door == Door::Unix {
                let conn = UnixStream::connect(&self.socket).await.unwrap();
                live.spawn(say(conn, words, number));
            } else if matches!(door, Door::Tunnels | Door::Https) && number % THROUGH_TLS == 7 {
                self.through_tls(door, number, &mut live).await;
            } else {
                let conn = self.lab.tcp(self.addr(door)).await;
                live.spawn(stranger(conn, words, number));
            }
        }
        while let Some(left) = live.join_next().await {
            left.unwrap();
        }
    }

    /// Something odd inside TLS, and inside a WebSocket inside that.
    async fn through_tls(&self, door: Door, number: usize, live: &mut JoinSet<()>) {
        let (site, certificates) = (&self.lab.site, &self.certificates);
        let words = Random::new(number).bytes(600);
        if door == Door::Tunnels && (number / THROUGH_TLS).is_multiple_of(2) {
            let addr = self.addr(door);
            let mut raw = Raw::connect(Transport::WebSocket, site, certificates, addr).await;
            live.spawn(async move {
                raw.say(&words).await;
                raw.close_code().await;
            });
        } else {
            let tls = raw::over_tls(site, certificates, self.addr(door)).await;
            live.spawn(say(tls, words, number));
        }
    }

    /// Honest peers get through at every door.
    pub(crate) async fn serves(&self, door: Door) {
        for way in WAYS {
            echoes(self.lab.connect(way, self.target).await).await;
        }
        match door {
            Door::Tunnels | Door::Unix => self.another_client().await,
            Door::Https => {
                let tls = raw::over_tls(&self.lab.site, &self.certificates, self.addr(door)).await;
                self.connects(tls).await;
            }
            Door::Mixed => self.connects(self.lab.tcp(self.addr(door)).await).await,
            Door::Http | Door::Socks5 | Door::Forward => {}
        }
    }

    async fn another_client(&self) {
        let options = Options::new(self.transport);
        let addr = self.addr(Door::Tunnels);
        let mut config = lab::client_config(&self.lab.site, &options, &self.certificates, addr);
        config.client_id = "another".into();
        let net = self.lab.site.client.clone();
        let client = Client::start(config, net, std::time::Duration::from_secs(10)).unwrap();
        lab::connected(&client).await;
        client.shutdown(std::time::Duration::ZERO).await;
        self.lab.until(|lab| lab.gateway.sessions() == 1).await;
    }

    async fn connects(&self, mut conn: impl AsyncRead + AsyncWrite + Unpin) {
        let (to, login) = (self.target, base64(format!("{GROUP}:{SECRET}").as_bytes()));
        let asked = format!(
            "CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nProxy-Authorization: Basic {login}\r\n\r\n"
        );
        conn.write_all(asked.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(conn.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
        echoes(conn).await;
    }
}

fn gateway(
    site: &Site,
    options: &Options,
    certificates: &Certificates,
    socket: &std::path::Path,
) -> Gateway {
    let mut config = lab::gateway_config(site, options, certificates);
    let any = SocketAddr::new(site.gateway_ip, 0);
    let (chain, key) = (certificates.chain.as_bytes(), certificates.key.as_bytes());
    config.https =
        Some(HttpsConfig { addrs: vec![any], identity: Identity::from_pem(chain, key).unwrap() });
    config.mixed = vec![any];
    config.tunnels.behind.socket = Some(socket.to_owned());
    Gateway::start(&config, site.gateway.clone(), std::time::Duration::from_secs(10)).unwrap()
}

async fn echoes(mut conn: impl AsyncRead + AsyncWrite + Unpin) {
    conn.write_all(b"honest").await.unwrap();
    conn.flush().await.unwrap();
    let mut got = [0; 6];
    conn.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"honest");
    let _ = conn.shutdown().await;
}

/// Says something, and then every other one leaves with a reset.
async fn stranger(mut conn: Conn, words: Vec<u8>, number: usize) {
    if number.is_multiple_of(2) {
        return say(conn, words, number).await;
    }
    let _ = conn.write_all(&words).await;
    conn.abort();
}

/// Says something and ends; every fourth one does not care for the answer.
async fn say(mut conn: impl AsyncRead + AsyncWrite + Unpin, words: Vec<u8>, number: usize) {
    // The gateway may have closed long before the end of the words.
    let _ = conn.write_all(&words).await;
    let _ = conn.shutdown().await;
    if !number.is_multiple_of(4) {
        let _ = conn.read_to_end(&mut Vec::new()).await;
    }
}
