//! Something on the way cuts every connection after a fixed time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_client::{Choice, Client, State};
use anyproxy_tests::{
    lab::{self, Options},
    net::{Longest, Switch},
    pair::{Pair, transport},
    party::{forward, ping},
};
use anyproxy_transport::{Transport, net::Role};
use tokio::time::{Instant, sleep, timeout};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_secs(60);
const NONE: [Duration; 0] = [];
/// Before the cut nothing shorter is lost: a tenth of the period.
const MARGIN: Duration = Duration::from_secs(5);

fn cutting(choice: Choice, max_tunnel_age: Option<Duration>) -> Pair {
    let mut options = Options::new(Transport::Quic).one_connection();
    options.client_limits.max_tunnel_age = max_tunnel_age;
    let pair = Pair::with(choice, options);
    pair.link().cut_after(Longest { tcp: Some(PERIOD), udp: Some(PERIOD) });
    pair
}

/// Sequential requests for so long; when each that failed did so.
async fn requests(pair: &Pair, port: SocketAddr, time: Duration) -> Vec<Duration> {
    let (began, mut failed) = (Instant::now(), vec![]);
    while began.elapsed() < time {
        let once = async {
            let mut user = pair.party.site.user.connect(port, Role::Proxied).await?;
            ping(&mut user).await
        };
        match timeout(SECOND, once).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => failed.push(began.elapsed()),
        }
        sleep(100 * MS).await;
    }
    failed
}

/// Connections of so long, one after the other, through each moment of a few periods: none breaks.
async fn short_connections_survive(pair: &Pair, port: SocketAddr) {
    let mut users = vec![];
    for step in 0..240 {
        users.push((Instant::now(), pair.user(port).await));
        sleep(SECOND).await;
        for (_, user) in &mut users {
            ping(user).await.unwrap_or_else(|error| panic!("at {step} s: {error}"));
        }
        users.retain(|(since, _)| since.elapsed() < MARGIN - SECOND);
    }
}

/// The same session, all the time.
fn unchanged(client: &Client) -> impl Fn() + use<> {
    let mut state = client.state();
    state.mark_unchanged();
    move || {
        let lost = matches!(*state.borrow(), State::Connecting | State::Waiting(_));
        assert!(!lost, "{:?}", *state.borrow());
    }
}

#[tokio::test(start_paused = true)]
async fn without_knowing_better_a_cut_is_felt_twice_and_then_never() {
    for choice in [Choice::WebSocket, Choice::Auto] {
        let pair = cutting(choice, None);
        pair.link().black_hole_udp(Switch::On);
        let port: SocketAddr = "198.18.0.1:2222".parse().unwrap();
        let mut config = pair.party.config("learns");
        (config.transport, config.forwards) = (choice, vec![forward(port, pair.target)]);
        let client = pair.party.client(config);
        lab::connected(&client).await;
        let failed = requests(&pair, port, 3 * PERIOD).await;
        assert!(!failed.is_empty(), "nothing was cut");
        assert!(failed.iter().all(|at| *at < 3 * PERIOD - 20 * SECOND), "{failed:?}");
        assert_eq!(requests(&pair, port, 10 * PERIOD).await, NONE, "{choice:?}");
        short_connections_survive(&pair, port).await;
        assert_eq!(transport(&client), Some(Transport::WebSocket));
        assert_eq!(pair.party.gateway.sessions(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_configured_age_saves_every_request_over_both_transports() {
    for (choice, carrier) in [
        (Choice::WebSocket, Transport::WebSocket),
        (Choice::Quic, Transport::Quic),
        (Choice::Auto, Transport::Quic),
    ] {
        let pair = cutting(choice, Some(PERIOD));
        let (client, port) = pair.connected().await;
        let same = unchanged(&client);
        assert_eq!(requests(&pair, port, 10 * PERIOD).await, NONE, "{choice:?}");
        short_connections_survive(&pair, port).await;
        same();
        assert_eq!(transport(&client), Some(carrier));
        assert_eq!(pair.party.gateway.sessions(), 1);
    }
}

/// What cannot be saved.
#[tokio::test(start_paused = true)]
async fn a_connection_that_outlives_the_period_is_cut_over_both_transports() {
    for choice in [Choice::WebSocket, Choice::Quic] {
        let pair = cutting(choice, Some(PERIOD));
        let (_client, port) = pair.connected().await;
        let mut user = pair.user(port).await;
        sleep(PERIOD - 10 * SECOND).await;
        ping(&mut user).await.unwrap();
        sleep(PERIOD).await;
        let end = timeout(PERIOD, ping(&mut user)).await.expect("it hangs");
        assert!(end.is_err(), "{choice:?}");
        pair.works(port).await;
    }
}

/// Nothing cuts: the tunnels that were left with a live connection stay as they are.
#[tokio::test(start_paused = true)]
async fn long_connections_outlive_a_configured_age_where_nothing_cuts() {
    for choice in [Choice::WebSocket, Choice::Quic] {
        let mut options = Options::new(Transport::Quic);
        options.client_limits.max_tunnel_age = Some(PERIOD);
        let pair = Pair::with(choice, options);
        let (_client, port) = pair.connected().await;
        let mut users = vec![];
        for _ in 0..8 {
            users.push(pair.user(port).await);
            sleep(PERIOD).await;
        }
        for user in &mut users {
            ping(user).await.unwrap();
        }
        pair.works(port).await;
        assert_eq!(pair.party.gateway.sessions(), 1);
    }
}

/// The replicas of one client move one after the other.
#[tokio::test(start_paused = true)]
async fn replicas_do_not_move_at_once() {
    let mut options = Options::new(Transport::Quic);
    options.client_limits.max_tunnel_age = Some(600 * SECOND);
    let pair = Pair::with(Choice::WebSocket, options);
    let client = pair.client(8);
    anyproxy_tests::party::replicas_up(&client, 8).await;
    let before = pair.world.connections();
    let (mut most, began) = (before, Instant::now());
    while began.elapsed() < 3600 * SECOND {
        sleep(100 * MS).await;
        most = most.max(pair.world.connections());
    }
    assert!(most > before, "none moved");
    assert!(most <= before + 3, "{} at once", most - before);
}
