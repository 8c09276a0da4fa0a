//! A whole installation in one process: gateway, client, users and targets.
//!
//! ```text
//! user ─▶ HTTP proxy / SOCKS5 / forwarded port ─▶ gateway ══ tunnel ══ client ─▶ target
//! ```
//!
//! One body of a test runs over both transports and, where it makes sense, on real loopback sockets
//! and on the simulated network.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyproxy_client::{Client, ClientConfig, Forward, ForwardState, State, egress::Policy};
use anyproxy_gateway::{
    Credential, Gateway, GatewayConfig, GroupConfig, GroupLimits, Limits, PortRule, UserConfig,
};
use anyproxy_transport::{
    Congestion, DialConfig, Identity, ListenConfig, Method, Offer, OldestTls, Transport, Trust,
    net::{Net, System},
};
use anyproxy_wire::handshake::{Secret, Verifier};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::net::{LinkSettings, World};

/// The group of every lab.
pub const GROUP: &str = "demo";
/// Its secret, also its users' password.
pub const SECRET: &str = "a secret that only tests know 0123456789";

/// Where things are.
#[derive(Clone)]
pub struct Site {
    /// The gateway's network.
    pub gateway: Arc<dyn Net>,
    /// The client's network.
    pub client: Arc<dyn Net>,
    /// The users' network.
    pub user: Arc<dyn Net>,
    /// The targets' network.
    pub target: Arc<dyn Net>,
    /// The gateway's address.
    pub gateway_ip: IpAddr,
    /// The targets' address.
    pub target_ip: IpAddr,
}

impl Site {
    /// Real sockets on loopback.
    #[must_use]
    pub fn loopback() -> Self {
        let net: Arc<dyn Net> = Arc::new(System::default());
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            gateway: net.clone(),
            client: net.clone(),
            user: net.clone(),
            target: net,
            gateway_ip: ip,
            target_ip: ip,
        }
    }

    /// Four hosts of a simulated network with 10 ms one-way delay between each two.
    #[must_use]
    pub fn simulated() -> (Self, World) {
        let world = World::new(7);
        world.set_default(LinkSettings::with_delay(Duration::from_millis(10)));
        let ip = |last| IpAddr::V4(Ipv4Addr::new(198, 18, 0, last));
        let [gateway, client, user, target] =
            [("gateway", 1), ("client", 2), ("user", 3), ("target", 4)]
                .map(|(name, last)| world.host(name, ip(last)).net());
        world.name("target.test", &[ip(4)]);
        (Self { gateway, client, user, target, gateway_ip: ip(1), target_ip: ip(4) }, world)
    }
}

/// What differs between labs.
#[derive(Clone)]
pub struct Options {
    /// What carries the tunnel.
    pub transport: Transport,
    /// The gateway's bounds.
    pub limits: Limits,
    /// The client's bounds.
    pub client_limits: anyproxy_client::Limits,
    /// Targets, each behind a forwarded port.
    pub forwards: Vec<SocketAddr>,
    /// Targets that are denied.
    pub deny: Vec<String>,
    /// Ports that clients may ask for, from the first to the last; else only those that the system
    /// chooses.
    pub ports: Option<(u16, u16)>,
    /// What controls the congestion of QUIC, at both ends.
    pub congestion: Congestion,
}

impl Options {
    /// Defaults over `transport`.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        Self {
            transport,
            limits: Limits::default(),
            client_limits: anyproxy_client::Limits::default(),
            forwards: vec![],
            deny: vec![],
            ports: None,
            congestion: Congestion::default(),
        }
    }

    /// For tests of a tunnel: there is no other beside it.
    #[must_use]
    pub fn one_connection(mut self) -> Self {
        self.client_limits.websocket_connections = 1;
        self
    }

    /// With a forwarded port for each target.
    #[must_use]
    pub fn forwards(mut self, targets: &[SocketAddr]) -> Self {
        self.forwards = targets.to_vec();
        self
    }
}

/// Certificates of a lab.
pub struct Certificates {
    /// The CA, as PEM.
    pub ca: String,
    /// The gateway's chain, as PEM.
    pub chain: String,
    /// The gateway's key, as PEM.
    pub key: String,
}

impl Certificates {
    /// Makes a CA and a certificate for `names`.
    #[must_use]
    pub fn new(names: &[&str]) -> Self {
        let mut ca = CertificateParams::new(vec![]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
        Self {
            chain: format!("{}{}", leaf.pem(), ca.pem()),
            ca: ca.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// A running installation.
pub struct Lab {
    /// The gateway.
    pub gateway: Gateway,
    /// The client, connected.
    pub client: Client,
    /// Where things are.
    pub site: Site,
    /// Forwarded ports, in the order of the options.
    pub ports: Vec<SocketAddr>,
}

impl Lab {
    /// Starts a gateway and a client and waits until the session and all forwards are up.
    pub async fn start(site: Site, options: &Options) -> Self {
        let certificates = Certificates::new(&["gateway.test"]);
        let gateway = start_gateway(&site, options, &certificates);
        let client = start_client(&site, options, &certificates, gateway.addresses().tunnels);
        let ports = connected(&client).await;
        Self { gateway, client, site, ports }
    }

    /// The HTTP proxy.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.gateway.addresses().http[0]
    }

    /// The SOCKS5 proxy.
    #[must_use]
    pub fn socks5(&self) -> SocketAddr {
        self.gateway.addresses().socks5[0]
    }
}

/// Starts the gateway alone.
#[must_use]
pub fn start_gateway(site: &Site, options: &Options, certificates: &Certificates) -> Gateway {
    let config = gateway_config(site, options, certificates);
    Gateway::start(&config, site.gateway.clone(), Duration::from_secs(10)).unwrap()
}

/// What a lab's gateway runs with.
#[must_use]
pub fn gateway_config(
    site: &Site,
    options: &Options,
    certificates: &Certificates,
) -> GatewayConfig {
    let any = SocketAddr::new(site.gateway_ip, 0);
    let credential = Credential::Verifier(Verifier::from_secret(&Secret::new(SECRET)));
    let (first, last) = options.ports.unwrap_or((0, 0));
    let group = |name: &str| GroupConfig {
        name: name.into(),
        tunnel: credential.clone(),
        client_ca: None,
        users: vec![UserConfig { name: name.into(), password: credential.clone() }],
        limits: GroupLimits::default(),
        ports: vec![PortRule { address: None, first, last }],
    };
    GatewayConfig {
        tunnels: ListenConfig {
            addr: any,
            offer: Offer::Both,
            identity: Identity::from_pem(
                certificates.chain.as_bytes(),
                certificates.key.as_bytes(),
            )
            .unwrap(),
            path: "/anyproxy".into(),
            oldest_tls: OldestTls::Tls13,
            dead_after: options.limits.dead_after,
            behind: anyproxy_transport::Behind::default(),
            congestion: options.congestion,
        },
        http: vec![any],
        https: None,
        socks5: vec![any],
        mixed: vec![],
        groups: vec![group(GROUP), group("empty")],
        limits: options.limits,
    }
}

/// Starts the client alone.
#[must_use]
pub fn start_client(
    site: &Site,
    options: &Options,
    certificates: &Certificates,
    gateway: SocketAddr,
) -> Client {
    let config = client_config(site, options, certificates, gateway);
    Client::start(config, site.client.clone(), Duration::from_secs(10)).unwrap()
}

/// What a lab's client runs with.
#[must_use]
pub fn client_config(
    site: &Site,
    options: &Options,
    certificates: &Certificates,
    gateway: SocketAddr,
) -> ClientConfig {
    let forward = |(index, target): (usize, &SocketAddr)| Forward {
        name: format!("forward-{index}"),
        listen: SocketAddr::new(site.gateway_ip, 0).to_string(),
        target: target.to_string(),
        ..Forward::default()
    };
    ClientConfig {
        gateway: DialConfig {
            host: gateway.ip().to_string(),
            port: gateway.port(),
            server_name: Some("gateway.test".into()),
            trust: Trust::from_ca_pem(certificates.ca.as_bytes()).unwrap(),
            certificate: None,
            path: "/anyproxy".into(),
            oldest_tls: OldestTls::Tls13,
            route: anyproxy_transport::Route::default(),
            congestion: options.congestion,
        },
        transport: options.transport.into(),
        group: GROUP.into(),
        client_id: "lab".into(),
        replicas: 1,
        secret: Secret::new(SECRET),
        method: Method::Secret,
        forwards: options.forwards.iter().enumerate().map(forward).collect(),
        policy: Policy::parse(&[], &options.deny).unwrap(),
        limits: options.client_limits,
    }
}

/// Waits until the client's session and all its forwards are up.
pub async fn connected(client: &Client) -> Vec<SocketAddr> {
    let mut state = client.state();
    loop {
        if let State::Connected { forwards, .. } = &*state.borrow_and_update() {
            let bound = forwards.iter().map_while(|forward| match forward {
                ForwardState::Bound(addr) => Some(*addr),
                ForwardState::Requested | ForwardState::Refused(_) => None,
            });
            let bound = bound.collect::<Vec<_>>();
            if bound.len() == forwards.len() {
                return bound;
            }
        }
        if let State::Waiting(reason) = &*state.borrow() {
            tracing::warn!(reason, "not connected");
        }
        state.changed().await.expect("the client ended");
    }
}
