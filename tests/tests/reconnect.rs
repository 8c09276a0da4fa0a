//! A tunnel that is lost comes back by itself, and takes its ports along.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "a failure is the test's result"
)]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_client::{Client, Forward, ForwardState, State};
use anyproxy_gateway::{Gateway, PortRule};
use anyproxy_tests::{
    lab::{self, Certificates, Options, Site},
    net::{LinkHandle, Switch, World},
    target,
};
use anyproxy_transport::{
    Transport,
    net::{Net, Role},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep, timeout},
};

const SECOND: Duration = Duration::from_secs(1);
/// What takes longer never happens.
const LONG: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3600);
/// Silence after which both sides take the other for dead.
const DEAD_AFTER: Duration = Duration::from_secs(30);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The port that the client asks for.
const PORT: &str = "198.18.0.1:2222";

/// A gateway that stays at its port, and a client with one forward, on the simulated network.
struct Pair {
    site: Site,
    world: World,
    certificates: Certificates,
    options: Options,
    addr: SocketAddr,
    target: SocketAddr,
    gateway: Gateway,
    client: Client,
}

impl Pair {
    async fn start(transport: Transport) -> Self {
        let (site, world) = Site::simulated();
        let target = target::echo(&site);
        let options = Options::new(transport);
        let certificates = Certificates::new(&["gateway.test"]);
        let addr = "198.18.0.1:8443".parse().unwrap();
        let gateway = gateway(&site, &options, &certificates, addr);
        let client = client(&site, site.client.clone(), (&options, &certificates), (addr, target));
        let pair = Self { site, world, certificates, options, addr, target, gateway, client };
        pair.connected().await;
        pair
    }

    /// Waits for the session and its port.
    async fn connected(&self) -> Duration {
        let began = Instant::now();
        timeout(LONG, lab::connected(&self.client)).await.expect("no session");
        began.elapsed()
    }

    /// Waits until the client knows that it has no session.
    async fn disconnected(&self) -> Duration {
        let began = Instant::now();
        let mut state = self.client.state();
        let lost = state.wait_for(|state| !matches!(state, State::Connected { .. }));
        let _ = timeout(LONG, lost).await.expect("the loss was not noticed").unwrap();
        began.elapsed()
    }

    /// Bytes go through the forwarded port and back.
    async fn works(&self) {
        let mut user = self.site.user.connect(PORT.parse().unwrap(), Role::Proxied).await.unwrap();
        user.write_all(b"hello").await.unwrap();
        let mut got = [0; 5];
        user.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"hello");
    }

    fn tunnel(&self) -> LinkHandle {
        self.world.link(self.addr.ip(), [198, 18, 0, 2].into())
    }
}

fn gateway(
    site: &Site,
    options: &Options,
    certificates: &Certificates,
    addr: SocketAddr,
) -> Gateway {
    let mut config = lab::gateway_config(site, options, certificates);
    config.tunnels.addr = addr;
    for group in &mut config.groups {
        group.ports = vec![PortRule { address: None, first: 1, last: u16::MAX }];
    }
    Gateway::start(&config, site.gateway.clone(), 10 * SECOND).unwrap()
}

fn client(
    site: &Site,
    net: Arc<dyn Net>,
    (options, certificates): (&Options, &Certificates),
    (gateway, target): (SocketAddr, SocketAddr),
) -> Client {
    let mut config = lab::client_config(site, options, certificates, gateway);
    config.forwards = vec![Forward {
        name: "echo".into(),
        listen: PORT.into(),
        target: target.to_string(),
        ..Forward::default()
    }];
    Client::start(config, net, 10 * SECOND).unwrap()
}

async fn an_outage_of_hours_is_outlasted(transport: Transport) {
    let mut pair = Pair::start(transport).await;
    pair.gateway.shutdown(Duration::ZERO).await;
    let mut state = pair.client.state();
    let (began, mut attempts) = (Instant::now(), 0_u32);
    while began.elapsed() < 3 * HOUR {
        let waited = Instant::now();
        state.wait_for(|state| matches!(state, State::Waiting(_))).await.unwrap();
        assert!(waited.elapsed() <= DEAD_AFTER + SECOND, "an attempt is bounded");
        let waited = Instant::now();
        state.wait_for(|state| *state == State::Connecting).await.unwrap();
        assert!(waited.elapsed() <= LONGEST_PAUSE + SECOND, "the pause is capped");
        attempts += 1;
    }
    assert!((150..3000).contains(&attempts), "{attempts} attempts: neither a storm nor asleep");
    pair.gateway = gateway(&pair.site, &pair.options, &pair.certificates, pair.addr);
    let took = pair.connected().await;
    assert!(took <= DEAD_AFTER + LONGEST_PAUSE + SECOND, "{took:?}");
    pair.works().await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_hours_is_outlasted_over_quic() {
    an_outage_of_hours_is_outlasted(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_hours_is_outlasted_over_websocket() {
    an_outage_of_hours_is_outlasted(Transport::WebSocket).await;
}

/// Conformance case 42: the gateway's machine loses power, so nothing is said, and another one comes up.
async fn a_gateway_that_vanishes_is_missed(transport: Transport) {
    let mut pair = Pair::start(transport).await;
    pair.tunnel().black_hole(Switch::On);
    pair.gateway.shutdown(Duration::ZERO).await;
    // quinn holds the UDP port for some probe time-outs, since nobody acknowledges its close.
    sleep(5 * SECOND).await;
    pair.gateway = gateway(&pair.site, &pair.options, &pair.certificates, pair.addr);
    pair.tunnel().black_hole(Switch::Off);
    let took = pair.disconnected().await;
    assert!(took <= DEAD_AFTER + SECOND, "{took:?}");
    pair.connected().await;
    pair.works().await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_vanishes_is_missed_over_quic() {
    a_gateway_that_vanishes_is_missed(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_vanishes_is_missed_over_websocket() {
    a_gateway_that_vanishes_is_missed(Transport::WebSocket).await;
}

/// Conformance case 16, 42.
async fn both_sides_notice_a_black_hole(transport: Transport) {
    let pair = Pair::start(transport).await;
    sleep(7 * SECOND).await;
    let began = Instant::now();
    pair.tunnel().black_hole(Switch::On);
    let client = async { pair.disconnected().await };
    let gateway = async {
        while pair.gateway.sessions() > 0 && began.elapsed() < LONG {
            sleep(SECOND / 10).await;
        }
        began.elapsed()
    };
    let (client, gateway) = tokio::join!(client, gateway);
    for took in [client, gateway] {
        // What was heard last may be a ping interval old.
        assert!(took <= DEAD_AFTER + SECOND && took >= DEAD_AFTER / 2, "{client:?} {gateway:?}");
    }
    sleep(HOUR).await;
    pair.tunnel().black_hole(Switch::Off);
    let took = pair.connected().await;
    assert!(took <= DEAD_AFTER + LONGEST_PAUSE + SECOND, "{took:?}");
    pair.works().await;
    assert_eq!(pair.gateway.sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn both_sides_notice_a_black_hole_over_quic() {
    both_sides_notice_a_black_hole(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn both_sides_notice_a_black_hole_over_websocket() {
    both_sides_notice_a_black_hole(Transport::WebSocket).await;
}

/// A short one is ridden out: nothing reconnects.
async fn a_short_black_hole_costs_nothing(transport: Transport) {
    let pair = Pair::start(transport).await;
    let mut user = pair.site.user.connect(PORT.parse().unwrap(), Role::Proxied).await.unwrap();
    let mut state = pair.client.state();
    state.mark_unchanged();
    pair.tunnel().black_hole(Switch::On);
    user.write_all(b"hello").await.unwrap();
    sleep(15 * SECOND).await;
    pair.tunnel().black_hole(Switch::Off);
    let mut got = [0; 5];
    user.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hello");
    assert!(!state.has_changed().unwrap(), "the session is the same");
}

#[tokio::test(start_paused = true)]
async fn a_short_black_hole_costs_nothing_over_quic() {
    a_short_black_hole_costs_nothing(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_short_black_hole_costs_nothing_over_websocket() {
    a_short_black_hole_costs_nothing(Transport::WebSocket).await;
}

/// Conformance case 19 and 37: a laptop wakes up elsewhere while the gateway still believes in its old tunnel.
async fn the_same_client_elsewhere_supersedes_itself(transport: Transport) {
    let pair = Pair::start(transport).await;
    pair.tunnel().black_hole(Switch::On);
    let elsewhere = pair.world.host("elsewhere", [198, 18, 0, 5].into()).net();
    let settings = (&pair.options, &pair.certificates);
    let successor = client(&pair.site, elsewhere, settings, (pair.addr, pair.target));
    lab::connected(&successor).await;
    assert_eq!(pair.gateway.sessions(), 1, "the old one is out at once");
    pair.works().await;
    // The old one's clean-up is over at last.
    sleep(3 * DEAD_AFTER).await;
    assert_eq!(pair.gateway.sessions(), 1);
    assert!(matches!(*successor.state().borrow(), State::Connected { .. }));
    pair.works().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_client_elsewhere_supersedes_itself_over_quic() {
    the_same_client_elsewhere_supersedes_itself(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_client_elsewhere_supersedes_itself_over_websocket() {
    the_same_client_elsewhere_supersedes_itself(Transport::WebSocket).await;
}

/// Conformance case 22.
async fn a_refused_port_is_asked_for_until_it_is_free(transport: Transport) {
    let pair = Pair::start(transport).await;
    let Pair { site, options, certificates, addr, target, gateway, client: first, .. } = pair;
    first.shutdown(Duration::ZERO).await;
    anyproxy_tests::wait::until(&site, || gateway.sessions() == 0).await;
    let taken = site.gateway.listen(PORT.parse().unwrap()).unwrap();
    let settings = (&options, &certificates);
    let client = client(&site, site.client.clone(), settings, (addr, target));
    let mut state = client.state();
    let refused = |state: &State| match state {
        State::Connected { forwards, .. } => match &forwards[0] {
            ForwardState::Refused(why) => Some(why.clone()),
            ForwardState::Requested | ForwardState::Bound(_) => None,
        },
        State::Connecting | State::Waiting(_) | State::Ended => None,
    };
    let shown = state.wait_for(|state| refused(state).is_some()).await.unwrap().clone();
    let why = refused(&shown).unwrap();
    assert!(why.contains(PORT), "{why}");
    sleep(HOUR).await;
    assert!(refused(&state.borrow()).is_some());
    drop(taken);
    let began = Instant::now();
    let ports = timeout(LONG, lab::connected(&client)).await.expect("it was not asked for");
    assert_eq!(ports, [PORT.parse().unwrap()]);
    assert!(began.elapsed() <= 6 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_refused_port_is_asked_for_until_it_is_free_over_quic() {
    a_refused_port_is_asked_for_until_it_is_free(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_port_is_asked_for_until_it_is_free_over_websocket() {
    a_refused_port_is_asked_for_until_it_is_free(Transport::WebSocket).await;
}

/// Conformance case 7 and 25: a day without a byte of anybody's.
async fn an_idle_tunnel_stays(transport: Transport) {
    let pair = Pair::start(transport).await;
    let mut user = pair.site.user.connect(PORT.parse().unwrap(), Role::Proxied).await.unwrap();
    user.write_all(b"a").await.unwrap();
    assert_eq!(user.read_u8().await.unwrap(), b'a');
    sleep(24 * HOUR).await;
    user.write_all(b"b").await.unwrap();
    assert_eq!(user.read_u8().await.unwrap(), b'b', "over the same connection");
    assert_eq!(pair.gateway.sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_tunnel_stays_over_quic() {
    an_idle_tunnel_stays(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_tunnel_stays_over_websocket() {
    an_idle_tunnel_stays(Transport::WebSocket).await;
}
