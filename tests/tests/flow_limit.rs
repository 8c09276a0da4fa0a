//! The UDP flows that a group may have, from the gateway's side: the client is played by the test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a failure is the test's result"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_gateway::{GroupConfig, GroupLimits};
use anyproxy_runtime::{Deadline, Scope};
use anyproxy_tests::{
    groups::group,
    lab::{Options, Site},
    party::Party,
};
use anyproxy_transport::{
    DialConfig, Dialer, Flow, Login, Method, OldestTls, StallBudget, Transport, Trust, Tunnel,
};
use anyproxy_wire::{
    codes::OpenCode,
    frame::Frame,
    handshake::Secret,
    message::{DEFAULT_CREDIT, ForwardRequest, Intent, Protocol},
};

const SECOND: Duration = Duration::from_secs(1);

fn red(max_flows: Option<usize>) -> GroupConfig {
    let limits = GroupLimits { max_flows, ..GroupLimits::default() };
    GroupConfig { limits, ..group("red", "red secret") }
}

async fn log_in(party: &Party, transport: Transport, scope: &Scope) -> Tunnel {
    let addr = party.gateway.addresses().tunnels;
    let config = DialConfig {
        host: addr.ip().to_string(),
        port: addr.port(),
        server_name: Some("gateway.test".into()),
        trust: Trust::from_ca_pem(party.certificates.ca.as_bytes()).unwrap(),
        path: "/anyproxy".into(),
        oldest_tls: OldestTls::Tls13,
    };
    let login = Login {
        group: "red".into(),
        client_id: "played".into(),
        instance: [3; 16],
        replica: 0,
        intent: Intent::New,
        secret: Secret::new("red secret"),
        method: Method::Secret,
        initial_credit: DEFAULT_CREDIT,
        budget: StallBudget::new(1 << 20),
    };
    let deadline = Deadline::after(10 * SECOND);
    let dialer = Dialer::new(party.site.client.clone(), config).unwrap();
    let connected = dialer.dial(transport, deadline).await.unwrap();
    connected.log_in(&login, deadline, scope).await.unwrap().0
}

async fn udp_port(party: &Party, tunnel: &Tunnel) -> SocketAddr {
    let request = ForwardRequest {
        id: 1,
        protocol: Protocol::Udp,
        listen: SocketAddr::new(party.site.gateway_ip, 0).to_string(),
        name: String::new(),
    };
    tunnel.send_control(Frame::ForwardRequest(request)).await.unwrap();
    match tunnel.recv_control().await.unwrap() {
        Frame::ForwardReply(reply) => reply.bound.unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Takes every flow up that is opened within a second.
async fn accept_all(tunnel: &Tunnel) -> Vec<Flow> {
    let mut flows = vec![];
    while let Ok(incoming) = Deadline::after(SECOND).bound(tunnel.accept()).await {
        let (open, mut stream) = incoming.unwrap().head(Deadline::after(SECOND)).await.unwrap();
        assert_eq!(open.protocol, Protocol::Udp);
        stream.answer(OpenCode::Connected, "", None).await.unwrap();
        flows.push(Flow::new(stream));
    }
    flows
}

async fn flows_of_a_group_are_limited(transport: Transport) {
    let (site, _world) = Site::simulated();
    let party = Party::start(site, Options::new(transport));
    party.gateway.set_groups(&[red(Some(3))]);
    let scope = Scope::root("client");
    let tunnel = log_in(&party, transport, &scope).await;
    let port = udp_port(&party, &tunnel).await;
    let here = SocketAddr::from(([198, 18, 0, 3], 0));
    let socket = || party.site.user.datagrams(here, None).unwrap();
    let users = (0..8).map(|_| socket()).collect::<Vec<_>>();
    let send = || {
        for user in &users {
            user.try_send(b"hello", port, None).unwrap();
        }
    };
    send();
    let flows = accept_all(&tunnel).await;
    assert_eq!((flows.len(), party.gateway.flows().live), (3, 3));
    // What ends makes room, once.
    let mut flows = flows.into_iter();
    flows.next().unwrap().end();
    tokio::time::sleep(10 * SECOND).await;
    send();
    let more = accept_all(&tunnel).await;
    assert_eq!((more.len(), party.gateway.flows().live), (1, 3));
    // No limit any more.
    party.gateway.set_groups(&[red(None)]);
    tokio::time::sleep(10 * SECOND).await;
    send();
    let rest = accept_all(&tunnel).await;
    assert_eq!((rest.len(), party.gateway.flows().live), (5, 8));
}

#[tokio::test(start_paused = true)]
async fn flows_of_a_group_are_limited_over_quic() {
    flows_of_a_group_are_limited(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn flows_of_a_group_are_limited_over_websocket() {
    flows_of_a_group_are_limited(Transport::WebSocket).await;
}
