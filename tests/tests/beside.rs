//! Further tunnels of a session beside the one that it came up with: over the WebSocket, when something is opened.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_client::{Choice, Client};
use anyproxy_tests::{
    lab::{self, Options, Site},
    net::{Connects, LinkSettings, Switch},
    pair::{Pair, carried},
    party::ping,
    target, wait,
};
use anyproxy_transport::{Transport, net::Conn};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
    time::{Instant, sleep},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// A connection each, and one more.
const USERS: usize = 8;

fn tunnels(pair: &Pair) -> usize {
    pair.party.gateway.watched().figures().sessions.iter().map(|session| session.tunnels).sum()
}

async fn tunnels_are(pair: &Pair, wanted: usize) {
    wait::until(&pair.party.site, || tunnels(pair) == wanted).await;
}

/// A client over the WebSocket that was used, and has all its tunnels.
async fn used(pair: &Pair) -> (Client, SocketAddr) {
    let (client, port) = pair.connected().await;
    let _user = pair.user(port).await;
    tunnels_are(pair, 4).await;
    (client, port)
}

async fn users(pair: &Pair, port: SocketAddr) -> Vec<Conn> {
    let mut users = Vec::new();
    for _ in 0..USERS {
        users.push(pair.user(port).await);
    }
    users
}

#[tokio::test(start_paused = true)]
async fn a_client_at_rest_has_one_tunnel_and_more_when_it_is_used() {
    let pair = Pair::new(Choice::WebSocket);
    let (_client, port) = pair.connected().await;
    sleep(MINUTE).await;
    assert_eq!(tunnels(&pair), 1);
    for _ in 0..100 {
        pair.works(port).await;
        sleep(SECOND).await;
    }
    assert_eq!(tunnels(&pair), 1, "none of them took long");
    let _users = users(&pair, port).await;
    tunnels_are(&pair, 4).await;
    sleep(10 * MINUTE).await;
    assert_eq!((tunnels(&pair), pair.party.gateway.sessions()), (4, 1));
    assert_eq!(pair.party.gateway.watched().figures().sessions[0].moves, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_unused_is_closed_and_made_again_when_there_is_need() {
    let pair = Pair::new(Choice::WebSocket);
    let (_client, port) = used(&pair).await;
    let resting = pair.user(port).await;
    sleep(2 * MINUTE).await;
    // The one where somebody rests, and the main one.
    assert!(tunnels(&pair) <= 2, "{}", tunnels(&pair));
    sleep(10 * MINUTE).await;
    assert!(tunnels(&pair) <= 2, "made again without need: {}", tunnels(&pair));
    let _another = pair.user(port).await;
    tunnels_are(&pair, 4).await;
    let mut resting = resting;
    ping(&mut resting).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_connection_is_what_one_can_have() {
    let mut options = Options::new(Transport::WebSocket);
    options.client_limits.websocket_connections = 1;
    let pair = Pair::with(Choice::WebSocket, options);
    let (_client, port) = pair.connected().await;
    let _users = users(&pair, port).await;
    sleep(MINUTE).await;
    assert_eq!(tunnels(&pair), 1);
}

#[tokio::test(start_paused = true)]
async fn over_quic_there_is_one() {
    let pair = Pair::new(Choice::Quic);
    let (_client, port) = pair.connected().await;
    let _users = users(&pair, port).await;
    sleep(MINUTE).await;
    assert_eq!(tunnels(&pair), 1);
}

/// Everybody's connections are spread over all of them, so a tunnel that fails ends a part.
#[tokio::test(start_paused = true)]
async fn a_cut_of_all_tcp_ends_the_session_and_the_next_one_has_as_many() {
    let pair = Pair::new(Choice::WebSocket);
    let (client, port) = used(&pair).await;
    let mut users = users(&pair, port).await;
    pair.link().reset_tcp();
    for user in &mut users {
        ping(user).await.expect_err("its tunnel is gone");
    }
    sleep(MINUTE).await;
    let port = lab::connected(&client).await[0];
    let _user = pair.user(port).await;
    tunnels_are(&pair, 4).await;
    assert_eq!(pair.party.gateway.sessions(), 1);
}

/// Nothing of what is live is lost when the session moves to QUIC; nothing new takes a tunnel that was left.
#[tokio::test(start_paused = true)]
async fn a_session_that_moves_to_quic_leaves_them_all() {
    let pair = Pair::new(Choice::Auto);
    pair.link().refuse_udp(Switch::On);
    let (client, port) = used(&pair).await;
    let mut before = users(&pair, port).await;
    pair.link().refuse_udp(Switch::Off);
    carried(&client, Transport::Quic).await;
    let _after = users(&pair, port).await;
    for user in &mut before {
        ping(user).await.unwrap();
    }
    drop(before);
    tunnels_are(&pair, 1).await;
    sleep(MINUTE).await;
    assert_eq!((tunnels(&pair), pair.party.gateway.sessions()), (1, 1));
}

/// A way that lets one connection through is good for that one.
#[tokio::test(start_paused = true)]
async fn where_no_further_one_comes_through_the_session_goes_on() {
    let pair = Pair::new(Choice::WebSocket);
    let (_client, port) = pair.connected().await;
    let _user = pair.user(port).await;
    pair.link().connects(Connects::Refused);
    for _ in 0..100 {
        pair.works(port).await;
        sleep(SECOND).await;
    }
    assert_eq!((tunnels(&pair), pair.party.gateway.sessions()), (1, 1));
    pair.link().connects(Connects::Pass);
    let began = Instant::now();
    while tunnels(&pair) < 4 {
        pair.works(port).await;
        sleep(SECOND).await;
        assert!(began.elapsed() < 20 * MINUTE, "never tried again");
    }
}

/// Answers each ping, and a `D` with bytes without end.
fn service(site: &Site) -> SocketAddr {
    target::serve(site, |mut conn| async move {
        let mut asked = [0; 4];
        while conn.read_exact(&mut asked[..1]).await.is_ok() {
            while asked[0] == b'D' && conn.write_all(&[0; 16 * 1024]).await.is_ok() {}
            if conn.read_exact(&mut asked[1..]).await.is_err()
                || conn.write_all(&asked).await.is_err()
            {
                return;
            }
        }
    })
}

/// How many times eight users are answered in a minute while another one's download goes on over a link that loses
/// segments.
async fn answers_beside_a_download(connections: usize) -> usize {
    let mut options = Options::new(Transport::WebSocket);
    options.client_limits.websocket_connections = connections;
    let pair = Pair::with(Choice::WebSocket, options);
    let client = pair.client_to(1, service(&pair.party.site));
    let port = lab::connected(&client).await[0];
    let mut download = pair.user(port).await;
    tunnels_are(&pair, connections).await;
    let mut lossy = LinkSettings::with_delay(Duration::from_millis(10));
    (lossy.loss, lossy.rate) = (0.03, Some(1_000_000));
    pair.link().set(lossy);
    download.write_all(b"D").await.unwrap();
    let users = users(&pair, port).await;
    let mut asking = users.into_iter().map(asks_for_a_minute).collect::<JoinSet<_>>();
    let mut bytes = vec![0; 64 * 1024];
    let mut answers = 0;
    while !asking.is_empty() {
        tokio::select! {
            read = download.read(&mut bytes) => assert!(read.unwrap() > 0),
            Some(asked) = asking.join_next() => answers += asked.unwrap(),
        }
    }
    answers
}

async fn asks_for_a_minute(mut user: Conn) -> usize {
    let end = Instant::now() + MINUTE;
    let mut answers = 0;
    while Instant::now() < end {
        ping(&mut user).await.unwrap();
        answers += 1;
    }
    answers
}

#[tokio::test(start_paused = true)]
async fn what_a_download_loses_holds_up_a_part_of_the_users() {
    let one = answers_beside_a_download(1).await;
    let four = answers_beside_a_download(4).await;
    assert!(one > 0 && four > 2 * one, "{one} answers over one connection, {four} over four");
}
