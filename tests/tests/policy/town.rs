//! The network that the policy is tested on.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyproxy_client::{Client, egress::Policy};
use anyproxy_tests::{
    lab::{Options, Site, connected},
    net::{Host, World},
    party::Party,
    target,
    user::{As, Doors, Refusal},
};
use anyproxy_transport::{Transport, net::Role};

/// A private server that users must not reach.
pub(super) const INNER: &str = "10.0.0.7";
pub(super) const INNER_V6: &str = "fd00:7::7";

/// A network with a client's host, a private server and one that everybody may reach.
pub(super) struct Town {
    pub(super) world: World,
    pub(super) party: Party,
    pub(super) host: Host,
    /// The private server, at the same port on the client's own loopback.
    pub(super) inner: u16,
    pub(super) open: SocketAddr,
    /// Connections that reached a private server.
    pub(super) reached: Arc<AtomicUsize>,
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Answers any request, and counts.
fn counted(site: &Site, addr: SocketAddr, reached: &Arc<AtomicUsize>) {
    let listener = site.target.listen(addr).unwrap();
    let reached = Arc::clone(reached);
    tokio::spawn(async move {
        while listener.accept(Role::Proxied).await.is_ok() {
            reached.fetch_add(1, Ordering::Relaxed);
        }
    });
}

impl Town {
    pub(super) fn new(transport: Transport) -> Self {
        let (site, world) = Site::simulated();
        let open = target::http(&site, target::Framing::Length, 1);
        let host = world.host("private", ip("198.18.0.5"));
        host.add_ip(ip("fd00:5::5"));
        let server = world.host("inner", ip(INNER));
        server.add_ip(ip(INNER_V6));
        let (inner, reached) = (8080, Arc::default());
        for (net, at) in [
            (server.net(), INNER),
            (server.net(), INNER_V6),
            (host.net(), "127.0.0.1"),
            (host.net(), "::1"),
        ] {
            let site = Site { target: net, ..site.clone() };
            counted(&site, SocketAddr::new(ip(at), inner), &reached);
        }
        let party = Party::start(site, Options::new(transport));
        Self { world, party, host, inner, open, reached }
    }

    pub(super) async fn client(&self, allow: &[&str], deny: &[&str]) -> Client {
        let own = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut config = self.party.config("private");
        config.policy = Policy::parse(&own(allow), &own(deny)).unwrap();
        let client = self.party.client_at(self.host.net(), config);
        connected(&client).await;
        client
    }

    /// A resolver that makes an address of such a name, as the system's does of `127.1`.
    pub(super) fn name(&self, name: &str, addrs: &[&str]) {
        let addrs: Vec<_> = addrs.iter().map(|text| ip(text)).collect();
        self.world.name(name, &addrs);
    }

    pub(super) async fn ask(&self, host: &str, port: u16) -> [Result<(), Refusal>; 3] {
        ask(&self.party.doors(&[]), host, port).await
    }

    pub(super) async fn denies(&self, host: &str, port: u16) {
        let http = Err(Refusal::Http(403, "http_request_denied".into()));
        let expected = [http.clone(), http, Err(Refusal::Socks5(0x02))];
        assert_eq!(self.ask(host, port).await, expected, "{host} {port}");
        assert_eq!(self.reached.load(Ordering::Relaxed), 0, "{host} {port} was dialled");
    }

    pub(super) async fn connects(&self, host: &str, port: u16) {
        let [connect, _, socks5] = self.ask(host, port).await;
        assert_eq!((connect, socks5), (Ok(()), Ok(())), "{host} {port}");
    }
}

/// By CONNECT, by GET and by SOCKS5.
async fn ask(doors: &Doors, host: &str, port: u16) -> [Result<(), Refusal>; 3] {
    let user = As::default();
    let authority =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    [
        doors.http_connect(&authority, &user).await.map(drop),
        // A private server that is reached says nothing; whether it was is counted there.
        tokio::time::timeout(Duration::from_secs(1), doors.http_get(&authority, &user))
            .await
            .map_or(Ok(()), |answer| answer.map(drop)),
        doors.socks5_connect(host, port, &user).await.map(drop),
    ]
}
