//! The log of the gateway about connections that fail or end, at every entry point: under the word that the client's
//! log has for them, which tells of a refusal as well.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![allow(dead_code, reason = "not every test needs all of the program")]

mod program;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use program::{Directory, Running, echo};

struct Pair {
    dir: Directory,
    gateway: Running,
    client: Running,
    secret: String,
}

impl Pair {
    fn start(transport: &str) -> Self {
        Self::with(transport, "")
    }

    /// With lines of the gateway's file.
    fn with(transport: &str, lines: &str) -> Self {
        let dir = Directory::new();
        let config = fs::read_to_string(dir.path("gateway.toml")).unwrap();
        fs::write(dir.path("gateway.toml"), format!("{lines}{config}")).unwrap();
        let mut gateway = Running::gateway(&dir, &["--socks5", "127.0.0.1:0", "-l", "debug"]);
        gateway.wait_for("SOCKS5 proxy started");
        let at = gateway.address("tunnels=").to_string();
        let line = ["client", "-g", &at, "--ca", "certs/ca.crt", "--group", "demo"];
        let more = ["--secret-file", "certs/demo.secret", "--transport", transport, "-l", "debug"];
        let mut client = Running::start(&dir, &[&line[..], &more[..]].concat());
        client.wait_for("connected to the gateway");
        let secret = fs::read_to_string(dir.path("certs/demo.secret")).unwrap().trim().to_owned();
        Self { dir, gateway, client, secret }
    }

    /// What the HTTP proxy answers to a plain request, whole.
    fn get(&self, target: SocketAddr) -> String {
        let login = STANDARD.encode(format!("demo:{}", self.secret));
        let mut conn = TcpStream::connect(self.gateway.address("http=")).unwrap();
        write!(
            conn,
            "GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\
             Proxy-Authorization: Basic {login}\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        conn.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The status of a CONNECT; the connection is closed then.
    fn connect(&self, target: SocketAddr) -> u16 {
        self.gateway.connect(&format!("demo:{}", self.secret), target)
    }

    /// The reply of the SOCKS5 proxy; the connection is closed then.
    fn socks5(&self, target: SocketAddr) -> u8 {
        let mut conn = TcpStream::connect(self.gateway.address("socks5=")).unwrap();
        let secret = self.secret.as_bytes();
        let mut login = vec![5, 1, 2, 1, 4];
        login.extend(b"demo");
        login.push(secret.len().try_into().unwrap());
        login.extend(secret);
        login.extend([5, 1, 0, 1, 127, 0, 0, 1]);
        login.extend(target.port().to_be_bytes());
        conn.write_all(&login).unwrap();
        let mut replies = [0; 2 + 2 + 10];
        conn.read_exact(&mut replies).unwrap();
        replies[5]
    }
}

/// An address that nobody listens at.
fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A web server that answers each connection once.
fn web() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for conn in listener.incoming() {
            let mut conn = conn.unwrap();
            let _head = conn.read(&mut [0; 1024]).unwrap();
            let _sent = conn.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        }
    });
    addr
}

/// The word that the client's log has for the connection to `target`.
fn word(client: &str, target: SocketAddr) -> &str {
    let asked = client
        .lines()
        .find(|line| line.contains("connection asked for") && line.contains(&target.to_string()))
        .unwrap_or_else(|| panic!("no {target} in\n{client}"));
    let (_, rest) = asked.split_once("connection=").unwrap();
    rest.split(['}', ' ']).next().unwrap()
}

/// The lines of the gateway's log about that connection.
fn story<'a>(gateway: &'a str, word: &str) -> Vec<&'a str> {
    let key = format!("connection={word} ");
    gateway.lines().filter(|line| line.contains(&key)).collect()
}

#[test]
fn what_fails_and_what_ends_has_one_line_with_the_clients_word_for_it() {
    for transport in ["quic", "ws"] {
        let mut pair = Pair::start(transport);
        let refused = [closed(), closed(), closed()];
        let answer = pair.get(refused[0]);
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        assert_eq!(pair.connect(refused[1]), 502);
        assert_eq!(pair.socks5(refused[2]), 5);
        let ended = [web(), echo(), echo()];
        let answer = pair.get(ended[0]);
        assert!(answer.ends_with("hi"), "{answer}");
        pair.gateway.wait_for("a target's connection ended");
        assert_eq!(pair.connect(ended[1]), 200);
        pair.gateway.wait_for("tunnelled connection ended");
        assert_eq!(pair.socks5(ended[2]), 0);
        pair.gateway.wait_for("socks5 connection ended");
        let (gateway, client) = (pair.gateway.end(), pair.client.end());
        for (target, ingress) in refused.into_iter().zip(["http", "http", "socks5"]) {
            let story = story(&gateway, word(&client, target));
            let [line] = story[..] else { panic!("{transport} {ingress}: {story:#?}\n{gateway}") };
            let there = client.lines().filter(|line| {
                let parts = ["open refused", &target.to_string(), word(&client, target)];
                parts.iter().all(|part| line.contains(part))
            });
            assert_eq!(there.count(), 1, "{transport} {target}:\n{client}");
            for part in
                [target.to_string().as_str(), "open refused", "code=refused", "user{", ingress]
            {
                assert!(line.contains(part), "{transport}: no {part} in {line}");
            }
        }
        for (target, ingress) in ended.into_iter().zip(["http", "http", "socks5"]) {
            let story = story(&gateway, word(&client, target));
            let [opened, end] = story[..] else {
                panic!("{transport} {ingress}: {story:#?}\n{gateway}")
            };
            assert!(opened.contains("connection opened"), "{opened}");
            assert!(end.contains("connection ended"), "{end}");
            for line in [opened, end] {
                let user = format!("ingress=\"{ingress}\"");
                assert!(line.contains("user{number=") && line.contains(&user), "{line}");
            }
        }
    }
}

/// A client that says nothing cannot know of it; the gateway has the word all the same.
#[test]
fn an_open_without_an_answer_is_told() {
    for transport in ["quic", "ws"] {
        let mut pair = Pair::with(transport, "proxy_timeout = \"2s\"\n");
        pair.client.signal("-STOP");
        let target = closed();
        // The signal may reach a thread of it later than what it is asked first.
        assert!((0..1000).any(|_| pair.connect(target) == 504), "it answers all the same");
        assert_eq!(pair.socks5(target), 4);
        pair.client.signal("-CONT");
        let log = pair.gateway.end();
        let told = log.lines().filter(|line| line.contains("open given up before the answer"));
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), 2, "{log}");
        for (line, ingress) in told.into_iter().zip(["http", "socks5"]) {
            for part in ["connection=", &target.to_string(), "user{", ingress] {
                assert!(line.contains(part), "{transport}: no {part} in {line}");
            }
        }
    }
}
