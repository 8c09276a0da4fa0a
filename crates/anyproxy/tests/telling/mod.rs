//! A gateway and a client that tell about themselves.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
};

use crate::program::{Directory, Running, echo};

pub(crate) const TRANSPORTS: [&str; 2] = ["quic", "ws"];

/// A gateway and a client with one session, a forwarded port, and everything that tells about them.
pub(crate) struct Pair {
    pub(crate) dir: Directory,
    pub(crate) gateway: Running,
    pub(crate) client: Running,
    pub(crate) user: String,
}

impl Pair {
    pub(crate) fn start(transport: &str) -> Self {
        let dir = Directory::new();
        let config = fs::read_to_string(dir.path("gateway.toml")).unwrap();
        fs::write(dir.path("gateway.toml"), config.replace("8000-8009", "0")).unwrap();
        let gateway = told(gateway(&dir, &[]));
        let at = gateway.address("tunnels=");
        let mut client = told(client(&dir, at, transport));
        client.wait_for_all(&["forward open"]);
        let secret = fs::read_to_string(dir.path("certs/demo.secret")).unwrap();
        Self { dir, gateway, client, user: format!("demo:{}", secret.trim()) }
    }

    /// One user's connection, through which bytes have passed both ways.
    pub(crate) fn connect(&self, target: SocketAddr) -> TcpStream {
        let (status, conn) = self.gateway.tunnel(&self.user, target);
        assert_eq!(status, 200);
        ping(&conn);
        conn
    }
}

pub(crate) fn ping(mut conn: &TcpStream) {
    conn.write_all(b"ping").unwrap();
    let mut got = [0; 4];
    conn.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"ping");
}

pub(crate) fn gateway(dir: &Directory, flags: &[&str]) -> Running {
    let telling = ["--admin", "127.0.0.1:0", "--status-socket", "gateway.sock", "-l", "debug"];
    Running::gateway(dir, &[&telling, flags].concat())
}

/// It has one tunnel, over the WebSocket too.
pub(crate) fn client(dir: &Directory, gateway: SocketAddr, transport: &str) -> Running {
    let at = gateway.to_string();
    let target = format!("127.0.0.1:0:{}", echo());
    let line =
        ["client", "-g", &at, "--ca", "certs/ca.crt", "--client-id", "one", "--group", "demo"];
    let more =
        ["--secret-file", "certs/demo.secret", "--transport", transport, "--forward", &target];
    let telling = ["--admin", "127.0.0.1:0", "--status-socket", "client.sock", "-l", "debug"];
    let one = ["--ws-connections", "1"];
    Running::of(dir.command(&[&line[..], &more[..], &telling[..], &one[..]].concat()))
}

/// One that tells about itself by now.
pub(crate) fn told(mut process: Running) -> Running {
    process.wait_for_all(&["status socket open"]);
    process
}

/// The status and the body of a page.
pub(crate) fn get(addr: SocketAddr, path: &str) -> (u16, String) {
    let mut conn = TcpStream::connect(addr).unwrap();
    write!(conn, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut answer = String::new();
    conn.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split_whitespace().nth(1).unwrap().parse().unwrap(), body.to_owned())
}

pub(crate) fn metrics(process: &Running) -> String {
    let (status, text) = get(process.address("admin="), "/metrics");
    assert_eq!(status, 200);
    text
}

pub(crate) fn value(text: &str, sample: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {sample} in\n{text}")).parse().unwrap()
}

pub(crate) fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
