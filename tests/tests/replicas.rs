//! Several parallel sessions of one client.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use anyproxy_client::{Client, Ended, ForwardState, State};
use anyproxy_gateway::PortRule;
use anyproxy_tests::{
    lab::{Options, Site, connected},
    net::Switch,
    party::{Party, ping, replicas_up},
    target, wait,
};
use anyproxy_transport::{Transport, net::Conn};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep, timeout},
};

const SECOND: Duration = Duration::from_secs(1);
const REPLICAS: u32 = 4;
/// Any port of the gateway's choice, and no other.
const CHOSEN: PortRule = PortRule { address: None, first: 0, last: 0 };

/// A client with several replicas and one forward whose port the gateway chooses.
async fn start(site: Site, transport: Transport) -> (Party, Client, SocketAddr) {
    let target = target::echo(&site);
    let party = Party::with(site, Options::new(transport).one_connection(), CHOSEN);
    let mut config = party.config("many");
    config.replicas = REPLICAS;
    config.forwards = vec![party.any_port(target)];
    let client = party.client(config);
    replicas_up(&client, REPLICAS).await;
    let port = connected(&client).await[0];
    (party, client, port)
}

async fn users(party: &Party, port: SocketAddr, count: usize) -> Vec<Conn> {
    let mut users = Vec::new();
    for _ in 0..count {
        let mut user = party.user(port).await;
        ping(&mut user).await.unwrap();
        users.push(user);
    }
    users
}

async fn replicas_share_a_chosen_port(site: Site, transport: Transport) {
    let (party, client, port) = start(site, transport).await;
    assert_eq!(party.gateway.sessions(), 4);
    // An accept loop for each open port, and nothing else yet.
    assert_eq!(party.gateway.users(), 1, "one port for all");
    let live = users(&party, port, 12).await;
    assert_eq!(client.shutdown(Duration::ZERO).await, Ended::Cut(12), "counted over all replicas");
    drop(live);
    wait::until(&party.site, || party.gateway.sessions() == 0).await;
}

#[tokio::test]
async fn replicas_share_a_chosen_port_over_quic() {
    replicas_share_a_chosen_port(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn replicas_share_a_chosen_port_over_websocket() {
    replicas_share_a_chosen_port(Site::loopback(), Transport::WebSocket).await;
}

/// As much as each tunnel carries, seen on the wire.
async fn connections_are_spread_over_the_tunnels(transport: Transport) {
    const BYTES: usize = 64 * 1024;
    let (site, world) = Site::simulated();
    let tap = world.link([198, 18, 0, 2].into(), site.gateway_ip).capture();
    let (party, _client, port) = start(site, transport).await;
    let mut live = users(&party, port, 8).await;
    let _ = tap.take();
    for user in &mut live {
        user.write_all(&target::pattern(BYTES)).await.unwrap();
        let mut got = vec![0; BYTES];
        user.read_exact(&mut got).await.unwrap();
    }
    let mut carried = HashMap::<SocketAddr, usize>::new();
    for record in tap.take() {
        if record.from.ip() == party.site.gateway_ip {
            *carried.entry(record.to).or_default() += record.bytes.len();
        }
    }
    // Two connections each; what a tunnel says besides is little.
    carried.retain(|_, bytes| *bytes > BYTES);
    assert_eq!(carried.len(), 4, "{carried:?}");
    assert!(carried.values().all(|bytes| *bytes < 3 * BYTES), "{carried:?}");
}

#[tokio::test(start_paused = true)]
async fn connections_are_spread_over_the_tunnels_over_quic() {
    connections_are_spread_over_the_tunnels(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn connections_are_spread_over_the_tunnels_over_websocket() {
    connections_are_spread_over_the_tunnels(Transport::WebSocket).await;
}

/// A gateway that starts again chooses a port once more, one for all.
async fn all_replicas_come_back(transport: Transport) {
    let (party, client, _) = start(Site::simulated().0, transport).await;
    let party = party.restart().await;
    let lost = |state: &State| !matches!(state, State::Connected { .. });
    client.state().wait_for(lost).await.unwrap();
    replicas_up(&client, REPLICAS).await;
    let port = timeout(60 * SECOND, connected(&client)).await.expect("no port")[0];
    sleep(60 * SECOND).await;
    assert_eq!((party.gateway.sessions(), party.gateway.users()), (4, 1));
    assert_eq!(connected(&client).await, [port], "and it stays");
    drop(users(&party, port, 8).await);
}

#[tokio::test(start_paused = true)]
async fn all_replicas_come_back_over_quic() {
    all_replicas_come_back(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn all_replicas_come_back_over_websocket() {
    all_replicas_come_back(Transport::WebSocket).await;
}

/// The operator takes the group's ports away, and gives them back.
async fn a_port_that_was_taken_back_is_asked_for_anew(transport: Transport) {
    let (party, client, _) = start(Site::simulated().0, transport).await;
    party.set_ports(&[]);
    let refused = |state: &State| match state {
        State::Connected { forwards, .. } => matches!(forwards[..], [ForwardState::Refused(_)]),
        State::Connecting | State::Waiting(_) | State::Ended => false,
    };
    client.state().wait_for(refused).await.unwrap();
    sleep(60 * SECOND).await;
    assert!(refused(&client.state().borrow()));
    assert_eq!((party.gateway.sessions(), party.gateway.users()), (4, 0));
    party.set_ports(&[CHOSEN]);
    let port = timeout(60 * SECOND, connected(&client)).await.expect("no port")[0];
    sleep(60 * SECOND).await;
    assert_eq!((party.gateway.sessions(), party.gateway.users()), (4, 1), "one for all again");
    drop(users(&party, port, 4).await);
}

#[tokio::test(start_paused = true)]
async fn a_port_that_was_taken_back_is_asked_for_anew_over_quic() {
    a_port_that_was_taken_back_is_asked_for_anew(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_port_that_was_taken_back_is_asked_for_anew_over_websocket() {
    a_port_that_was_taken_back_is_asked_for_anew(Transport::WebSocket).await;
}

/// The drain of one shutdown is one drain, however many replicas there are.
async fn replicas_drain_together(transport: Transport) {
    let (party, client, port) = start(Site::simulated().0, transport).await;
    let mut live = users(&party, port, 4).await;
    let (began, state) = (Instant::now(), client.state());
    let finishing = async {
        for user in &mut live {
            ping(user).await.unwrap();
            user.shutdown().await.unwrap();
            let mut rest = vec![];
            user.read_to_end(&mut rest).await.unwrap();
        }
    };
    let (ended, ()) = tokio::join!(client.shutdown(10 * SECOND), finishing);
    assert_eq!(ended, Ended::Drained);
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
    assert_eq!(*state.borrow(), State::Ended);
    let (party, client, port) = start(Site::simulated().0, transport).await;
    let live = users(&party, port, 4).await;
    let began = Instant::now();
    assert_eq!(client.shutdown(10 * SECOND).await, Ended::Cut(4));
    let took = began.elapsed();
    assert!((10 * SECOND..11 * SECOND).contains(&took), "{took:?}");
    drop(live);
}

#[tokio::test(start_paused = true)]
async fn replicas_drain_together_over_quic() {
    replicas_drain_together(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn replicas_drain_together_over_websocket() {
    replicas_drain_together(Transport::WebSocket).await;
}

/// While one replica has no session, the others serve and the state tells how many.
async fn a_replica_that_loses_its_place_costs_its_own(transport: Transport) {
    let (site, world) = Site::simulated();
    let (party, client, port) = start(site, transport).await;
    // A fifth session from elsewhere, under the same name and number as one of the four, pushes it out.
    let mut config = party.config("many");
    config.forwards = vec![];
    let other = party.client_at(world.host("other", [198, 18, 0, 5].into()).net(), config);
    replicas_up(&client, REPLICAS - 1).await;
    drop(users(&party, port, 6).await);
    // It gives its place back.
    other.shutdown(Duration::ZERO).await;
    replicas_up(&client, REPLICAS).await;
    wait::until(&party.site, || party.gateway.sessions() == 4).await;
    world.link([198, 18, 0, 2].into(), party.site.gateway_ip).black_hole(Switch::On);
    let lost = |state: &State| !matches!(state, State::Connected { .. });
    client.state().wait_for(lost).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_loses_its_place_costs_its_own_over_quic() {
    a_replica_that_loses_its_place_costs_its_own(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_loses_its_place_costs_its_own_over_websocket() {
    a_replica_that_loses_its_place_costs_its_own(Transport::WebSocket).await;
}
