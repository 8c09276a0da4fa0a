//! `--transport auto`: a live session moves between QUIC and the WebSocket (FAULTS 36).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::time::Duration;

use anyproxy_client::Choice;
use anyproxy_tests::{
    lab::{self, Options},
    net::{Connects, LinkSettings, Switch},
    pair::{LONG, Pair, carried, tcp, transport},
    party::{ping, replicas_up},
    target,
    user::Way,
};
use anyproxy_transport::{Congestion, Transport};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep, timeout},
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Loss, delay and jitter as on bad mobile networks.
#[tokio::test(start_paused = true)]
async fn quic_that_works_badly_is_not_left() {
    let pair = Pair::new(Choice::Auto);
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

/// Both ways, with a download that runs over both moves.
#[tokio::test(start_paused = true)]
async fn a_cut_in_the_middle_moves_the_session_and_back() {
    const BYTES: usize = 8 << 20;
    let pair = Pair::new(Choice::Auto);
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
    let pair = Pair::new(Choice::Auto);
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
    let pair = Pair::new(Choice::Auto);
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
    let pair = Pair::new(Choice::Auto);
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
        let pair = Pair::new(Choice::Auto);
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
async fn every_replica_moves() {
    let pair = Pair::new(Choice::Auto);
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
    let pair = Pair::new(Choice::Auto);
    let client = pair.client(1);
    carried(&client, Transport::Quic).await;
    pair.link().black_hole_udp(Switch::On);
    let port = timeout(10 * SECOND, lab::connected(&client)).await.expect("not asked again")[0];
    assert_eq!(transport(&client), Some(Transport::WebSocket));
    pair.works(port).await;
}

/// UDP is throttled to a hundredth of what it was while a download runs: the queue on the way is full, and
/// round trips take seconds. TCP is not touched.
async fn a_collapse_is_left(congestion: Congestion) {
    const FULL: u64 = 10 << 20;
    let options = Options { congestion, ..Options::new(Transport::Quic) };
    let pair = Pair::with(Choice::Auto, options);
    pair.link().set(LinkSettings { rate: Some(FULL), ..LinkSettings::with_delay(10 * MS) });
    let source = target::endless(&pair.party.site);
    let client = pair.client_to(1, source);
    let port = lab::connected(&client).await[0];
    let mut old = pair.party.user(port).await;
    let reading = tokio::spawn(async move {
        let mut chunk = vec![0; 64 * 1024];
        while old.read(&mut chunk).await.is_ok_and(|read| read > 0) {}
    });
    sleep(5 * SECOND).await;
    assert_eq!(transport(&client), Some(Transport::Quic));
    pair.link().throttle_udp(Some(FULL / 100));
    let took = carried(&client, Transport::WebSocket).await;
    assert!(took < 30 * SECOND, "{took:?}");
    // The user who comes now has the whole of TCP.
    let mut fresh = pair.party.user(port).await;
    let mut some = vec![0; 8 << 20];
    timeout(3 * SECOND, fresh.read_exact(&mut some)).await.expect("it is slow").unwrap();
    assert!(!reading.is_finished(), "what began over QUIC goes on there");
    assert_eq!(pair.party.gateway.sessions(), 1);
    reading.abort();
}

#[tokio::test(start_paused = true)]
async fn a_collapse_moves_the_session_to_the_websocket() {
    a_collapse_is_left(Congestion::Bbr).await;
}

#[tokio::test(start_paused = true)]
async fn a_collapse_moves_the_session_with_cubic_too() {
    a_collapse_is_left(Congestion::Cubic).await;
}

/// The same throttle, and nobody who sends: there is nothing to leave.
#[tokio::test(start_paused = true)]
async fn a_throttle_that_nobody_feels_moves_nothing() {
    let pair = Pair::new(Choice::Auto);
    let (client, port) = pair.connected().await;
    pair.link().throttle_udp(Some(100 * 1024));
    for _ in 0..60 {
        pair.works(port).await;
        sleep(SECOND).await;
    }
    assert_eq!(transport(&client), Some(Transport::Quic));
}
