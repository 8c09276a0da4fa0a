//! Flows whose client has fallen silent go on at another one, and only those.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure is the test's result"
)]

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyproxy_client::Client;
use anyproxy_tests::{
    lab::{Options, Site, connected},
    net::{LinkHandle, Switch},
    party::Party,
    udp::{self, Udp},
};
use anyproxy_transport::Transport;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

const SECOND: Duration = Duration::from_secs(1);
const USERS: usize = 8;

/// Two clients of one group, each on a host of its own, with one UDP port.
struct Two {
    party: Party,
    port: SocketAddr,
    /// To the second client.
    link: LinkHandle,
    _clients: [Client; 2],
}

async fn two(transport: Transport, target: impl Fn(&Site) -> SocketAddr) -> Two {
    let (site, world) = Site::simulated();
    let second: IpAddr = [198, 18, 0, 5].into();
    let net = world.host("second", second).net();
    let link = world.link(site.gateway_ip, second);
    let target = target(&site);
    let any = SocketAddr::new(site.gateway_ip, 0);
    let party = Party::start(site, Options::new(transport));
    let mut config = party.config("a");
    config.forwards = vec![udp::forward(any, target)];
    let a = party.client(config);
    let port = connected(&a).await[0];
    let mut config = party.config("b");
    config.forwards = vec![udp::forward(port, target)];
    let b = party.client_at(net, config);
    assert_eq!(connected(&b).await, [port]);
    Two { party, port, link, _clients: [a, b] }
}

impl Two {
    fn opened(&self) -> u64 {
        self.party.gateway.flows().opened
    }

    /// Users that have all been answered once.
    async fn users(&self) -> Vec<Udp> {
        let mut users = Vec::new();
        for _ in 0..USERS {
            let user = Udp::user(&self.party.site);
            assert_eq!(user.ask(b"first", self.port).await, b"first");
            users.push(user);
        }
        assert_eq!(self.opened(), 8);
        users
    }
}

/// How long a user asks, twice a second, until there is an answer.
async fn answered_after(user: &Udp, port: SocketAddr) -> Duration {
    let began = Instant::now();
    loop {
        user.send(b"again", port);
        if user.recv_within(SECOND / 2).await.is_some() {
            return began.elapsed();
        }
        assert!(began.elapsed() < 60 * SECOND);
    }
}

async fn flows_of_a_silent_client_go_on_at_another(transport: Transport) {
    let two = two(transport, udp::echo).await;
    let users = two.users().await;
    two.link.black_hole(Switch::On);
    let port = two.port;
    let mut asking = JoinSet::new();
    for user in users {
        asking.spawn(async move { answered_after(&user, port).await });
    }
    let waited = asking.join_all().await;
    let late = waited.iter().filter(|waited| **waited > SECOND / 2).count();
    assert_eq!(late, USERS / 2, "half of them were there: {waited:?}");
    assert!(waited.iter().all(|waited| *waited < 3 * SECOND), "{waited:?}");
    assert_eq!(two.opened(), 12);
    assert_eq!(two.party.gateway.sessions(), 2, "its tunnel is not known to be over");
}

#[tokio::test(start_paused = true)]
async fn flows_of_a_silent_client_go_on_at_another_over_quic() {
    flows_of_a_silent_client_go_on_at_another(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn flows_of_a_silent_client_go_on_at_another_over_websocket() {
    flows_of_a_silent_client_go_on_at_another(Transport::WebSocket).await;
}

/// A target may say nothing for ever: its client is well.
async fn flows_one_way_stay_where_they_are(transport: Transport) {
    let two = two(transport, |site| udp::silent(site).0).await;
    let users = (0..USERS).map(|_| Udp::user(&two.party.site)).collect::<Vec<_>>();
    // Many in a second, and few; all at once, and one after the other.
    let (ms, rarely) = (SECOND / 1000, 9 * SECOND);
    for (between, pause, rounds) in [(0, 100 * ms, 100), (1, rarely, 9), (90, rarely, 9)] {
        for _ in 0..rounds {
            for user in &users {
                user.send(b"one way", two.port);
                sleep(between * ms).await;
            }
            sleep(pause).await;
        }
    }
    let flows = two.party.gateway.flows();
    assert_eq!((flows.live, flows.opened, flows.dropped.total()), (USERS, 8, 0));
}

#[tokio::test(start_paused = true)]
async fn flows_one_way_stay_where_they_are_over_quic() {
    flows_one_way_stay_where_they_are(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn flows_one_way_stay_where_they_are_over_websocket() {
    flows_one_way_stay_where_they_are(Transport::WebSocket).await;
}

/// Where there is nobody else, waiting is better than a new flow.
async fn the_last_client_keeps_its_flows(transport: Transport) {
    let (site, world) = Site::simulated();
    let link = world.link(site.gateway_ip, [198, 18, 0, 2].into());
    let echo = udp::echo(&site);
    let lab = udp::lab(site, &Options::new(transport), &[echo]).await;
    let user = Udp::user(&lab.site);
    assert_eq!(user.ask(b"first", lab.ports[0]).await, b"first");
    link.black_hole(Switch::On);
    for _ in 0..10 {
        user.send(b"lost", lab.ports[0]);
        assert_eq!(user.recv_within(SECOND / 2).await, None);
    }
    link.black_hole(Switch::Off);
    // What TCP has kept comes late.
    answered_after(&user, lab.ports[0]).await;
    assert_eq!(lab.gateway.flows().opened, 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_client_keeps_its_flows_over_quic() {
    the_last_client_keeps_its_flows(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn the_last_client_keeps_its_flows_over_websocket() {
    the_last_client_keeps_its_flows(Transport::WebSocket).await;
}
