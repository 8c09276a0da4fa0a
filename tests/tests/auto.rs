//! `--transport auto`: QUIC where it passes, else the WebSocket (FAULTS 36).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_client::{Choice, State};
use anyproxy_tests::{
    lab::{self, Certificates, Options, Site},
    net::{Carrier, Switch},
    pair::{LONG, Pair, carried, tcp, transport},
    party::ping,
    target, wait,
};
use anyproxy_transport::{Offer, Transport};
use tokio::time::{Instant, sleep, timeout};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Of every link here.
const RTT: Duration = Duration::from_millis(20);

#[tokio::test(start_paused = true)]
async fn quic_is_taken_where_it_passes_and_never_left() {
    let pair = Pair::new(Choice::Auto);
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

/// Round trips, and no waiting for a probe time-out that doubles.
#[tokio::test(start_paused = true)]
async fn a_black_hole_for_udp_costs_less_than_a_second() {
    let pair = Pair::new(Choice::Auto);
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
    let pair = Pair::new(Choice::Auto);
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
    let pair = Pair::new(Choice::Auto);
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

#[tokio::test(start_paused = true)]
async fn without_both_it_keeps_trying() {
    let pair = Pair::new(Choice::Auto);
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
        let pair = Pair::new(Choice::Auto);
        pair.link().refuse_udp(udp);
        let (client, _) = pair.connected().await;
        let Pair { party, world, target, choice } = pair;
        let party = party.restart().await;
        let pair = Pair { party, world, target, choice };
        let began = Instant::now();
        wait::until(&pair.party.site, || pair.party.gateway.sessions() == 1).await;
        let port = timeout(LONG, lab::connected(&client)).await.unwrap()[0];
        assert!(began.elapsed() < MINUTE, "{:?}", began.elapsed());
        let expected = if udp == Switch::On { Transport::WebSocket } else { Transport::Quic };
        carried(&client, expected).await;
        pair.works(port).await;
    }
}

/// The last winner starts first.
#[tokio::test(start_paused = true)]
async fn the_winner_is_remembered() {
    let pair = Pair::new(Choice::Auto);
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
    let pair = Pair::new(Choice::Auto);
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
