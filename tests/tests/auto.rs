//! `--transport auto`: QUIC where it passes, else the WebSocket, and a move between them (FAULTS 36).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_client::{Choice, Client, State};
use anyproxy_tests::{
    lab::{self, Certificates, Options, Site},
    net::{Capture, Carrier, Connects, LinkHandle, LinkSettings, Switch, World},
    party::{Party, ping, replicas_up},
    target,
    user::Way,
    wait,
};
use anyproxy_transport::{Offer, Transport, net::Conn};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep, timeout},
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// What takes longer never happens.
const LONG: Duration = Duration::from_secs(1200);
/// Of every link here.
const RTT: Duration = Duration::from_millis(20);

/// A gateway, and a client that chooses by itself.
struct Pair {
    party: Party,
    world: World,
    target: SocketAddr,
}

impl Pair {
    fn new() -> Self {
        Self::with(Options::new(Transport::Quic))
    }

    fn with(options: Options) -> Self {
        let (site, world) = Site::simulated();
        let target = target::echo(&site);
        Self { party: Party::start(site, options), world, target }
    }

    fn link(&self) -> LinkHandle {
        self.world.link([198, 18, 0, 2].into(), self.party.site.gateway_ip)
    }

    fn client(&self, replicas: u32) -> Client {
        self.client_to(replicas, self.target)
    }

    fn client_to(&self, replicas: u32, target: SocketAddr) -> Client {
        let mut config = self.party.config("auto");
        (config.transport, config.replicas) = (Choice::Auto, replicas);
        config.forwards = vec![self.party.any_port(target)];
        self.party.client(config)
    }

    /// A client that is connected, with its forwarded port.
    async fn connected(&self) -> (Client, SocketAddr) {
        let client = self.client(1);
        let ports = timeout(LONG, lab::connected(&client)).await.expect("no session");
        (client, ports[0])
    }

    /// A new connection through the port works; how long that took.
    async fn works(&self, port: SocketAddr) -> Duration {
        let began = Instant::now();
        let once = async {
            let mut user = self.party.user(port).await;
            ping(&mut user).await
        };
        timeout(LONG, once).await.expect("nothing comes back").unwrap();
        began.elapsed()
    }

    async fn user(&self, port: SocketAddr) -> Conn {
        let mut user = self.party.user(port).await;
        ping(&mut user).await.unwrap();
        user
    }
}

fn transport(client: &Client) -> Option<Transport> {
    match *client.state().borrow() {
        State::Connected { transport, .. } => Some(transport),
        _ => None,
    }
}

/// Waits until the session is carried by `wanted`; how long that took.
async fn carried(client: &Client, wanted: Transport) -> Duration {
    let began = Instant::now();
    let mut state = client.state();
    let there =
        |state: &State| matches!(state, State::Connected { transport, .. } if *transport == wanted);
    let there = state.wait_for(there);
    let _ = timeout(LONG, there).await.expect("never carried").unwrap();
    began.elapsed()
}

/// TCP packets with data that were recorded.
fn tcp(capture: &Capture) -> usize {
    capture.take().iter().filter(|record| record.carrier == Carrier::Tcp).count()
}

#[tokio::test(start_paused = true)]
async fn quic_is_taken_where_it_passes_and_never_left() {
    let pair = Pair::new();
    let capture = pair.link().capture();
    let (client, port) = pair.connected().await;
    assert_eq!(transport(&client), Some(Transport::Quic));
    let _user = pair.user(port).await;
    let mut state = client.state();
    state.mark_unchanged();
    for _ in 0..24 {
        sleep(HOUR).await;
        pair.works(port).await;
    }
    assert!(!state.has_changed().unwrap(), "the session is the same");
    assert_eq!(tcp(&capture), 0, "the WebSocket was tried");
}

/// Loss, delay and jitter as on bad mobile networks.
#[tokio::test(start_paused = true)]
async fn quic_that_works_badly_is_not_left() {
    let pair = Pair::new();
    let (client, port) = pair.connected().await;
    let link = LinkSettings { loss: 0.1, jitter: 100 * MS, ..LinkSettings::with_delay(200 * MS) };
    pair.link().set(link);
    let mut state = client.state();
    state.mark_unchanged();
    let mut user = pair.user(port).await;
    for _ in 0..600 {
        ping(&mut user).await.unwrap();
        sleep(SECOND).await;
    }
    assert!(!state.has_changed().unwrap(), "{:?}", *state.borrow());
}

/// Round trips, and no waiting for a probe time-out that doubles.
#[tokio::test(start_paused = true)]
async fn a_black_hole_for_udp_costs_less_than_a_second() {
    let pair = Pair::new();
    pair.link().black_hole_udp(Switch::On);
    let began = Instant::now();
    let (client, port) = pair.connected().await;
    let took = began.elapsed();
    assert!(took < SECOND + 2 * RTT, "{took:?}");
    assert_eq!(transport(&client), Some(Transport::WebSocket));
    pair.works(port).await;
}

#[tokio::test(start_paused = true)]
async fn a_closed_udp_port_costs_nothing() {
    let pair = Pair::new();
    pair.link().refuse_udp(Switch::On);
    let began = Instant::now();
    let (client, port) = pair.connected().await;
    let took = began.elapsed();
    // TCP, TLS, the upgrade, two round trips to log in and one for the forward, after that of ICMP.
    assert!(took <= 8 * RTT && took < 250 * MS, "{took:?}");
    assert_eq!(transport(&client), Some(Transport::WebSocket));
    pair.works(port).await;
}

/// A gateway, or a middlebox, that answers QUIC with a refusal: here another certificate.
#[tokio::test(start_paused = true)]
async fn a_rejected_quic_handshake_falls_over_at_once() {
    let (site, world) = Site::simulated();
    let target = target::echo(&site);
    let options = Options::new(Transport::Quic);
    let certificates = Certificates::new(&["gateway.test"]);
    let addr: SocketAddr = "198.18.0.1:8443".parse().unwrap();
    let mut config = lab::gateway_config(&site, &options, &certificates);
    (config.tunnels.addr, config.tunnels.offer) = (addr, Offer::WebSocket);
    let gateway =
        anyproxy_gateway::Gateway::start(&config, site.gateway.clone(), 10 * SECOND).unwrap();
    // Somebody else owns the UDP port.
    let stranger = Certificates::new(&["stranger.test"]);
    let mut other = lab::gateway_config(&site, &options, &stranger);
    (other.tunnels.addr, other.tunnels.offer) = (addr, Offer::Quic);
    (other.http, other.socks5) = (vec![], vec![]);
    let stranger =
        anyproxy_gateway::Gateway::start(&other, site.gateway.clone(), 10 * SECOND).unwrap();
    let mut config = lab::client_config(&site, &options, &certificates, addr);
    config.transport = Choice::Auto;
    config.forwards =
        vec![anyproxy_tests::party::forward(SocketAddr::new(site.gateway_ip, 0), target)];
    let began = Instant::now();
    let client = anyproxy_client::Client::start(config, site.client.clone(), SECOND).unwrap();
    lab::connected(&client).await;
    let took = began.elapsed();
    assert!(took < 250 * MS, "{took:?}");
    assert_eq!(transport(&client), Some(Transport::WebSocket));
    drop((gateway, stranger, world));
}

/// While the WebSocket carries the session, QUIC is tried for ever, with growing pauses.
#[tokio::test(start_paused = true)]
async fn quic_is_tried_again_for_ever() {
    let pair = Pair::new();
    pair.link().refuse_udp(Switch::On);
    let (client, port) = pair.connected().await;
    let capture = pair.link().capture();
    sleep(10 * HOUR).await;
    let probes = capture
        .take()
        .iter()
        .filter(|record| record.carrier == Carrier::Udp && record.bytes.len() < 20)
        .count();
    assert!((100..200).contains(&probes), "{probes} probes in 10 hours");
    assert_eq!(transport(&client), Some(Transport::WebSocket));
    let mut early = pair.user(port).await;
    pair.link().refuse_udp(Switch::Off);
    let took = carried(&client, Transport::Quic).await;
    assert!(took <= 5 * MINUTE * 5 / 4 + SECOND, "{took:?}");
    ping(&mut early).await.unwrap();
    pair.works(port).await;
    assert_eq!(pair.party.gateway.sessions(), 1);
}

/// Both ways, with a download that runs over both moves.
#[tokio::test(start_paused = true)]
async fn a_cut_in_the_middle_moves_the_session_and_back() {
    const BYTES: usize = 8 << 20;
    let pair = Pair::new();
    let source = target::burst(&pair.party.site, BYTES);
    let client = pair.client_to(1, source);
    let port = lab::connected(&client).await[0];
    pair.world
        .link([198, 18, 0, 3].into(), pair.party.site.gateway_ip)
        .set(LinkSettings { rate: Some(256 * 1024), ..LinkSettings::with_delay(10 * MS) });
    let mut whole = pair.party.user(port).await;
    let download = tokio::spawn(async move {
        let mut got = vec![];
        whole.read_to_end(&mut got).await.map(|_| got)
    });
    sleep(3 * SECOND).await;
    assert_eq!(transport(&client), Some(Transport::Quic));

    let began = Instant::now();
    pair.link().black_hole_udp(Switch::On);
    let mut late = pair.party.user(port).await;
    late.write_all(b"x").await.unwrap();
    let moved = carried(&client, Transport::WebSocket).await;
    assert!(moved < 5 * SECOND, "{moved:?}");
    let mut fresh = pair.party.user(port).await;
    let mut some = [0; 1000];
    timeout(SECOND, fresh.read_exact(&mut some)).await.expect("no service").unwrap();
    assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
    assert_eq!(pair.party.gateway.sessions(), 1, "it is the same session");

    sleep(2 * SECOND).await;
    pair.link().black_hole_udp(Switch::Off);
    let back = carried(&client, Transport::Quic).await;
    assert!(back < 20 * SECOND, "{back:?}");
    let got = timeout(LONG, download).await.expect("it rests").unwrap().unwrap();
    assert!(got == target::pattern(BYTES), "{} bytes", got.len());
    let mut rest = vec![];
    fresh.read_to_end(&mut rest).await.unwrap();
    assert_eq!(some.len() + rest.len(), BYTES, "over the WebSocket, which was left meanwhile");
    assert_eq!(pair.party.gateway.sessions(), 1);
    assert_eq!(lab::connected(&client).await, [port], "the port was held all the time");
}

/// Nothing is on its way, so only the pings tell.
#[tokio::test(start_paused = true)]
async fn a_cut_of_an_idle_tunnel_is_found_within_five_seconds() {
    let pair = Pair::new();
    let (client, port) = pair.connected().await;
    for idle in [MINUTE, MINUTE + 500 * MS, MINUTE + 900 * MS] {
        sleep(idle).await;
        assert_eq!(transport(&client), Some(Transport::Quic));
        pair.link().black_hole_udp(Switch::On);
        let took = carried(&client, Transport::WebSocket).await;
        assert!(took < 5 * SECOND, "{took:?}");
        pair.works(port).await;
        pair.link().black_hole_udp(Switch::Off);
        carried(&client, Transport::Quic).await;
        // What was left is closed, at both ends.
        sleep(MINUTE).await;
        pair.works(port).await;
    }
    assert_eq!(pair.party.gateway.sessions(), 1);
}

/// A gap that is shorter than what makes it dark.
#[tokio::test(start_paused = true)]
async fn a_short_silence_moves_nothing() {
    let pair = Pair::new();
    let (client, port) = pair.connected().await;
    let mut user = pair.user(port).await;
    let mut state = client.state();
    state.mark_unchanged();
    for _ in 0..20 {
        pair.link().black_hole_udp(Switch::On);
        sleep(2 * SECOND).await;
        pair.link().black_hole_udp(Switch::Off);
        sleep(30 * SECOND).await;
    }
    ping(&mut user).await.unwrap();
    assert!(!state.has_changed().unwrap(), "{:?}", *state.borrow());
}

/// What a user waits for when QUIC is cut is asked for again over the WebSocket.
#[tokio::test(start_paused = true)]
async fn a_request_that_met_the_cut_is_served() {
    let pair = Pair::new();
    let (client, _) = pair.connected().await;
    pair.link().black_hole_udp(Switch::On);
    let began = Instant::now();
    let doors = pair.party.doors(&[]);
    let mut conn = timeout(LONG, doors.connect(Way::Http, pair.target))
        .await
        .expect("it waits for the tunnel that was cut")
        .unwrap();
    ping(&mut conn).await.unwrap();
    assert!(began.elapsed() < 6 * SECOND, "{:?}", began.elapsed());
    assert_eq!(transport(&client), Some(Transport::WebSocket));
}

#[tokio::test(start_paused = true)]
async fn without_tcp_it_is_quic() {
    for connects in [Connects::Refused, Connects::Pass] {
        let pair = Pair::new();
        pair.link().connects(connects);
        if connects == Connects::Pass {
            pair.link().black_hole_tcp(Switch::On);
        }
        let (client, port) = pair.connected().await;
        assert_eq!(transport(&client), Some(Transport::Quic));
        pair.works(port).await;
        // No way out: the tunnel is waited for, and found again.
        pair.link().black_hole_udp(Switch::On);
        sleep(20 * SECOND).await;
        pair.link().black_hole_udp(Switch::Off);
        sleep(10 * SECOND).await;
        assert_eq!(transport(&client), Some(Transport::Quic));
        pair.works(port).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_both_it_keeps_trying() {
    let pair = Pair::new();
    pair.link().black_hole(Switch::On);
    let client = pair.client(1);
    let mut state = client.state();
    for _ in 0..10 {
        let waiting = |state: &State| matches!(state, State::Waiting(_));
        let shown = timeout(LONG, state.wait_for(waiting)).await.unwrap().unwrap().clone();
        let State::Waiting(why) = shown else { unreachable!() };
        assert!(why.contains("udp") && why.contains("tcp"), "{why}");
        let trying = |state: &State| *state == State::Connecting;
        let _ = timeout(LONG, state.wait_for(trying)).await.unwrap().unwrap();
    }
    pair.link().black_hole(Switch::Off);
    let port = timeout(LONG, lab::connected(&client)).await.expect("it gave up")[0];
    pair.works(port).await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_restart_is_outlasted_over_either() {
    for udp in [Switch::Off, Switch::On] {
        let pair = Pair::new();
        pair.link().refuse_udp(udp);
        let (client, _) = pair.connected().await;
        let Pair { party, world, target } = pair;
        let party = party.restart().await;
        let pair = Pair { party, world, target };
        let began = Instant::now();
        wait::until(&pair.party.site, || pair.party.gateway.sessions() == 1).await;
        let port = timeout(LONG, lab::connected(&client)).await.unwrap()[0];
        assert!(began.elapsed() < MINUTE, "{:?}", began.elapsed());
        let expected = if udp == Switch::On { Transport::WebSocket } else { Transport::Quic };
        carried(&client, expected).await;
        pair.works(port).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_replica_moves() {
    let pair = Pair::new();
    let client = pair.client(4);
    replicas_up(&client, 4).await;
    let port = lab::connected(&client).await[0];
    let mut users = vec![];
    for _ in 0..8 {
        users.push(pair.user(port).await);
    }
    pair.link().black_hole_udp(Switch::On);
    sleep(6 * SECOND).await;
    for _ in 0..8 {
        assert!(pair.works(port).await < SECOND);
    }
    assert_eq!(pair.party.gateway.sessions(), 4);
    pair.link().black_hole_udp(Switch::Off);
    sleep(2 * MINUTE).await;
    assert_eq!(transport(&client), Some(Transport::Quic));
    for user in &mut users {
        ping(user).await.unwrap();
    }
    assert_eq!(pair.party.gateway.sessions(), 4);
    // No TCP is left: every replica is back.
    drop(users);
    sleep(MINUTE).await;
    let capture = pair.link().capture();
    sleep(MINUTE).await;
    assert_eq!(tcp(&capture), 0);
}

/// The question, or its answer, went down with the tunnel.
#[tokio::test(start_paused = true)]
async fn a_port_is_asked_for_again_over_the_new_tunnel() {
    let pair = Pair::new();
    let client = pair.client(1);
    carried(&client, Transport::Quic).await;
    pair.link().black_hole_udp(Switch::On);
    let port = timeout(10 * SECOND, lab::connected(&client)).await.expect("not asked again")[0];
    assert_eq!(transport(&client), Some(Transport::WebSocket));
    pair.works(port).await;
}

/// The last winner starts first.
#[tokio::test(start_paused = true)]
async fn the_winner_is_remembered() {
    let pair = Pair::new();
    pair.link().black_hole_udp(Switch::On);
    let (client, _) = pair.connected().await;
    pair.link().reset_tcp();
    let lost = |state: &State| !matches!(state, State::Connected { .. });
    let _ = client.state().wait_for(lost).await.unwrap();
    let _ = client.state().wait_for(|state| *state == State::Connecting).await.unwrap();
    let took = carried(&client, Transport::WebSocket).await;
    assert!(took < 250 * MS, "{took:?}");
}

/// A wrong secret is wrong over both: it is said once, and not tried over the other.
#[tokio::test(start_paused = true)]
async fn a_refusal_is_final() {
    let pair = Pair::new();
    let capture = pair.link().capture();
    let mut config = pair.party.config("auto");
    config.transport = Choice::Auto;
    config.secret = anyproxy_wire::handshake::Secret::new("not the secret of this group 12345678");
    let client = pair.party.client(config);
    let mut state = client.state();
    let shown = state.wait_for(|state| matches!(state, State::Waiting(_))).await.unwrap().clone();
    let State::Waiting(why) = shown else { unreachable!() };
    assert!(why.contains("check group and secret"), "{why}");
    assert_eq!(tcp(&capture), 0);
}
