//! A tunnel's two ends on the simulated network, without a session on either.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::{
    DialConfig, Dialer, Flow, Identity, ListenConfig, Login, Method, Offer, OldestTls, Opening,
    Side, StallBudget, Stream, StreamIds, Transport, Trust, Tunnel, TunnelLimits, TunnelListener,
};
use anyproxy_wire::{
    codes::OpenCode,
    handshake::{METHOD_SECRET, Secret, Verifier, gateway_proof},
    message::{DEFAULT_CREDIT, Ingress, Intent, Protocol, Target, Welcome},
};

use crate::{
    lab::{Certificates, GROUP, SECRET, Site},
    net::{Host, LinkHandle, LinkSettings, World},
};

/// How long anything here may take, in virtual time.
const PATIENCE: Duration = Duration::from_secs(60);

/// The two ends of a tunnel.
pub struct Tunnels {
    /// The end that opens.
    pub gateway: Tunnel,
    /// The end that accepts.
    pub client: Tunnel,
    /// What is between them.
    pub link: LinkHandle,
    /// The network.
    pub world: World,
    /// Where the client's end is.
    pub client_host: Host,
    /// Where the tunnel's tasks run.
    pub scope: Scope,
    /// The gateway's share of memory for those who do not keep up.
    pub budget: Arc<StallBudget>,
    _door: Door,
}

/// A gateway's door without a gateway: what a client does can be seen through it.
pub struct Door {
    /// Where things are.
    pub site: Site,
    /// What the client has to trust.
    pub certificates: Certificates,
    /// Where the tunnels' tasks run.
    pub scope: Scope,
    /// Memory for those who do not keep up.
    pub budget: Arc<StallBudget>,
    listener: TunnelListener,
}

impl Door {
    /// Opens it.
    #[must_use]
    pub fn open(site: Site) -> Self {
        Self::with_budget(site, 64 << 20)
    }

    /// Opens it with so many bytes for those who do not keep up.
    #[must_use]
    pub fn with_budget(site: Site, budget: u64) -> Self {
        let certificates = Certificates::new(&["gateway.test"]);
        let (cert, key) = (certificates.chain.as_bytes(), certificates.key.as_bytes());
        let config = ListenConfig {
            addr: SocketAddr::new(site.gateway_ip, 0),
            offer: Offer::Both,
            identity: Identity::from_pem(cert, key).unwrap(),
            path: "/anyproxy".into(),
            oldest_tls: OldestTls::Tls13,
            dead_after: Duration::from_secs(3600),
            behind: anyproxy_transport::Behind::default(),
            congestion: anyproxy_transport::Congestion::default(),
        };
        let listener = TunnelListener::bind(&*site.gateway, &config).unwrap();
        let (scope, budget) = (Scope::root("tunnels"), StallBudget::new(budget));
        Self { site, certificates, scope, budget, listener }
    }

    /// Where it is.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Lets the next client in.
    pub async fn welcome(&self) -> Tunnel {
        accept(&self.listener, &self.scope, Arc::clone(&self.budget)).await
    }
}

impl Tunnels {
    /// Dials, over links with these settings.
    pub async fn start(transport: Transport, link: LinkSettings) -> Self {
        Self::with_budget(transport, link, 64 << 20).await
    }

    /// Dials; the gateway's end has so many bytes for those who do not keep up.
    pub async fn with_budget(transport: Transport, link: LinkSettings, budget: u64) -> Self {
        let (mut site, world) = Site::simulated();
        let client_host = world.host("dialler", [198, 18, 0, 8].into());
        site.client = client_host.net();
        world.set_default(link);
        let door = Door::with_budget(site, budget);
        let dialling = dial(&door, transport);
        let (gateway, client) = tokio::join!(door.welcome(), dialling);
        let link = world.link(door.site.gateway_ip, gateway.peer().ip());
        let (scope, budget) = (door.scope.clone(), Arc::clone(&door.budget));
        Self { gateway, client, link, world, client_host, scope, budget, _door: door }
    }

    /// Opens a stream that the other end has accepted and not yet answered.
    pub async fn open(&self, protocol: Protocol) -> (Stream, Stream) {
        let deadline = Deadline::after(PATIENCE);
        let opening = opening(protocol);
        let (opened, accepted) = tokio::join!(self.gateway.open(&opening), async {
            self.client.accept().await.unwrap().head(deadline).await.unwrap().1
        });
        (opened.unwrap(), accepted)
    }

    /// A flow at both ends.
    pub async fn flow(&self) -> (Flow, Flow) {
        let (mut opened, mut accepted) = self.open(Protocol::Udp).await;
        accepted.answer(OpenCode::Connected, "", None).await.unwrap();
        opened.expect_reply(Deadline::after(PATIENCE));
        (Flow::new(opened), Flow::new(accepted))
    }
}

/// What a flow or a stream is opened with.
#[must_use]
pub fn opening(protocol: Protocol) -> Opening {
    Opening {
        ingress: Ingress::Forward,
        target: Target::Forward(0),
        source: None,
        destination: None,
        user: String::new(),
        protocol,
    }
}

async fn accept(listener: &TunnelListener, scope: &Scope, budget: Arc<StallBudget>) -> Tunnel {
    let deadline = Deadline::after(PATIENCE);
    let greeting = listener.accept().await.greet(deadline).await.unwrap();
    let client = greeting.challenge(&[METHOD_SECRET]).await.unwrap();
    let verifier = Verifier::from_secret(&Secret::new(SECRET));
    let welcome = Welcome {
        session: [1; 16],
        tunnel: 0,
        proof: Some(gateway_proof(&verifier, client.transcript())),
        generation: 1,
        initial_credit: DEFAULT_CREDIT,
        max_streams: 1024,
        ping_interval: Duration::from_secs(600),
        dead_after: Duration::from_secs(3600),
        join_key: [2; 32],
        software: String::new(),
    };
    let limits = TunnelLimits { max_streams: 1024, budget, ids: StreamIds::new(Side::Gateway) };
    client.welcome(welcome, limits, scope).await.unwrap()
}

async fn dial(door: &Door, transport: Transport) -> Tunnel {
    let deadline = Deadline::after(PATIENCE);
    let config = DialConfig {
        host: door.addr().ip().to_string(),
        port: door.addr().port(),
        server_name: Some("gateway.test".into()),
        trust: Trust::from_ca_pem(door.certificates.ca.as_bytes()).unwrap(),
        certificate: None,
        path: "/anyproxy".into(),
        oldest_tls: OldestTls::Tls13,
        route: anyproxy_transport::Route::default(),
        congestion: anyproxy_transport::Congestion::default(),
    };
    let login = Login {
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
    };
    let dialer = Dialer::new(door.site.client.clone(), config).unwrap();
    let connected = dialer.dial(transport, deadline).await.unwrap();
    connected.log_in(&login, deadline, &door.scope).await.unwrap().0
}
