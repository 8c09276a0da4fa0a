//! A flood of datagrams takes nothing away from the connections of its session.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure is the test's result"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_gateway::Limits;
use anyproxy_tests::{
    lab::{Lab, Options, Site},
    party::{forward, ping},
    target,
    udp::{self, Udp, lab_with},
    user::WAYS,
};
use anyproxy_transport::Transport;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

/// Streams of the session, of which half may be flows.
const STREAMS: usize = 16;

/// A lab with a TCP forward and a UDP forward, and the TCP target.
async fn lab(transport: Transport, max_port_flows: usize) -> (Lab, SocketAddr) {
    let site = Site::simulated().0;
    let (tcp, udp) = (target::echo(&site), udp::echo(&site));
    let limits = Limits { max_streams: STREAMS, max_port_flows, ..Limits::default() };
    let options = Options { limits, ..Options::new(transport) };
    let any = SocketAddr::new(site.gateway_ip, 0);
    let forwards = vec![forward(any, tcp), udp::forward(any, udp)];
    (lab_with(site, &options, forwards).await, tcp)
}

/// A datagram each from so many places.
async fn flood(lab: &Lab, sources: usize) -> Vec<Udp> {
    let users = (0..sources).map(|_| Udp::user(&lab.site)).collect::<Vec<_>>();
    for user in &users {
        user.send(b"flood", lab.ports[1]);
        sleep(SECOND / 100).await;
    }
    sleep(SECOND).await;
    users
}

async fn a_flood_leaves_room_for_connections(transport: Transport) {
    for (max_port_flows, live) in [(1024, STREAMS / 2), (4, 4)] {
        let (lab, target) = lab(transport, max_port_flows).await;
        let _users = flood(&lab, 5 * STREAMS).await;
        let flows = lab.gateway.flows();
        assert_eq!((flows.live, flows.opened), (live, u64::try_from(live).unwrap()));
        let turned_away = u64::try_from(5 * STREAMS - live).unwrap();
        assert_eq!(flows.dropped.too_many_flows, turned_away, "{flows:?}");
        let mut all = Vec::new();
        for way in WAYS.iter().cycle().take(STREAMS / 2) {
            let mut conn = lab.connect(*way, target).await;
            ping(&mut conn).await.unwrap();
            all.push(conn);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_leaves_room_for_connections_over_quic() {
    a_flood_leaves_room_for_connections(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_leaves_room_for_connections_over_websocket() {
    a_flood_leaves_room_for_connections(Transport::WebSocket).await;
}

/// When the session has no room for flows, the port's idlest makes some.
async fn the_idlest_gives_way_in_a_full_session(transport: Transport) {
    let (lab, _) = lab(transport, 1024).await;
    let users = flood(&lab, STREAMS / 2).await;
    let comer = Udp::user(&lab.site);
    comer.send(b"early", lab.ports[1]);
    assert_eq!(comer.recv_within(SECOND).await, None, "all are in use");
    sleep(9 * SECOND).await;
    for user in &users[1..] {
        // The answer to the flood, and then the one to this.
        user.send(b"again", lab.ports[1]);
    }
    assert_eq!(comer.ask(b"late", lab.ports[1]).await, b"late");
    let flows = lab.gateway.flows();
    assert_eq!((flows.live, flows.opened), (STREAMS / 2, 9));
    assert_eq!(flows.dropped.total(), 1, "{flows:?}");
    // It is the first whose place that was, and nobody is idle now.
    users[0].recv().await;
    users[0].send(b"gone", lab.ports[1]);
    assert_eq!(users[0].recv_within(SECOND).await, None);
}

#[tokio::test(start_paused = true)]
async fn the_idlest_gives_way_in_a_full_session_over_quic() {
    the_idlest_gives_way_in_a_full_session(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn the_idlest_gives_way_in_a_full_session_over_websocket() {
    the_idlest_gives_way_in_a_full_session(Transport::WebSocket).await;
}
