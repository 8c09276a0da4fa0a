//! Ports of the gateway's own, which no client gets.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's")]

use std::net::{Ipv4Addr, SocketAddr};

use anyproxy_client::{Forward, ForwardState, State};
use anyproxy_tests::{
    lab::{Options, Site},
    party::{Party, forward},
    target,
};
use anyproxy_transport::Transport;
use anyproxy_wire::message::Protocol;

/// What was told about the only forward.
fn answer(state: &State) -> Option<Result<SocketAddr, String>> {
    match state {
        State::Connected { forwards, .. } => match forwards.first()? {
            ForwardState::Refused(why) => Some(Err(why.clone())),
            ForwardState::Bound(addr) => Some(Ok(*addr)),
            ForwardState::Requested => None,
        },
        State::Connecting | State::Waiting(_) | State::Ended => None,
    }
}

async fn asked(party: &Party, id: &str, forward: Forward) -> Result<SocketAddr, String> {
    let mut config = party.config(id);
    config.forwards = vec![forward];
    let client = party.client(config);
    let mut state = client.state();
    let told = state.wait_for(|state| answer(state).is_some()).await.unwrap();
    answer(&told).unwrap()
}

/// The group's rules allow every port.
async fn the_gateways_own_ports_are_nobodys(transport: Transport) {
    let (site, _world) = Site::simulated();
    let target = target::echo(&site);
    let party = Party::start(site, Options::new(transport));
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, 9099));
    party.gateway.keep_port(admin, "metrics and health");
    let own = party.gateway.addresses().clone();
    let tcp = [own.tunnels, own.http[0], own.socks5[0], admin].map(|it| (Protocol::Tcp, it.port()));
    for (protocol, port) in tcp.into_iter().chain([(Protocol::Udp, own.tunnels.port())]) {
        for ip in [party.site.gateway_ip, Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::LOCALHOST.into()]
        {
            let forward = Forward { protocol, ..forward(SocketAddr::new(ip, port), target) };
            let why = asked(&party, "client", forward).await.unwrap_err();
            let told = format!("port {port} is the gateway's own");
            assert!(why.contains(&told), "{ip} {protocol:?}: {why}");
        }
    }
    // The gateway has no UDP there.
    let free = SocketAddr::new(party.site.gateway_ip, own.http[0].port());
    let forward = Forward { protocol: Protocol::Udp, ..forward(free, target) };
    assert_eq!(asked(&party, "client", forward).await, Ok(free));
}

#[tokio::test(start_paused = true)]
async fn the_gateways_own_ports_are_nobodys_over_quic() {
    the_gateways_own_ports_are_nobodys(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn the_gateways_own_ports_are_nobodys_over_websocket() {
    the_gateways_own_ports_are_nobodys(Transport::WebSocket).await;
}
