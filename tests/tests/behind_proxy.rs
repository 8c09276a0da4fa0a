//! A gateway behind a reverse proxy: who is believed about where a client comes from (FAULTS 35).
//!
//! ```text
//! client ─▶ front (scripted): a PROXY header, or ends TLS and adds to the request ─▶ gateway's door
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure is the test's result"
)]

#[path = "proxy_dial/scripted.rs"]
#[allow(dead_code, reason = "shared with another test, which uses the rest")]
mod scripted;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_tests::{
    lab::{Certificates, GROUP, SECRET, Site},
    net::World,
};
use anyproxy_transport::{
    Behind, DialConfig, Dialer, Identity, ListenConfig, Login, Method, Offer, OldestTls, Route,
    StallBudget, ToldBy, Transport, Trust, Trusted, TunnelError, TunnelListener,
    net::{Net, Role},
};
use anyproxy_wire::{
    handshake::Secret,
    message::{DEFAULT_CREDIT, Intent},
};
use scripted::{Inspector, relay};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::rustls::pki_types::ServerName;

const PATIENCE: Duration = Duration::from_secs(30);
/// The front's host.
const FRONT: &str = "198.18.0.9";
/// What is told, rightly or not.
const TOLD: &str = "203.0.113.9";

/// What the front puts in.
#[derive(Clone, Copy)]
enum Puts {
    /// Bytes in front of the client's own TLS.
    Before(&'static [u8]),
    /// Lines of the request, after it has ended TLS.
    Lines(&'static str),
}

struct Place {
    site: Site,
    world: World,
    certificates: Certificates,
}

impl Place {
    fn new() -> Self {
        let (site, world) = Site::simulated();
        Self { site, world, certificates: Certificates::new(&["gateway.test"]) }
    }

    fn behind(trusted: &[&str], told_by: ToldBy) -> Behind {
        Behind { socket: None, trusted: Trusted::parse(trusted).unwrap(), told_by }
    }

    fn door(&self, net: &dyn Net, addr: SocketAddr, behind: Behind) -> TunnelListener {
        let (chain, key) = (self.certificates.chain.as_bytes(), self.certificates.key.as_bytes());
        let config = ListenConfig {
            addr,
            offer: Offer::WebSocket,
            identity: Identity::from_pem(chain, key).unwrap(),
            path: "/anyproxy".into(),
            oldest_tls: OldestTls::Tls13,
            dead_after: PATIENCE,
            behind,
            congestion: anyproxy_transport::Congestion::default(),
        };
        TunnelListener::bind(net, &config).unwrap()
    }

    /// Starts a client that dials `addr` and logs in as far as it gets.
    fn client(&self, net: Arc<dyn Net>, addr: SocketAddr) {
        let config = DialConfig {
            host: addr.ip().to_string(),
            port: addr.port(),
            server_name: Some("gateway.test".into()),
            trust: Trust::from_ca_pem(self.certificates.ca.as_bytes()).unwrap(),
            certificate: None,
            path: "/anyproxy".into(),
            oldest_tls: OldestTls::Tls13,
            route: Route::default(),
            congestion: anyproxy_transport::Congestion::default(),
        };
        let dialer = Dialer::new(net, config).unwrap();
        let deadline = Deadline::after(PATIENCE);
        tokio::spawn(async move {
            let Ok(connected) = dialer.dial(Transport::WebSocket, deadline).await else { return };
            let _ = connected.log_in(&login(), deadline, &Scope::root("client")).await;
        });
    }

    /// Where a client seems to come from that comes through a front which puts something in.
    async fn seen(&self, behind: Behind, puts: Puts) -> Result<SocketAddr, TunnelError> {
        let door = self.door(&*self.site.gateway, SocketAddr::new(self.site.gateway_ip, 0), behind);
        let front = self.world.host("front", FRONT.parse().unwrap()).net();
        let addr = SocketAddr::new(FRONT.parse().unwrap(), 443);
        let inspector = Inspector::new(&self.certificates, &self.certificates);
        tokio::spawn(serve(front, addr, door.local_addr(), (puts, inspector)));
        self.client(self.site.client.clone(), addr);
        let arrival = door.accept().await;
        arrival.greet(Deadline::after(PATIENCE)).await.map(|greeting| greeting.peer())
    }
}

fn login() -> Login {
    Login {
        group: GROUP.into(),
        client_id: "test".into(),
        instance: [3; 16],
        replica: 0,
        intent: Intent::New,
        join_key: None,
        ping_within: None,
        secret: Secret::new(SECRET),
        method: Method::Secret,
        initial_credit: DEFAULT_CREDIT,
        budget: StallBudget::new(64 << 20),
    }
}

async fn serve(
    net: Arc<dyn Net>,
    addr: SocketAddr,
    gateway: SocketAddr,
    (puts, inspector): (Puts, Inspector),
) {
    let listener = net.listen(addr).unwrap();
    let (near, _) = listener.accept(Role::Proxied).await.unwrap();
    let mut far = net.connect(gateway, Role::Proxied).await.unwrap();
    match puts {
        Puts::Before(bytes) => {
            far.write_all(bytes).await.unwrap();
            let _ = relay(near, far, PATIENCE).await;
        }
        Puts::Lines(lines) => {
            let mut near = inspector.acceptor.accept(near).await.unwrap();
            let name = ServerName::try_from("gateway.test").unwrap();
            let mut far = inspector.connector.connect(name, far).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(near.read_u8().await.unwrap());
            }
            head.truncate(head.len() - 2);
            far.write_all(&[&head, lines.as_bytes(), b"\r\n"].concat()).await.unwrap();
            far.flush().await.unwrap();
            let _ = relay(near, far, PATIENCE).await;
        }
    }
}

const V1: &[u8] = b"PROXY TCP4 203.0.113.9 198.18.0.1 40000 443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\xc6\x12\0\x01\x9c\x40\x01\xbb";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

#[tokio::test(start_paused = true)]
async fn a_proxy_header_of_a_trusted_peer_tells_the_client() {
    for header in [V1, V2] {
        let behind = Place::behind(&["198.18.0.8/30"], ToldBy::ProxyProtocol);
        let seen = Place::new().seen(behind, Puts::Before(header)).await.unwrap();
        assert_eq!(seen, SocketAddr::new(TOLD.parse().unwrap(), 40000));
    }
    let behind = Place::behind(&[FRONT], ToldBy::ProxyProtocol);
    let seen = Place::new().seen(behind, Puts::Before(LOCAL)).await.unwrap();
    assert_eq!(seen.ip().to_string(), FRONT, "nothing is told, so it is the front itself");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_header_of_anybody_else_is_no_client() {
    for (trusted, told_by) in [
        (&[][..], ToldBy::Nothing),
        (&["198.18.0.7", "unix"], ToldBy::ProxyProtocol),
        (&[FRONT], ToldBy::XForwardedFor),
    ] {
        for header in [V1, V2] {
            let behind = Place::behind(trusted, told_by);
            let error = Place::new().seen(behind, Puts::Before(header)).await.unwrap_err();
            assert!(matches!(error, TunnelError::Transport(_)), "{error}");
        }
    }
}

/// To guess whether there is one would be to let the client choose.
#[tokio::test(start_paused = true)]
async fn a_trusted_peer_without_the_header_is_turned_away() {
    let behind = Place::behind(&[FRONT], ToldBy::ProxyProtocol);
    let error = Place::new().seen(behind, Puts::Before(b"")).await.unwrap_err().to_string();
    assert!(error.contains("sent no PROXY header"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_named_header_of_a_trusted_peer_tells_the_client() {
    for (told_by, lines) in [
        (ToldBy::XForwardedFor, "X-Forwarded-For: 203.0.113.9\r\n"),
        (ToldBy::XForwardedFor, "X-Forwarded-For: 198.51.100.66, 203.0.113.9\r\n"),
        (ToldBy::XForwardedFor, "Forwarded: for=198.51.100.66\r\nX-Forwarded-For: 203.0.113.9\r\n"),
        (ToldBy::Forwarded, "Forwarded: for=203.0.113.9\r\nX-Forwarded-For: 198.51.100.66\r\n"),
    ] {
        let behind = Place::behind(&[FRONT], told_by);
        let seen = Place::new().seen(behind, Puts::Lines(lines)).await.unwrap();
        assert_eq!(seen, SocketAddr::new(TOLD.parse().unwrap(), 0), "{lines}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_forged_header_is_never_believed() {
    let both = "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\n";
    for (trusted, told_by) in [
        (&[][..], ToldBy::Nothing),
        (&["198.18.0.7", "unix"], ToldBy::XForwardedFor),
        (&["198.18.0.7", "unix"], ToldBy::Forwarded),
    ] {
        let behind = Place::behind(trusted, told_by);
        let seen = Place::new().seen(behind, Puts::Lines(both)).await.unwrap();
        assert_eq!(seen.ip().to_string(), FRONT);
    }
}

/// Over a real socket, for there are none in the simulated network.
#[cfg(unix)]
#[tokio::test]
async fn the_unix_socket_carries_a_tunnel_without_tls() {
    let dir = tempfile::tempdir().unwrap();
    for (trusted, header, expected) in [
        (&["unix"][..], V2, "203.0.113.9:40000"),
        (&["unix"], LOCAL, "0.0.0.0:0"),
        (&[], b"", "0.0.0.0:0"),
    ] {
        let place = Place::new();
        let told_by = if trusted.is_empty() { ToldBy::Nothing } else { ToldBy::ProxyProtocol };
        let socket = dir.path().join("ws.sock");
        let behind = Behind { socket: Some(socket.clone()), ..Place::behind(trusted, told_by) };
        let site = Site::loopback();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let door = place.door(&*site.gateway, any, behind);

        let listener = site.gateway.listen(any).unwrap();
        let front = listener.local_addr().unwrap();
        let inspector = Inspector::new(&place.certificates, &place.certificates);
        tokio::spawn(async move {
            let (near, _) = listener.accept(Role::Proxied).await.unwrap();
            let near = inspector.acceptor.accept(near).await.unwrap();
            let mut far = tokio::net::UnixStream::connect(socket).await.unwrap();
            far.write_all(header).await.unwrap();
            relay(near, far, PATIENCE).await
        });
        place.client(site.client, front);
        let arrival = door.accept().await;
        assert!(arrival.is_through_proxy());
        let greeting = arrival.greet(Deadline::after(PATIENCE)).await.unwrap();
        assert_eq!(greeting.peer().to_string(), expected);
    }
}
