//! Strangers who send one byte every few seconds: each listener cuts them at its deadline, and serves
//! everybody else meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a failure is the test's result"
)]

#[macro_use]
extern crate anyproxy_tests;

#[path = "strangers/raw.rs"]
#[allow(dead_code, reason = "shared with another test, which uses the rest")]
mod raw;

use std::{net::SocketAddr, time::Duration};

use anyproxy_gateway::{Gateway, HttpsConfig};
use anyproxy_tests::{
    lab::{self, Certificates, GROUP, Lab, Options, SECRET, Site},
    target, udp,
    user::{WAYS, base64},
};
use anyproxy_transport::{
    Identity, Transport,
    net::{Conn, Role},
};
use anyproxy_wire::{
    frame::Frame,
    message::{Hello, Intent},
};
use bytes::BytesMut;
use raw::Raw;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::UnixStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

simulated! {
    slow_strangers_are_cut_at_the_deadline_and_others_served
    slow_users_of_forwarded_ports_are_their_targets_business
}

/// Between two bytes.
const PAUSE: Duration = Duration::from_secs(3);
/// The proxy deadline, for users.
const DEADLINE: Duration = Duration::from_secs(30);
/// `handshake_timeout`, for strangers at the tunnel port.
const HANDSHAKE: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

struct Hall {
    lab: Lab,
    certificates: Certificates,
    target: SocketAddr,
}

impl Hall {
    async fn open(site: Site, transport: Transport) -> Self {
        let target = target::echo(&site);
        let options = Options::new(transport).one_connection().forwards(&[target]);
        let certificates = Certificates::new(&["gateway.test"]);
        let mut config = lab::gateway_config(&site, &options, &certificates);
        let any = SocketAddr::new(site.gateway_ip, 0);
        let (chain, key) = (certificates.chain.as_bytes(), certificates.key.as_bytes());
        let identity = Identity::from_pem(chain, key).unwrap();
        config.https = Some(HttpsConfig { addrs: vec![any], identity });
        config.mixed = vec![any];
        let gateway = Gateway::start(&config, site.gateway.clone(), DEADLINE).unwrap();
        let tunnels = gateway.addresses().tunnels;
        let client = lab::start_client(&site, &options, &certificates, tunnels);
        let ports = lab::connected(&client).await;
        let lab = Lab { gateway, client, site, ports };
        Self { lab, certificates, target }
    }

    async fn tcp(&self, addr: SocketAddr) -> Conn {
        self.lab.site.user.connect(addr, Role::Proxied).await.unwrap()
    }

    /// Users who are slow, by the name of the door and how far they get.
    async fn slow_users(&self) -> JoinSet<(&'static str, Duration)> {
        let mut live = JoinSet::new();
        let addresses = self.lab.gateway.addresses().clone();
        let tls_hello = raw::client_hello(&self.certificates);
        for (door, addr, words) in [
            ("http", addresses.http[0], request()),
            ("https: TLS", addresses.https[0], tls_hello),
            ("socks5", addresses.socks5[0], socks5()),
            ("mixed: http", addresses.mixed[0], request()),
            ("mixed: socks5", addresses.mixed[0], socks5()),
        ] {
            live.spawn(dribble(door, self.tcp(addr).await, words));
            live.spawn(dribble(door, self.tcp(addr).await, vec![]));
        }
        let tls = raw::over_tls(&self.lab.site, &self.certificates, addresses.https[0]).await;
        live.spawn(dribble("https: head", tls, request()));
        live
    }

    /// The same at the tunnel port.
    async fn slow_tunnels(&self) -> JoinSet<(&'static str, Duration)> {
        let mut live = JoinSet::new();
        let (site, certificates) = (&self.lab.site, &self.certificates);
        let tunnels = self.lab.gateway.addresses().tunnels;
        for words in [raw::client_hello(certificates), vec![]] {
            live.spawn(dribble("tunnels: TLS", self.tcp(tunnels).await, words));
        }
        let tls = raw::over_tls(site, certificates, tunnels).await;
        live.spawn(dribble("tunnels: upgrade", tls, request()));
        for transport in [Transport::Quic, Transport::WebSocket] {
            match Raw::connect(transport, site, certificates, tunnels).await {
                Raw::WebSocket(tls) => {
                    live.spawn(dribble("tunnels: Hello in a message", *tls, message(&hello())));
                }
                raw => {
                    live.spawn(dribble_frames(raw));
                }
            }
        }
        live
    }

    async fn serves(&self) {
        for way in WAYS {
            echoes(self.lab.connect(way, self.target).await).await;
        }
        for addr in [self.lab.gateway.addresses().mixed[0]] {
            let mut conn = self.tcp(addr).await;
            let (to, login) = (self.target, base64(format!("{GROUP}:{SECRET}").as_bytes()));
            let asked =
                format!("CONNECT {to} HTTP/1.1\r\nProxy-Authorization: Basic {login}\r\n\r\n");
            conn.write_all(asked.as_bytes()).await.unwrap();
            let head = anyproxy_tests::user::read_head(&mut conn).await.unwrap();
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            echoes(conn).await;
        }
    }
}

/// A head without an end.
fn request() -> Vec<u8> {
    [b"GET / HTTP/1.1\r\nX-Slow: ", &[b'a'; 200][..]].concat()
}

/// A log-in whose name has no end.
fn socks5() -> Vec<u8> {
    [b"\x05\x01\x02\x01\xff", &[b'a'; 200][..]].concat()
}

fn hello() -> BytesMut {
    let hello = Hello {
        versions: vec![1],
        features: 0,
        methods: vec![1],
        nonce: [0xc1; 32],
        principal: GROUP.into(),
        client_id: "slow".repeat(16),
        instance: [0x1d; 16],
        replica: 0,
        intent: Intent::New,
        initial_credit: 262_144,
        software: String::new(),
    };
    let mut bytes = BytesMut::new();
    Frame::Hello(hello).encode(&mut bytes);
    bytes
}

/// Sends byte by byte until the gateway closes; how long that took.
async fn dribble(
    door: &'static str,
    conn: impl AsyncRead + AsyncWrite + Unpin,
    words: Vec<u8>,
) -> (&'static str, Duration) {
    let began = Instant::now();
    let (mut from, mut to) = tokio::io::split(conn);
    let (mut words, mut got) = (words.into_iter(), [0; 256]);
    loop {
        match timeout(PAUSE, from.read(&mut got)).await {
            Ok(Ok(0) | Err(_)) => return (door, began.elapsed()),
            // SOCKS chooses its method; a head that took too long is answered.
            Ok(Ok(_)) => {}
            Err(_) => {
                if let Some(byte) = words.next() {
                    let _ = to.write_all(&[byte]).await;
                    let _ = to.flush().await;
                }
            }
        }
    }
}

/// A binary message with a mask of zeros (RFC 6455, 5.2).
fn message(payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() > 125, "it has the long form");
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0x82, 0x80 | 126], &length[..], &[0; 4], payload].concat()
}

/// The same with the bytes of a Hello on the first stream of a QUIC connection.
async fn dribble_frames(mut raw: Raw) -> (&'static str, Duration) {
    let began = Instant::now();
    for byte in hello() {
        if began.elapsed() + PAUSE > HANDSHAKE {
            break;
        }
        raw.say(&[byte]).await;
        sleep(PAUSE).await;
    }
    raw.close_code().await;
    ("tunnels: Hello on a stream", began.elapsed())
}

async fn echoes(mut conn: Conn) {
    conn.write_all(b"honest").await.unwrap();
    let mut got = [0; 6];
    conn.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"honest");
}

async fn slow_strangers_are_cut_at_the_deadline_and_others_served(
    site: Site,
    transport: Transport,
) {
    let hall = Hall::open(site, transport).await;
    hall.serves().await;
    sleep(2 * DEADLINE).await;
    let calm = hall.lab.gateway.tasks();
    let (tunnels, users) = (hall.slow_tunnels().await, hall.slow_users().await);
    let came = Instant::now();
    while came.elapsed() + PAUSE < DEADLINE {
        sleep(PAUSE).await;
        let began = Instant::now();
        hall.serves().await;
        assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
        let strangers = if came.elapsed() < HANDSHAKE { tunnels.len() } else { 0 };
        let (tasks, there) = (hall.lab.gateway.tasks(), strangers + users.len());
        assert!(tasks >= calm + there, "they are still there: {there} besides {calm}, not {tasks}");
    }
    for (slow, deadline) in [(tunnels, HANDSHAKE), (users, DEADLINE)] {
        for (door, lasted) in slow.join_all().await {
            let within = deadline - SECOND..deadline + SECOND;
            assert!(within.contains(&lasted), "{door}: cut after {lasted:?}");
        }
    }
    sleep(2 * DEADLINE).await;
    assert_eq!(hall.lab.gateway.tasks(), calm, "they hold nothing any more");
    hall.serves().await;
}

/// A forward does not know what it carries: however slow, its bytes go to the target, which decides.
async fn slow_users_of_forwarded_ports_are_their_targets_business(
    site: Site,
    transport: Transport,
) {
    let hall = Hall::open(site.clone(), transport).await;
    let mut slow = hall.tcp(hall.lab.ports[0]).await;
    for byte in 0..20 {
        slow.write_all(&[byte]).await.unwrap();
        assert_eq!(slow.read_u8().await.unwrap(), byte);
        hall.serves().await;
        sleep(PAUSE).await;
    }
    drop(hall);
    let (lab, port) = forwarded_udp(site, transport).await;
    let slow = udp::Udp::user(&lab.site);
    for byte in 0..20 {
        assert_eq!(slow.ask(&[byte], port).await, [byte]);
        assert_eq!(udp::Udp::user(&lab.site).ask(b"honest", port).await, b"honest");
        sleep(PAUSE).await;
    }
}

/// The socket is a real one, and the clock is not: it goes on whenever nothing else does.
#[tokio::test(start_paused = true)]
async fn slow_strangers_at_the_unix_socket_are_cut_at_the_deadline() {
    let (site, place) = (Site::loopback(), tempfile::tempdir().unwrap());
    let socket = place.path().join("ws.sock");
    let certificates = Certificates::new(&["gateway.test"]);
    let options = Options::new(Transport::WebSocket);
    let mut config = lab::gateway_config(&site, &options, &certificates);
    config.tunnels.behind.socket = Some(socket.clone());
    let gateway = Gateway::start(&config, site.gateway.clone(), DEADLINE).unwrap();
    let calm = gateway.tasks();
    let mut live = JoinSet::new();
    for words in [request(), vec![]] {
        let conn = UnixStream::connect(&socket).await.unwrap();
        live.spawn(dribble("unix socket", conn, words));
    }
    sleep(3 * PAUSE).await;
    assert_eq!((live.len(), gateway.tasks()), (2, calm + 2));
    // Others get their answer at once.
    let mut other = UnixStream::connect(&socket).await.unwrap();
    other.write_all(b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    while let Some(cut) = live.join_next().await {
        let (_, lasted) = cut.unwrap();
        assert!((HANDSHAKE - SECOND..HANDSHAKE + SECOND).contains(&lasted), "after {lasted:?}");
    }
    sleep(SECOND).await;
    assert_eq!(gateway.tasks(), calm);
}

async fn forwarded_udp(site: Site, transport: Transport) -> (Lab, SocketAddr) {
    let target = udp::echo(&site);
    let lab = udp::lab(site, &Options::new(transport), &[target]).await;
    let port = lab.ports[0];
    (lab, port)
}
