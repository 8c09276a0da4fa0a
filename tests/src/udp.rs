//! Users and targets that speak UDP.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyproxy_client::Forward;
use anyproxy_transport::net::{Conn, Datagrams, Net, Role};
use anyproxy_wire::message::Protocol;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
    time::Instant,
};

use crate::{
    lab::{Certificates, Lab, Options, Site, client_config, connected, start_gateway},
    net::{LinkSettings, World},
    user::{As, Refusal},
};

/// The largest payload of a datagram over IPv4.
pub const LARGEST: usize = 65_507;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A lab whose client asks for a UDP port for each of `targets`.
pub async fn lab(site: Site, options: &Options, targets: &[SocketAddr]) -> Lab {
    let ip = site.gateway_ip;
    let forwards = targets.iter().map(|target| forward(SocketAddr::new(ip, 0), *target)).collect();
    lab_with(site, options, forwards).await
}

/// A lab whose client asks for `forwards`.
pub async fn lab_with(site: Site, options: &Options, forwards: Vec<Forward>) -> Lab {
    let certificates = Certificates::new(&["gateway.test"]);
    let gateway = start_gateway(&site, options, &certificates);
    let mut config = client_config(&site, options, &certificates, gateway.addresses().tunnels);
    config.forwards = forwards;
    let client =
        anyproxy_client::Client::start(config, site.client.clone(), Duration::from_secs(10))
            .unwrap();
    let ports = connected(&client).await;
    Lab { gateway, client, site, ports }
}

/// A forwarded UDP port.
#[must_use]
pub fn forward(listen: SocketAddr, target: SocketAddr) -> Forward {
    Forward {
        name: format!("udp {target}"),
        listen: listen.to_string(),
        target: target.to_string(),
        protocol: Protocol::Udp,
        ..Forward::default()
    }
}

/// Lets datagrams of every size pass between users and the gateway, and between the client and its
/// targets; the tunnel keeps its MTU.
pub fn jumbo(world: &World) {
    let jumbo = LinkSettings {
        mtu: 65_535,
        queue: 64 << 20,
        ..LinkSettings::with_delay(Duration::from_millis(10))
    };
    let ip = |last| IpAddr::V4(Ipv4Addr::new(198, 18, 0, last));
    world.link(ip(1), ip(3)).set(jumbo);
    world.link(ip(2), ip(4)).set(jumbo);
}

/// A user's or a target's socket.
#[derive(Debug, Clone)]
pub struct Udp(Arc<Datagrams>);

impl Udp {
    /// Any port of `ip`.
    #[must_use]
    pub fn bind(net: &dyn Net, ip: IpAddr) -> Self {
        Self(Arc::new(net.datagrams(SocketAddr::new(ip, 0), None).unwrap()))
    }

    /// A user's, at any address.
    #[must_use]
    pub fn user(site: &Site) -> Self {
        let any = match site.gateway_ip {
            ip if ip.is_loopback() => ip,
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        Self::bind(&*site.user, any)
    }

    /// Where it is bound.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Sends one datagram, which has to be taken.
    pub fn send(&self, payload: &[u8], to: SocketAddr) {
        self.0.try_send(payload, to, None).unwrap();
    }

    /// The next datagram and its sender.
    pub async fn recv(&self) -> (Vec<u8>, SocketAddr) {
        let mut buf = vec![0; 65_535];
        loop {
            // An error is one of a peer.
            if let Ok(received) = self.0.recv(&mut buf).await {
                buf.truncate(received.length);
                return (buf, received.from);
            }
        }
    }

    /// The next datagram within `limit`.
    pub async fn recv_within(&self, limit: Duration) -> Option<Vec<u8>> {
        tokio::time::timeout(limit, self.recv()).await.ok().map(|(payload, _)| payload)
    }

    /// Sends `payload` and waits for the answer, a minute at most.
    pub async fn ask(&self, payload: &[u8], to: SocketAddr) -> Vec<u8> {
        self.send(payload, to);
        let (answer, from) = tokio::time::timeout(PATIENCE, self.recv()).await.expect("no answer");
        assert_eq!(from, to, "an answer comes from where the question went");
        answer
    }
}

/// A datagram that a target received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Who sent it: a socket of the client's.
    pub from: SocketAddr,
    /// Its payload.
    pub payload: Vec<u8>,
    /// When it came.
    pub at: Instant,
}

/// Answers each datagram with what `answers` makes of it, and reports it. Reports that nobody
/// fetches are thrown away.
pub fn target<F>(site: &Site, answers: F) -> (SocketAddr, mpsc::Receiver<Seen>)
where
    F: Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
{
    let socket = Udp::bind(&*site.target, site.target_ip);
    let addr = socket.addr();
    let (reports, seen) = mpsc::channel(1024);
    tokio::spawn(async move {
        loop {
            let (payload, from) = socket.recv().await;
            for answer in answers(&payload) {
                let _ = socket.0.try_send(&answer, from, None);
            }
            let _ = reports.try_send(Seen { from, payload, at: Instant::now() });
        }
    });
    (addr, seen)
}

/// Sends each datagram back.
#[must_use]
pub fn echo(site: &Site) -> SocketAddr {
    target(site, |payload| vec![payload.to_vec()]).0
}

/// Never answers.
#[must_use]
pub fn silent(site: &Site) -> (SocketAddr, mpsc::Receiver<Seen>) {
    target(site, |_| vec![])
}

/// A user's SOCKS5 association.
pub struct Association {
    /// The TCP connection, which it lives as long as.
    pub control: Conn,
    /// Where datagrams go.
    pub relay: SocketAddr,
    /// The user's socket.
    pub socket: Udp,
}

impl Association {
    /// Asks for one, with the port that the user announces.
    ///
    /// # Errors
    /// What the gateway answered.
    pub async fn open(lab: &Lab, user: &As, announced: Option<u16>) -> Result<Self, Refusal> {
        Self::with(lab, user, Udp::user(&lab.site), announced).await
    }

    /// The same with the user's own socket.
    ///
    /// # Errors
    /// What the gateway answered.
    pub async fn with(
        lab: &Lab,
        user: &As,
        socket: Udp,
        announced: Option<u16>,
    ) -> Result<Self, Refusal> {
        let mut control = lab.site.user.connect(lab.socks5(), Role::Proxied).await?;
        let mut hello = vec![5, 1, 2, 1];
        for part in [user.name, user.password] {
            hello.push(u8::try_from(part.len()).unwrap());
            hello.extend_from_slice(part.as_bytes());
        }
        hello.extend_from_slice(&[5, 3, 0, 1, 0, 0, 0, 0]);
        hello.extend_from_slice(&announced.unwrap_or(0).to_be_bytes());
        control.write_all(&hello).await?;
        let mut head = [0; 4];
        control.read_exact(&mut head).await?;
        if head[3] != 0 {
            return Err(Refusal::Socks5(0xff00 | u16::from(head[3])));
        }
        control.read_exact(&mut head).await?;
        if head[1] != 0 {
            return Err(Refusal::Socks5(head[1].into()));
        }
        let relay = read_address(&mut control, head[3]).await?;
        Ok(Self { control, relay, socket })
    }

    /// Sends `payload` for `host`.
    pub fn send(&self, host: &str, port: u16, payload: &[u8]) {
        self.socket.send(&[header(host, port), payload.to_vec()].concat(), self.relay);
    }

    /// The next reply: who it says it is from, and its payload.
    pub async fn recv(&self) -> (String, Vec<u8>) {
        let (reply, from) = self.socket.recv().await;
        assert_eq!(from, self.relay);
        split(&reply)
    }

    /// Sends `payload` and waits for its answer, a minute at most.
    pub async fn ask(&self, host: &str, port: u16, payload: &[u8]) -> (String, Vec<u8>) {
        self.send(host, port, payload);
        tokio::time::timeout(PATIENCE, self.recv()).await.expect("no answer")
    }

    /// Waits until the gateway ends it.
    pub async fn ended(&mut self) {
        let mut rest = Vec::new();
        let _ = self.control.read_to_end(&mut rest).await;
    }
}

/// A header for `host`, an address or a name.
#[must_use]
pub fn header(host: &str, port: u16) -> Vec<u8> {
    let mut header = vec![0, 0, 0];
    match host.parse() {
        Ok(IpAddr::V4(ip)) => {
            header.push(1);
            header.extend_from_slice(&ip.octets());
        }
        Ok(IpAddr::V6(ip)) => {
            header.push(4);
            header.extend_from_slice(&ip.octets());
        }
        Err(_) => {
            header.extend_from_slice(&[3, u8::try_from(host.len()).unwrap()]);
            header.extend_from_slice(host.as_bytes());
        }
    }
    header.extend_from_slice(&port.to_be_bytes());
    header
}

fn split(reply: &[u8]) -> (String, Vec<u8>) {
    assert_eq!(reply[..3], [0, 0, 0], "reserved and fragment");
    let (host, end) = match reply[3] {
        1 => (IpAddr::from(<[u8; 4]>::try_from(&reply[4..8]).unwrap()).to_string(), 8),
        4 => (IpAddr::from(<[u8; 16]>::try_from(&reply[4..20]).unwrap()).to_string(), 20),
        3 => {
            let end = 5 + usize::from(reply[4]);
            (String::from_utf8(reply[5..end].to_vec()).unwrap(), end)
        }
        kind => panic!("address type {kind}"),
    };
    let port = u16::from_be_bytes(reply[end..end + 2].try_into().unwrap());
    let colons =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    (colons, reply[end + 2..].to_vec())
}

async fn read_address(conn: &mut Conn, kind: u8) -> io::Result<SocketAddr> {
    let ip = match kind {
        1 => {
            let mut octets = [0; 4];
            conn.read_exact(&mut octets).await?;
            IpAddr::from(octets)
        }
        4 => {
            let mut octets = [0; 16];
            conn.read_exact(&mut octets).await?;
            IpAddr::from(octets)
        }
        other => panic!("address type {other}"),
    };
    Ok(SocketAddr::new(ip, conn.read_u16().await?))
}

/// `size` bytes that no other peer, number or size has, as far as there is room to tell.
#[must_use]
pub fn payload(peer: usize, number: usize, size: usize) -> Vec<u8> {
    let mark = (peer as u64) << 40 | (number as u64) << 20 | size as u64;
    (0..size).map(|at| (mark.to_le_bytes()[at % 8]).wrapping_add((at / 8) as u8)).collect()
}
