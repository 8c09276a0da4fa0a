//! The demo's gateway, clients and target.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyproxy_client::{Client, ClientConfig, Forward, ForwardState, State, egress::Policy};
use anyproxy_gateway::{
    Credential, Gateway, GatewayConfig, GroupConfig, GroupLimits, Limits, PortRule, UserConfig,
};
use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::{
    DialConfig, Identity, ListenConfig, Method, Offer, OldestTls, Transport, Trust, net::System,
};
use anyproxy_wire::handshake::{Secret, Verifier};
use zeroize::Zeroizing;

use super::{DemoError, target};
use crate::{certs, failure::RunError, password};

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// How long a client may take to connect over loopback.
const CONNECT: Duration = Duration::from_secs(10);

pub(crate) struct Site {
    gateway: Gateway,
    clients: Vec<Member>,
    scope: Scope,
    pub(super) http: SocketAddr,
    pub(super) socks5: SocketAddr,
    pub(super) target: SocketAddr,
    /// Of every group.
    pub(super) password: Zeroizing<String>,
}

struct Member {
    transport: Transport,
    client: Client,
    forward: SocketAddr,
}

impl Site {
    pub(super) async fn start() -> Result<Self, RunError> {
        let scope = Scope::root("demo");
        let target = target::start(&scope).await.map_err(DemoError::Io)?;
        Self::before(target, scope).await
    }

    /// In front of a target that runs in `scope`, which ends with the site.
    pub(crate) async fn before(target: SocketAddr, scope: Scope) -> Result<Self, RunError> {
        let password = password::generate_secret().map_err(DemoError::Random)?;
        let (chain, key, ca) = certificates()?;
        let identity =
            Identity::from_pem(chain.as_bytes(), key.as_bytes()).map_err(DemoError::Identity)?;
        let trust = Trust::from_ca_pem(ca.as_bytes()).map_err(DemoError::Trust)?;
        let gateway = gateway(identity, &password)?;
        let addresses = gateway.addresses().clone();
        let first = |list: &[SocketAddr]| list.first().copied().unwrap_or(addresses.tunnels);
        let mut clients = Vec::new();
        for transport in [Transport::Quic, Transport::WebSocket] {
            let config = client(transport, (addresses.tunnels, target), trust.clone(), &password);
            let client = Client::start(config, Arc::new(System::default()), Duration::ZERO)?;
            let forward = connected(&client, transport).await?;
            clients.push(Member { transport, client, forward });
        }
        let (http, socks5) = (first(&addresses.http), first(&addresses.socks5));
        Ok(Self { gateway, clients, scope, http, socks5, target, password })
    }

    /// The forwarded port of the client over `transport`.
    pub(crate) fn forward(&self, transport: Transport) -> SocketAddr {
        let member = self.clients.iter().find(|member| member.transport == transport);
        member.map_or(self.target, |member| member.forward)
    }

    /// What a person can try.
    pub(super) fn hints(&self) -> String {
        let Self { http, socks5, target, .. } = self;
        let password = self.password.as_str();
        let (quic, ws) = (self.forward(Transport::Quic), self.forward(Transport::WebSocket));
        format!(
            "\nStill up; the user name chooses the transport. Try, from another terminal:\n\n  \
             curl -x http://quic:{password}@{http} http://{target}/\n  \
             curl -x http://ws:{password}@{http} http://{target}/\n  \
             curl --proxytunnel -x http://quic:{password}@{http} http://{target}/\n  \
             curl -x socks5h://quic:{password}@{socks5} http://{target}/\n  \
             curl http://{quic}/        # forwarded through quic\n  \
             curl http://{ws}/        # forwarded through ws\n\nCtrl-C ends it.\n"
        )
    }

    pub(crate) async fn end(self, drain: Duration) {
        for member in self.clients {
            let _ended = member.client.shutdown(Duration::ZERO).await;
        }
        let _ended = self.gateway.shutdown(drain).await;
        let _ended = self.scope.shutdown(Duration::ZERO, drain).await;
    }
}

/// Chain, key and CA, all PEM; nothing of it touches a disk.
fn certificates() -> Result<(String, Zeroizing<String>, String), DemoError> {
    let now = SystemTime::now();
    let authority = certs::Authority::generate(now)?;
    let key = certs::new_key()?;
    let chain = authority.issue(&[LOOPBACK.to_string()], &key, now)?;
    let key = Zeroizing::new(key.serialize_pem());
    Ok((chain, key, authority.certificate_pem().to_owned()))
}

fn gateway(identity: Identity, password: &str) -> Result<Gateway, RunError> {
    let any = SocketAddr::from((LOOPBACK, 0));
    let credential = Credential::Verifier(Verifier::from_secret(&Secret::new(password)));
    let group = |transport: Transport| GroupConfig {
        name: transport.to_string(),
        tunnel: credential.clone(),
        client_ca: None,
        users: vec![UserConfig { name: transport.to_string(), password: credential.clone() }],
        limits: GroupLimits::default(),
        ports: vec![PortRule { address: Some(LOOPBACK.into()), first: 0, last: 0 }],
    };
    let limits = Limits::default();
    let config = GatewayConfig {
        tunnels: ListenConfig {
            addr: any,
            offer: Offer::Both,
            identity,
            path: "/anyproxy".into(),
            oldest_tls: OldestTls::Tls13,
            dead_after: limits.dead_after,
            behind: anyproxy_transport::Behind::default(),
            congestion: anyproxy_transport::Congestion::default(),
        },
        http: vec![any],
        https: None,
        socks5: vec![any],
        mixed: vec![],
        groups: vec![group(Transport::Quic), group(Transport::WebSocket)],
        limits,
    };
    Ok(Gateway::start(&config, Arc::new(System::default()), Duration::ZERO)?)
}

fn client(
    transport: Transport,
    (gateway, target): (SocketAddr, SocketAddr),
    trust: Trust,
    password: &str,
) -> ClientConfig {
    ClientConfig {
        gateway: DialConfig {
            host: gateway.ip().to_string(),
            port: gateway.port(),
            server_name: None,
            trust,
            certificate: None,
            path: "/anyproxy".into(),
            oldest_tls: OldestTls::Tls13,
            route: anyproxy_transport::Route::default(),
            congestion: anyproxy_transport::Congestion::default(),
        },
        transport: transport.into(),
        group: transport.to_string(),
        client_id: "demo".into(),
        replicas: 1,
        secret: Secret::new(password),
        method: Method::Secret,
        forwards: vec![Forward {
            name: "demo".into(),
            listen: SocketAddr::from((LOOPBACK, 0)).to_string(),
            target: target.to_string(),
            ..Forward::default()
        }],
        policy: Policy::default(),
        limits: anyproxy_client::Limits::default(),
    }
}

/// Waits until the client serves, and says where its forwarded port is.
async fn connected(client: &Client, transport: Transport) -> Result<SocketAddr, DemoError> {
    let mut state = client.state();
    let bound = state.wait_for(|state| bound(state).is_some());
    match Deadline::after(CONNECT).bound(bound).await {
        Ok(Ok(state)) => bound_or(&state, transport),
        Ok(Err(_)) | Err(_) => Err(DemoError::NotConnected(transport)),
    }
}

fn bound_or(state: &State, transport: Transport) -> Result<SocketAddr, DemoError> {
    bound(state).ok_or(DemoError::NotConnected(transport))
}

fn bound(state: &State) -> Option<SocketAddr> {
    let State::Connected { forwards, .. } = state else { return None };
    match forwards.first() {
        Some(ForwardState::Bound(addr)) => Some(*addr),
        Some(ForwardState::Requested | ForwardState::Refused(_)) | None => None,
    }
}
