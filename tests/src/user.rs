//! Users: the shortest clients that speak to each ingress.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyproxy_gateway::Gateway;
use anyproxy_transport::net::{Conn, Net, Role};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

use crate::lab::{GROUP, Lab, SECRET, Site};

/// How a user comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `CONNECT` at the HTTP proxy.
    Http,
    /// The SOCKS5 proxy.
    Socks5,
    /// The first forwarded port.
    Forward,
}

/// All ways.
pub const WAYS: [Way; 3] = [Way::Http, Way::Socks5, Way::Forward];

/// What the gateway said to a user that it did not connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The HTTP status and the error of `Proxy-Status`.
    Http(u16, String),
    /// The SOCKS5 reply, or 0xff00 | status of the authentication.
    Socks5(u16),
    /// The connection broke or ended before there was an answer.
    Broken(io::ErrorKind),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.kind())
    }
}

/// Who a user says to be.
#[derive(Debug, Clone)]
pub struct As {
    /// The user name.
    pub name: &'static str,
    /// The password.
    pub password: &'static str,
}

impl Default for As {
    fn default() -> Self {
        Self { name: GROUP, password: SECRET }
    }
}

/// Where users of a lab come in. It outlives the lab's parts, for tests that take those apart.
#[derive(Debug, Clone)]
pub struct Doors {
    net: Arc<dyn Net>,
    http: SocketAddr,
    socks5: SocketAddr,
    forwards: Vec<SocketAddr>,
}

impl Lab {
    /// Where users come in.
    #[must_use]
    pub fn doors(&self) -> Doors {
        Doors::of(&self.site, &self.gateway, &self.ports)
    }

    /// Connects to `target` by `way`, which must work.
    pub async fn connect(&self, way: Way, target: SocketAddr) -> Conn {
        self.doors().connect(way, target).await.unwrap()
    }

    /// A plain connection of a user.
    pub async fn tcp(&self, addr: SocketAddr) -> Conn {
        self.site.user.connect(addr, Role::Proxied).await.unwrap()
    }

    /// See [`Doors::http_connect`].
    pub async fn http_connect(&self, target: &str, user: &As) -> Result<Conn, Refusal> {
        self.doors().http_connect(target, user).await
    }

    /// See [`Doors::socks5_connect`].
    pub async fn socks5_connect(&self, host: &str, port: u16, user: &As) -> Result<Conn, Refusal> {
        self.doors().socks5_connect(host, port, user).await
    }
}

impl Doors {
    /// The doors of a gateway, with the ports that it forwards.
    #[must_use]
    pub fn of(site: &Site, gateway: &Gateway, forwards: &[SocketAddr]) -> Self {
        let addresses = gateway.addresses();
        Self {
            net: site.user.clone(),
            http: addresses.http[0],
            socks5: addresses.socks5[0],
            forwards: forwards.to_vec(),
        }
    }

    /// Connects to `target` by `way`.
    pub async fn connect(&self, way: Way, target: SocketAddr) -> Result<Conn, Refusal> {
        match way {
            Way::Http => self.http_connect(&target.to_string(), &As::default()).await,
            Way::Socks5 => {
                let host = target.ip().to_string();
                self.socks5_connect(&host, target.port(), &As::default()).await
            }
            Way::Forward => Ok(self.tcp(self.forwards[0]).await?),
        }
    }

    async fn tcp(&self, addr: SocketAddr) -> io::Result<Conn> {
        self.net.connect(addr, Role::Proxied).await
    }

    /// `CONNECT target` at the HTTP proxy.
    pub async fn http_connect(&self, target: &str, user: &As) -> Result<Conn, Refusal> {
        let mut conn = self.tcp(self.http).await?;
        conn.write_all(&connect_request(target, user)).await?;
        let head = read_head(&mut conn).await?;
        if status(&head) == 200 { Ok(conn) } else { Err(refusal(&head)) }
    }

    /// `GET http://target/` at the HTTP proxy, for one request. Returns the head of a good answer;
    /// its body is still to be read, see [`read_body`].
    pub async fn http_get(&self, target: &str, user: &As) -> Result<(String, Conn), Refusal> {
        self.http_get_as("HTTP/1.1", target, user).await
    }

    /// The same by a user who speaks `version`.
    pub async fn http_get_as(
        &self,
        version: &str,
        target: &str,
        user: &As,
    ) -> Result<(String, Conn), Refusal> {
        let mut conn = self.tcp(self.http).await?;
        let request = format!(
            "GET http://{target}/ {version}\r\nHost: {target}\r\nConnection: close\r\n\
             Proxy-Authorization: Basic {}\r\n\r\n",
            credentials(user)
        );
        conn.write_all(request.as_bytes()).await?;
        let head = read_head(&mut conn).await?;
        if status(&head) == 200 { Ok((head, conn)) } else { Err(refusal(&head)) }
    }

    /// SOCKS5 `CONNECT` to a name or address.
    pub async fn socks5_connect(&self, host: &str, port: u16, user: &As) -> Result<Conn, Refusal> {
        let mut conn = self.tcp(self.socks5).await?;
        conn.write_all(&[5, 1, 2]).await?;
        let mut choice = [0; 2];
        conn.read_exact(&mut choice).await?;
        assert_eq!(choice, [5, 2]);
        conn.write_all(&socks5_login(user)).await?;
        let mut status = [0; 2];
        conn.read_exact(&mut status).await?;
        if status[1] != 0 {
            return Err(Refusal::Socks5(0xff00 | u16::from(status[1])));
        }
        conn.write_all(&socks5_request(host, port)).await?;
        let mut reply = [0; 4];
        conn.read_exact(&mut reply).await?;
        let rest = match reply[3] {
            1 => 6,
            4 => 18,
            other => panic!("address type {other}"),
        };
        let mut bound = vec![0; rest];
        conn.read_exact(&mut bound).await?;
        match reply[1] {
            0 => Ok(conn),
            code => Err(Refusal::Socks5(code.into())),
        }
    }

    /// Everything that a user may send to connect by `way` before there is any answer, for users who
    /// do not wait: the connection, and the bytes that go in front of the target's.
    pub async fn hasty(&self, way: Way, target: SocketAddr) -> io::Result<(Conn, Vec<u8>)> {
        let user = As::default();
        Ok(match way {
            Way::Http => (self.tcp(self.http).await?, connect_request(&target.to_string(), &user)),
            Way::Socks5 => {
                let request = socks5_request(&target.ip().to_string(), target.port());
                let all = [vec![5, 1, 2], socks5_login(&user), request].concat();
                (self.tcp(self.socks5).await?, all)
            }
            Way::Forward => (self.tcp(self.forwards[0]).await?, vec![]),
        })
    }

    /// Reads the answers that a [`Doors::hasty`] user skipped.
    pub async fn catch_up(&self, way: Way, conn: &mut Conn) -> Result<(), Refusal> {
        match way {
            Way::Http => {
                let head = read_head(conn).await?;
                if status(&head) == 200 { Ok(()) } else { Err(refusal(&head)) }
            }
            Way::Socks5 => {
                let mut answers = [0; 2 + 2 + 10];
                conn.read_exact(&mut answers).await?;
                if answers[5] == 0 { Ok(()) } else { Err(Refusal::Socks5(answers[5].into())) }
            }
            Way::Forward => Ok(()),
        }
    }
}

fn credentials(user: &As) -> String {
    base64(format!("{}:{}", user.name, user.password).as_bytes())
}

fn connect_request(target: &str, user: &As) -> Vec<u8> {
    let credentials = credentials(user);
    format!(
        "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\
         Proxy-Authorization: Basic {credentials}\r\n\r\n"
    )
    .into_bytes()
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

fn refusal(head: &str) -> Refusal {
    let error = head.split_once("error=").map_or("", |(_, rest)| rest);
    let error = error.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
    Refusal::Http(status(head), error.into())
}

fn socks5_login(user: &As) -> Vec<u8> {
    let mut login = vec![1, user.name.len() as u8];
    login.extend(user.name.as_bytes());
    login.push(user.password.len() as u8);
    login.extend(user.password.as_bytes());
    login
}

fn socks5_request(host: &str, port: u16) -> Vec<u8> {
    let mut request = vec![5, 1, 0];
    match host.parse() {
        Ok(IpAddr::V4(ip)) => {
            request.push(1);
            request.extend(ip.octets());
        }
        Ok(IpAddr::V6(ip)) => {
            request.push(4);
            request.extend(ip.octets());
        }
        Err(_) => {
            request.extend([3, host.len() as u8]);
            request.extend(host.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    request
}

/// Reads up to the empty line, byte by byte, so that nothing behind it is taken.
///
/// # Errors
/// When the connection ends first.
pub async fn read_head(conn: &mut Conn) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(conn.read_u8().await?);
    }
    Ok(String::from_utf8(head).unwrap())
}

/// What a user can tell of a response's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The message is complete, and so are these bytes.
    Whole(Vec<u8>),
    /// The message broke off behind these bytes.
    Cut(Vec<u8>),
}

/// Reads the body behind `head` to the end of the connection, as RFC 9112 section 6.3 has it.
pub async fn read_body(head: &str, conn: &mut Conn) -> Body {
    let mut raw = Vec::new();
    let end = conn.read_to_end(&mut raw).await;
    let head = head.to_ascii_lowercase();
    let field = |name: &str| {
        head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).map(ToOwned::to_owned)
    };
    if field("transfer-encoding:").is_some() {
        return unchunk(&raw);
    }
    let whole = match field("content-length:") {
        Some(length) => length.parse() == Ok(raw.len()),
        None => end.is_ok(),
    };
    if whole { Body::Whole(raw) } else { Body::Cut(raw) }
}

/// RFC 9112, section 7.1; without trailers.
fn unchunk(mut raw: &[u8]) -> Body {
    let mut body = Vec::new();
    loop {
        let Some(line) = raw.windows(2).position(|pair| pair == b"\r\n") else {
            return Body::Cut(body);
        };
        let size = std::str::from_utf8(&raw[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        raw = &raw[line + 2..];
        if raw.len() < size + 2 {
            body.extend(&raw[..size.min(raw.len())]);
            return Body::Cut(body);
        }
        body.extend(&raw[..size]);
        raw = &raw[size + 2..];
        if size == 0 {
            return Body::Whole(body);
        }
    }
}

/// Reads until the connection ends, and says how.
pub async fn read_all(conn: &mut Conn) -> (Vec<u8>, Result<(), io::ErrorKind>) {
    let mut got = Vec::new();
    let end = conn.read_to_end(&mut got).await;
    (got, end.map(drop).map_err(|error| error.kind()))
}

/// Looks every 10 ms of **virtual** time whether `condition` holds, for at most `limit`; returns
/// how long it took.
///
/// # Panics
/// When it never does.
pub async fn eventually(what: &str, limit: Duration, condition: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < limit, "{what}: not after {limit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}

/// RFC 4648, section 4.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for digit in 0..4 {
            let digit = if digit <= group.len() {
                DIGITS[(bits >> (18 - 6 * digit)) as usize & 63].into()
            } else {
                '='
            };
            text.push(digit);
        }
    }
    text
}
