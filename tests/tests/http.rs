//! Plain HTTP, and what may follow it, through a whole installation.
//!
//! ```text
//! test ── as the user ──▶ HTTP proxy ─▶ gateway ══ tunnel ══ client ─▶ target ── as the target ──▶ test
//! ```
//!
//! Each test plays both ends, one step after the other. So it sees every byte that either end sees,
//! and a proxy that holds a piece back until the next one comes makes it hang, which is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

#[macro_use]
extern crate anyproxy_tests;

use std::{net::SocketAddr, time::Duration};

use anyproxy_gateway::{Gateway, GatewayConfig};
use anyproxy_tests::{
    lab::{self, Certificates, GROUP, Lab, Options, SECRET, Site},
    target,
    user::{base64, read_head},
};
use anyproxy_transport::{Transport, net::Conn};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
};

#[path = "http/bodies.rs"]
mod bodies;
#[path = "http/fields.rs"]
mod fields;
#[path = "http/interim.rs"]
mod interim;
#[path = "http/kept.rs"]
mod kept;
#[path = "http/shared.rs"]
mod shared;
#[path = "http/strict.rs"]
mod strict;
#[path = "http/switches.rs"]
mod switches;

/// An installation, and a target whose connections the test gets.
struct Scene {
    lab: Lab,
    target: SocketAddr,
    targets: mpsc::Receiver<Conn>,
}

impl Scene {
    async fn start(site: Site, transport: Transport) -> Self {
        let (target, targets) = accepting(&site);
        let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
        Self { lab, target, targets }
    }

    /// With a gateway whose configuration is changed before it starts.
    async fn configured(
        site: Site,
        transport: Transport,
        change: impl FnOnce(&mut GatewayConfig),
    ) -> Self {
        let (target, targets) = accepting(&site);
        let options = Options::new(transport);
        let certificates = Certificates::new(&["gateway.test"]);
        let mut config = lab::gateway_config(&site, &options, &certificates);
        change(&mut config);
        let gateway =
            Gateway::start(&config, site.gateway.clone(), Duration::from_secs(10)).unwrap();
        let tunnels = gateway.addresses().tunnels;
        let client = lab::start_client(&site, &options, &certificates, tunnels);
        let ports = lab::connected(&client).await;
        Self { lab: Lab { gateway, client, site, ports }, target, targets }
    }

    /// A user's connection to the HTTP proxy.
    async fn user(&self) -> Conn {
        self.lab.tcp(self.lab.http()).await
    }

    /// The next connection at the target.
    async fn accept(&mut self) -> Conn {
        self.targets.recv().await.unwrap()
    }

    /// Nobody has come since the last one that was accepted.
    fn no_more_connections(&mut self) {
        assert!(matches!(self.targets.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
    }

    /// A request of a user who is logged in; `fields` are lines with their ends.
    fn request(&self, method: &str, path: &str, fields: &str) -> String {
        request_to(self.target, method, path, fields)
    }

    /// Sends a GET and takes it at the target, whose connection is to be there already.
    async fn get_over(&self, user: &mut Conn, target: &mut Conn) {
        send(user, self.request("GET", "/over", "")).await;
        assert!(read_head(target).await.unwrap().starts_with("GET /over HTTP/1.1\r\n"));
    }

    /// Both connections are good for another exchange, and nothing is left over in either.
    async fn goes_on(&mut self, user: &mut Conn, target: &mut Conn) {
        self.get_over(user, target).await;
        answer(user, target, "ok").await;
        self.no_more_connections();
    }
}

/// A target whose connections are handed out.
fn accepting(site: &Site) -> (SocketAddr, mpsc::Receiver<Conn>) {
    let (hand_out, conns) = mpsc::channel(64);
    let addr = target::serve(site, move |conn| {
        let hand_out = hand_out.clone();
        async move {
            let _ = hand_out.send(conn).await;
        }
    });
    (addr, conns)
}

fn request_to(target: SocketAddr, method: &str, path: &str, fields: &str) -> String {
    let login = base64(format!("{GROUP}:{SECRET}").as_bytes());
    format!(
        "{method} http://{target}{path} HTTP/1.1\r\nHost: {target}\r\n\
         Proxy-Authorization: Basic {login}\r\n{fields}\r\n"
    )
}

async fn send(conn: &mut Conn, bytes: impl AsRef<[u8]>) {
    conn.write_all(bytes.as_ref()).await.unwrap();
}

/// The target answers with `text`, and the user gets it.
async fn answer(user: &mut Conn, target: &mut Conn, text: &str) {
    let length = text.len();
    send(target, format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}")).await;
    assert_eq!(take(user).await, (200, text.into()));
}

/// Takes exactly `expected`.
async fn expect(conn: &mut Conn, expected: &str) {
    let mut got = vec![0; expected.len()];
    conn.read_exact(&mut got).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&got), expected);
}

/// The values of a field, by its lower-case name.
fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A whole response whose body is text.
async fn take(conn: &mut Conn) -> (u16, String) {
    let head = read_head(conn).await.unwrap();
    let (body, _) = body_of(&head, conn).await;
    (status(&head), String::from_utf8(body).unwrap())
}

/// The body behind `head` and its trailer section, and not a byte more.
async fn body_of(head: &str, conn: &mut Conn) -> (Vec<u8>, String) {
    if values(head, "transfer-encoding") == ["chunked"] {
        assert!(values(head, "content-length").is_empty(), "{head}");
        return chunked(conn).await;
    }
    let length = match values(head, "content-length")[..] {
        [] => 0,
        [length] => length.parse().unwrap(),
        _ => panic!("more than one length: {head}"),
    };
    let mut body = vec![0; length];
    conn.read_exact(&mut body).await.unwrap();
    (body, String::new())
}

async fn chunked(conn: &mut Conn) -> (Vec<u8>, String) {
    let mut body = Vec::new();
    loop {
        let piece = piece(conn).await;
        if piece.is_empty() {
            break;
        }
        body.extend(piece);
    }
    let mut trailers = String::new();
    loop {
        let line = line(conn).await;
        if line.is_empty() {
            return (body, trailers);
        }
        trailers += &line;
        trailers += "\n";
    }
}

/// One chunk; the last one is empty, and its trailer section is still to be read.
async fn piece(conn: &mut Conn) -> Vec<u8> {
    let size = usize::from_str_radix(&line(conn).await, 16).unwrap();
    let mut piece = vec![0; size];
    conn.read_exact(&mut piece).await.unwrap();
    if size > 0 {
        assert_eq!(line(conn).await, "");
    }
    piece
}

async fn line(conn: &mut Conn) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(conn.read_u8().await.unwrap());
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).unwrap()
}
