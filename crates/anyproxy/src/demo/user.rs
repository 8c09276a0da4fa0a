//! The demo's user: comes in by each ingress and speaks HTTP to the target.

use std::{fmt, io, net::SocketAddr};

use anyproxy_transport::Transport;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};
use zeroize::Zeroizing;

use super::{
    site::Site,
    table::Progress,
    target::{BLOCK, block, hex},
};

/// The longest head that a user reads, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// How a user comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Plain requests at the HTTP proxy.
    Http,
    /// `CONNECT` at the HTTP proxy.
    Connect,
    /// The SOCKS5 proxy.
    Socks5,
    /// A forwarded port.
    Forward,
}

impl Way {
    pub(super) const ALL: [Self; 4] = [Self::Http, Self::Connect, Self::Socks5, Self::Forward];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Connect => "http connect",
            Self::Socks5 => "socks5",
            Self::Forward => "forward",
        })
    }
}

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transfer {
    /// To the user.
    Download,
    /// To the target.
    Upload,
}

impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Download => "down",
            Self::Upload => "up",
        })
    }
}

pub(super) struct User {
    way: Way,
    entry: SocketAddr,
    target: SocketAddr,
    name: String,
    password: Zeroizing<String>,
}

impl User {
    pub(super) fn new(site: &Site, transport: Transport, way: Way) -> Self {
        Self {
            way,
            entry: match way {
                Way::Http | Way::Connect => site.http,
                Way::Socks5 => site.socks5,
                Way::Forward => site.forward(transport),
            },
            target: site.target,
            name: transport.to_string(),
            password: site.password.clone(),
        }
    }

    /// Moves `size` bytes and compares their SHA-256 at both ends.
    pub(super) async fn transfer(
        &self,
        transfer: Transfer,
        size: u64,
        progress: &Progress,
    ) -> Result<(), String> {
        let moved = match transfer {
            Transfer::Download => self.download(size, progress).await,
            Transfer::Upload => self.upload(size, progress).await,
        };
        let got = moved.map_err(|error| format!("{transfer}: {error}"))?;
        let expected = expected(size);
        if got == expected {
            return Ok(());
        }
        Err(format!("{transfer}: SHA-256 {got} instead of {expected}"))
    }

    async fn download(&self, size: u64, progress: &Progress) -> io::Result<String> {
        let (mut conn, prefix) = self.enter().await?;
        let head = self.head(&format!("GET {prefix}/bytes/{size}"), 0);
        conn.write_all(head.as_bytes()).await?;
        read_head(&mut conn).await?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; BLOCK];
        loop {
            let read = conn.read(&mut buffer).await?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            hash.update(bytes);
            progress.moved(read);
        }
        Ok(hex(&hash.finalize()))
    }

    async fn upload(&self, size: u64, progress: &Progress) -> io::Result<String> {
        let (mut conn, prefix) = self.enter().await?;
        let head = self.head(&format!("PUT {prefix}/"), size);
        conn.write_all(head.as_bytes()).await?;
        let block = block();
        let mut left = size;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK);
            conn.write_all(block.get(..part).unwrap_or_default()).await?;
            progress.moved(part);
            left -= part as u64;
        }
        read_head(&mut conn).await?;
        let mut answer = String::new();
        conn.take(1024).read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// A connection on which the target, or the HTTP proxy, takes a request; and what comes before
    /// the path there.
    async fn enter(&self) -> io::Result<(BufReader<TcpStream>, String)> {
        let mut conn = BufReader::with_capacity(BLOCK, TcpStream::connect(self.entry).await?);
        match self.way {
            Way::Http => return Ok((conn, format!("http://{}", self.target))),
            Way::Connect => {
                let head = self.head(&format!("CONNECT {}", self.target), 0);
                conn.write_all(head.as_bytes()).await?;
                read_head(&mut conn).await?;
            }
            Way::Socks5 => self.socks5(&mut conn).await?,
            Way::Forward => {}
        }
        Ok((conn, String::new()))
    }

    fn head(&self, line: &str, length: u64) -> String {
        let login = Zeroizing::new(format!("{}:{}", self.name, self.password.as_str()));
        let login = BASE64_STANDARD.encode(login.as_bytes());
        // Only a proxy asks for it, and takes it out.
        let login = match line.starts_with("CONNECT") || self.way == Way::Http {
            true => format!("Proxy-Authorization: Basic {login}\r\n"),
            false => String::new(),
        };
        let close = if line.starts_with("CONNECT") { "" } else { "Connection: close\r\n" };
        format!(
            "{line} HTTP/1.1\r\nHost: {}\r\n{login}{close}Content-Length: {length}\r\n\r\n",
            self.target
        )
    }

    /// RFC 1928 and RFC 1929, straight on.
    async fn socks5(&self, conn: &mut BufReader<TcpStream>) -> io::Result<()> {
        let mut hello = Zeroizing::new(vec![5, 1, 2, 1]);
        for part in [&self.name, &*self.password] {
            hello.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
            hello.extend_from_slice(part.as_bytes());
        }
        conn.write_all(&hello).await?;
        let SocketAddr::V4(target) = self.target else {
            return Err(io::Error::other("the demo's target is on IPv4"));
        };
        let mut request = vec![5, 1, 0, 1];
        request.extend(target.ip().octets());
        request.extend(target.port().to_be_bytes());
        conn.write_all(&request).await?;
        // Method, status of the login, then the reply with an IPv4 address.
        let mut answers = [0; 2 + 2 + 10];
        conn.read_exact(&mut answers).await?;
        match answers {
            [5, 2, 1, 0, 5, 0, ..] => Ok(()),
            _ => Err(io::Error::other(format!("SOCKS5 answers {answers:?}"))),
        }
    }
}

/// Reads a response's head; anything but 2xx is an error.
async fn read_head(conn: &mut BufReader<TcpStream>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_HEAD {
            return Err(io::Error::other("an endless head"));
        }
        head.push(conn.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.lines().next().unwrap_or_default();
    if status.starts_with("HTTP/1.1 2") {
        return Ok(());
    }
    Err(io::Error::other(format!("the answer was {status:?}")))
}

fn expected(size: u64) -> String {
    let block = block();
    let mut hash = Sha256::new();
    let mut left = size;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK);
        hash.update(block.get(..part).unwrap_or_default());
        left -= part as u64;
    }
    hex(&hash.finalize())
}
