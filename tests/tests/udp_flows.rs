//! The life of UDP flows: when they end, how many there may be, and whose they are.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure is the test's result"
)]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyproxy_client::{Client, ForwardState, State};
use anyproxy_gateway::{Ended, Gateway, Limits};
use anyproxy_tests::{
    lab::{self, Certificates, Options, Site},
    net::LinkSettings,
    udp::{self, Udp},
};
use anyproxy_transport::Transport;
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
/// What takes longer never happens.
const LONG: Duration = Duration::from_secs(600);
/// From a user to the gateway, or back.
const HOP: Duration = Duration::from_millis(10);

/// Waits until so many flows are live, and says how long that took.
async fn live(gateway: &Gateway, flows: usize) -> Duration {
    let began = Instant::now();
    while gateway.flows().live != flows {
        assert!(began.elapsed() < LONG, "{:?}", gateway.flows());
        sleep(MS).await;
    }
    began.elapsed()
}

/// Waits until so many datagrams of users have come.
async fn came(gateway: &Gateway, datagrams: u64) {
    let wait = async {
        while gateway.flows().from_users < datagrams {
            sleep(MS).await;
        }
    };
    timeout(LONG, wait).await.unwrap();
}

async fn a_flow_ends_after_60_idle_seconds(transport: Transport) {
    let (site, _world) = Site::simulated();
    let (echo, mut seen) = udp::target(&site, |payload| vec![payload.to_vec()]);
    let (silent, _unread) = udp::silent(&site);
    let lab = udp::lab(site, &Options::new(transport), &[echo, silent]).await;
    let user = Udp::user(&lab.site);
    let before = lab.gateway.users();
    assert_eq!(user.ask(b"one", lab.ports[0]).await, b"one");
    // The answer passed the gateway one hop ago.
    let idle = live(&lab.gateway, 0).await + HOP;
    assert!((60 * SECOND..=60 * SECOND + 2 * MS).contains(&idle), "{idle:?}");
    assert_eq!(lab.gateway.users(), before, "nothing is left behind");

    assert_eq!(user.ask(b"two", lab.ports[0]).await, b"two");
    assert_eq!(lab.gateway.flows().opened, 2);
    let (one, two) = (seen.recv().await.unwrap(), seen.recv().await.unwrap());
    assert_ne!(one.from, two.from, "the client's socket ended with the flow");

    // One direction is enough to live.
    let other = Udp::user(&lab.site);
    for _ in 0..5 {
        other.send(b"still here", lab.ports[1]);
        sleep(50 * SECOND).await;
    }
    assert_eq!((lab.gateway.flows().live, lab.gateway.flows().opened), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_flow_ends_after_60_idle_seconds_over_quic() {
    a_flow_ends_after_60_idle_seconds(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_flow_ends_after_60_idle_seconds_over_websocket() {
    a_flow_ends_after_60_idle_seconds(Transport::WebSocket).await;
}

/// A full port turns new peers away until one has been silent for a while, then that one gives way.
async fn flows_are_capped(transport: Transport) {
    let (site, _world) = Site::simulated();
    let echo = udp::echo(&site);
    let limits = Limits { max_port_flows: 3, max_flows: 4, ..Limits::default() };
    let options = Options { limits, ..Options::new(transport) };
    let lab = udp::lab(site, &options, &[echo, echo]).await;
    let (port, other) = (lab.ports[0], lab.ports[1]);
    let users: Vec<_> = (0..5).map(|_| Udp::user(&lab.site)).collect();
    for user in &users[..3] {
        assert_eq!(user.ask(b"in", port).await, b"in");
        sleep(SECOND).await;
    }
    users[3].send(b"out", port);
    assert_eq!(users[3].recv_within(SECOND).await, None, "the port is full");
    assert_eq!(users[3].ask(b"in", other).await, b"in", "the gateway is not");
    users[4].send(b"out", other);
    assert_eq!(users[4].recv_within(SECOND).await, None, "now it is");
    let flows = lab.gateway.flows();
    assert_eq!((flows.live, flows.dropped.too_many_flows, flows.dropped.total()), (4, 2, 2));

    // The first is in use; the second was silent longest.
    assert_eq!(users[0].ask(b"in", port).await, b"in");
    sleep(7 * SECOND).await;
    assert_eq!(users[4].ask(b"in", port).await, b"in");
    assert_eq!(lab.gateway.flows().live, 4);
    assert_eq!(users[0].ask(b"in", port).await, b"in");
    assert_eq!(lab.gateway.flows().opened, 5, "the first kept its flow");
}

#[tokio::test(start_paused = true)]
async fn flows_are_capped_over_quic() {
    flows_are_capped(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn flows_are_capped_over_websocket() {
    flows_are_capped(Transport::WebSocket).await;
}

/// Nothing reaches a denied target, and a user who goes on costs one open now and then.
async fn a_denied_target_is_silent(transport: Transport) {
    let (site, _world) = Site::simulated();
    let (denied, mut seen) = udp::target(&site, |payload| vec![payload.to_vec()]);
    let options = Options { deny: vec![denied.to_string()], ..Options::new(transport) };
    let lab = udp::lab(site, &options, &[denied]).await;
    let user = Udp::user(&lab.site);
    let mut sent = 0;
    for _ in 0..190 {
        user.send(b"knock", lab.ports[0]);
        sent += 1;
        sleep(10 * MS).await;
    }
    came(&lab.gateway, sent).await;
    let flows = lab.gateway.flows();
    assert_eq!((flows.opened, flows.live, flows.to_users), (1, 0, 0), "{flows:?}");
    assert!(flows.dropped.refused >= sent - 10, "{flows:?}");
    sleep(3 * SECOND).await;
    user.send(b"again", lab.ports[0]);
    assert_eq!(user.recv_within(SECOND).await, None);
    assert_eq!(lab.gateway.flows().opened, 2);
    assert!(seen.try_recv().is_err(), "the target heard of nothing");
}

#[tokio::test(start_paused = true)]
async fn a_denied_target_is_silent_over_quic() {
    a_denied_target_is_silent(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_denied_target_is_silent_over_websocket() {
    a_denied_target_is_silent(Transport::WebSocket).await;
}

/// A gateway and several clients, each on a host of its own, that ask for the same port.
struct Shared {
    site: Site,
    gateway: Gateway,
    clients: Vec<Client>,
}

const PORT: &str = "198.18.0.1:5353";

fn port() -> SocketAddr {
    PORT.parse().unwrap()
}

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(198, 18, 0, last).into()
}

impl Shared {
    /// With a client for each of `groups`, at 198.18.0.10 and up.
    fn start(
        transport: Transport,
        groups: &[&str],
        target: impl FnOnce(&Site) -> SocketAddr,
    ) -> Self {
        let (site, world) = Site::simulated();
        let target = target(&site);
        let options = Options { ports: Some((1, u16::MAX)), ..Options::new(transport) };
        let certificates = Certificates::new(&["gateway.test"]);
        let gateway = lab::start_gateway(&site, &options, &certificates);
        let tunnels = gateway.addresses().tunnels;
        let clients = groups.iter().zip(10_u8..).map(|(group, last)| {
            let mut config = lab::client_config(&site, &options, &certificates, tunnels);
            config.group = (*group).into();
            config.client_id = format!("client-{last}");
            config.forwards = vec![udp::forward(port(), target)];
            let host = world.host(&config.client_id, ip(last));
            Client::start(config, host.net(), 10 * SECOND).unwrap()
        });
        Self { clients: clients.collect(), site, gateway }
    }
}

async fn a_port_outlives_one_of_its_sessions(transport: Transport) {
    let mut seen = None;
    let mut shared = Shared::start(transport, &[lab::GROUP, lab::GROUP], |site| {
        let (addr, reports) = udp::target(site, |payload| vec![payload.to_vec()]);
        seen = Some(reports);
        addr
    });
    let mut seen = seen.unwrap();
    for client in &shared.clients {
        assert_eq!(timeout(LONG, lab::connected(client)).await.unwrap(), [port()]);
    }
    let users: Vec<_> = (0..4).map(|_| Udp::user(&shared.site)).collect();
    let mut homes = Vec::new();
    for _ in 0..3 {
        homes.clear();
        for user in &users {
            assert_eq!(user.ask(b"hello", port()).await, b"hello");
            homes.push(seen.recv().await.unwrap().from);
        }
    }
    let at_first = homes.iter().filter(|home| home.ip() == ip(10)).count();
    assert_eq!(at_first, 2, "both sessions have their share: {homes:?}");
    assert_eq!(shared.gateway.flows().opened, 4, "a flow stays with its session");

    let dead = shared.clients.remove(0);
    dead.shutdown(Duration::ZERO).await;
    live(&shared.gateway, 2).await;
    for (user, home) in users.iter().zip(&homes) {
        let answer = timeout(LONG, user.ask(b"still there?", port())).await.unwrap();
        assert_eq!(answer, b"still there?");
        let now = seen.recv().await.unwrap().from;
        assert_eq!(now.ip(), ip(11));
        assert!(home.ip() == ip(10) || *home == now, "flows of the living are left alone");
    }
    assert_eq!(shared.gateway.flows().opened, 6);
}

#[tokio::test(start_paused = true)]
async fn a_port_outlives_one_of_its_sessions_over_quic() {
    a_port_outlives_one_of_its_sessions(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_port_outlives_one_of_its_sessions_over_websocket() {
    a_port_outlives_one_of_its_sessions(Transport::WebSocket).await;
}

/// The state of a client's only forward, once it is decided.
async fn decided(client: &Client, bound: fn(&ForwardState) -> bool) -> ForwardState {
    let mut state = client.state();
    let wait = state.wait_for(|state| {
        matches!(state, State::Connected { forwards, .. } if forwards.first().is_some_and(bound))
    });
    let state = timeout(LONG, wait).await.unwrap().unwrap().clone();
    let State::Connected { forwards, .. } = state else { unreachable!("that was waited for") };
    forwards[0].clone()
}

async fn a_port_belongs_to_one_group(transport: Transport) {
    let mut shared = Shared::start(transport, &[lab::GROUP, "empty"], udp::echo);
    let done = |state: &ForwardState| !matches!(state, ForwardState::Requested);
    let states = [decided(&shared.clients[0], done).await, decided(&shared.clients[1], done).await];
    let (holder, other) = match &states {
        [ForwardState::Bound(_), ForwardState::Refused(why)] if why.contains("held") => (0, 1),
        [ForwardState::Refused(why), ForwardState::Bound(_)] if why.contains("held") => (1, 0),
        states => panic!("{states:?}"),
    };
    let user = Udp::user(&shared.site);
    assert_eq!(user.ask(b"hello", port()).await, b"hello");
    assert_eq!(shared.gateway.flows().live, 1);

    let bound = |state: &ForwardState| matches!(state, ForwardState::Bound(_));
    let second = shared.clients.remove(other);
    let first = shared.clients.pop().unwrap();
    let _ = holder;
    first.shutdown(Duration::ZERO).await;
    live(&shared.gateway, 0).await;
    decided(&second, bound).await;
    assert_eq!(user.ask(b"you now?", port()).await, b"you now?");
    second.shutdown(Duration::ZERO).await;
    live(&shared.gateway, 0).await;
    while shared.gateway.sessions() > 0 || shared.gateway.users() > 2 {
        sleep(MS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_port_belongs_to_one_group_over_quic() {
    a_port_belongs_to_one_group(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_port_belongs_to_one_group_over_websocket() {
    a_port_belongs_to_one_group(Transport::WebSocket).await;
}

/// Answers under way arrive in a drain, and idle flows do not hold it up.
async fn a_drain_waits_for_answers_only(transport: Transport) {
    let (site, world) = Site::simulated();
    let echo = udp::echo(&site);
    let lab = udp::lab(site, &Options::new(transport), &[echo]).await;
    let (asking, idle) = (Udp::user(&lab.site), Udp::user(&lab.site));
    assert_eq!(idle.ask(b"done", lab.ports[0]).await, b"done");
    sleep(5 * SECOND).await;
    let far = LinkSettings::with_delay(300 * MS);
    world.link(ip(2), ip(4)).set(far);
    let port = lab.ports[0];
    asking.send(b"slow", port);
    sleep(100 * MS).await;
    let began = Instant::now();
    let (ended, answer) = tokio::join!(lab.gateway.shutdown(10 * SECOND), asking.recv());
    assert_eq!((ended, &answer.0[..]), (Ended::Drained, &b"slow"[..]));
    assert!(began.elapsed() <= 2 * SECOND + 10 * MS, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_answers_only_over_quic() {
    a_drain_waits_for_answers_only(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_answers_only_over_websocket() {
    a_drain_waits_for_answers_only(Transport::WebSocket).await;
}

/// More than the tunnel can carry: what is lost is counted, and everybody else is served.
async fn a_flood_is_counted(transport: Transport) {
    const BURSTS: u64 = 200;
    const BURST: u64 = 50;
    let (site, world) = Site::simulated();
    let arrived = Arc::new(AtomicU64::new(0));
    let count = arrived.clone();
    let (target, _) = udp::target(&site, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        vec![]
    });
    let echo = udp::echo(&site);
    let lab = udp::lab(site, &Options::new(transport), &[target, echo]).await;
    let (flooding, other) = (Udp::user(&lab.site), Udp::user(&lab.site));
    flooding.send(b"first", lab.ports[0]);
    live(&lab.gateway, 1).await;
    let slow = LinkSettings { rate: Some(2_000_000), ..LinkSettings::with_delay(HOP) };
    world.link(ip(1), ip(2)).set(slow);
    for burst in 0..BURSTS {
        for number in 0..BURST {
            let number = usize::try_from(burst * BURST + number).unwrap();
            flooding.send(&udp::payload(1, number, 1000), lab.ports[0]);
        }
        sleep(MS).await;
    }
    assert_eq!(other.ask(b"me too", lab.ports[1]).await, b"me too");
    sleep(10 * SECOND).await;
    let flows = lab.gateway.flows();
    assert_eq!(flows.from_users, BURSTS * BURST + 2);
    let arrived = arrived.load(Ordering::Relaxed);
    let dropped = flows.dropped.total() + lab.client.dropped_datagrams();
    let sum = arrived + dropped + 1;
    assert!(arrived > 0 && flows.dropped.queue_full > 0, "{flows:?}");
    // What the link itself loses, in packets that hold one each, is the only loss nobody counts.
    let unseen = flows.from_users - sum;
    assert!(unseen <= world.stats().queue_full, "{unseen} {flows:?} {:?}", world.stats());
    assert!(transport == Transport::Quic || unseen == 0, "{unseen} {flows:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_counted_over_quic() {
    a_flood_is_counted(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_counted_over_websocket() {
    a_flood_is_counted(Transport::WebSocket).await;
}
