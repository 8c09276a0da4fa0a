//! The UDP flows that a group may have, and their bandwidth. The client is played by the test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a failure is the test's result"
)]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_gateway::{GroupConfig, GroupLimits};
use anyproxy_runtime::{Deadline, Scope, Shaper};
use anyproxy_tests::{
    groups::group,
    lab::{Options, Site},
    net::LinkSettings,
    party::Party,
    tunnels::Tunnels,
};
use anyproxy_transport::{
    DialConfig, Dialer, Flow, Login, Meters, Method, OldestTls, Sent, StallBudget, Transport,
    Trust, Tunnel,
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
        certificate: None,
        path: "/anyproxy".into(),
        oldest_tls: OldestTls::Tls13,
        route: anyproxy_transport::Route::default(),
        congestion: anyproxy_transport::Congestion::default(),
    };
    let login = Login {
        group: "red".into(),
        client_id: "played".into(),
        instance: [3; 16],
        replica: 0,
        intent: Intent::New,
        join_key: None,
        ping_within: None,
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

fn within(got: f64, due: f64, what: &str) {
    assert!((got / due - 1.0).abs() <= 0.05, "{what}: {got} instead of {due}");
}

/// Datagrams do not wait: what is over the rate is dropped and counted, either way.
async fn datagrams_are_held_to_the_rate(transport: Transport) {
    const RATE: u64 = 100_000;
    let tunnels = Tunnels::start(transport, LinkSettings::with_delay(SECOND / 100)).await;
    let shapers = [Shaper::new(None), Shaper::new(None)];
    for shaper in &shapers {
        tunnels.scope.spawn("bandwidth", Arc::clone(shaper).run());
    }
    let (mut opened, mut accepted) = tunnels.open(Protocol::Udp).await;
    accepted.answer(OpenCode::Connected, "", None).await.unwrap();
    opened.reply().await.unwrap();
    let [send, recv] = shapers.map(|shaper| shaper.meter(Some(RATE)));
    opened.set_meters(Meters { send, recv });
    let (mut near, mut far) = (Flow::new(opened), Flow::new(accepted));
    let (mut up, mut down) = (0_u64, 0_u64);
    let began = tokio::time::Instant::now();
    let mut tick = tokio::time::interval(SECOND / 200);
    while began.elapsed() < 20 * SECOND {
        tokio::select! {
            _ = tick.tick() => {
                near.send(&[1; 1000]);
                assert_eq!(far.send(&[2; 1000]), Sent::Queued);
            }
            got = near.recv() => down += got.unwrap().unwrap().len() as u64,
            got = far.recv() => up += got.unwrap().unwrap().len() as u64,
        }
    }
    let due = 20.0 * RATE as f64 + 64.0 * 1024.0;
    within(up as f64, due, "to the target");
    within(down as f64, due, "to the user");
    let dropped = near.dropped();
    within(dropped as f64 * 1000.0, 2.0 * (20.0 * 200_000.0 - due), "dropped and counted");
}

#[tokio::test(start_paused = true)]
async fn datagrams_are_held_to_the_rate_over_quic() {
    datagrams_are_held_to_the_rate(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn datagrams_are_held_to_the_rate_over_websocket() {
    datagrams_are_held_to_the_rate(Transport::WebSocket).await;
}
