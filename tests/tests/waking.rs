//! A laptop that wakes up: its clock has not moved, while the gateway has forgotten it (FAULTS 37).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

#[allow(dead_code, reason = "others need the rest")]
#[path = "liveness/scene.rs"]
mod scene;

use std::time::Duration;

use anyproxy_tests::{
    net::{LinkSettings, Switch},
    party::ping,
    tunnels::Tunnels,
    user::eventually,
};
use anyproxy_transport::Transport;
use anyproxy_wire::codes::CloseCode;
use scene::{MS, SECOND, Scene, is_connected};
use tokio::time::{Instant, sleep};

const HOUR: Duration = Duration::from_secs(3600);

/// The gateway has given the tunnel up meanwhile, and says so to whoever asks: a stateless reset (RFC 9000, 10.3), or
/// RST. Without the question nothing would be noticed for minutes.
async fn the_first_question_is_answered(transport: Transport) {
    let tunnels = Tunnels::start(transport, LinkSettings::with_delay(10 * MS)).await;
    sleep(5 * SECOND).await;
    tunnels.link.black_hole(Switch::On);
    tunnels.client_host.rebind_tcp();
    tunnels.gateway.close(CloseCode::PeerDead, "");
    sleep(20 * SECOND).await;
    tunnels.link.black_hole(Switch::Off);
    sleep(60 * SECOND).await;
    assert!(!tunnels.client.is_closed(), "nobody has asked");
    tunnels.client.doubt(HOUR);
    let began = Instant::now();
    tunnels.client.closed().await;
    assert!(began.elapsed() < 100 * MS, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stateless_reset_answers_the_first_question() {
    the_first_question_is_answered(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_tcp_reset_answers_the_first_question() {
    the_first_question_is_answered(Transport::WebSocket).await;
}

/// Where nobody answers, an hour of sleep counts as silence.
async fn no_answer_is_an_answer(transport: Transport) {
    let scene = Scene::new(transport);
    let (client, _) = scene.client(&[scene.target]).await;
    sleep(5 * SECOND).await;
    scene.link().black_hole(Switch::On);
    scene.client_host.sleep(HOUR);
    let began = Instant::now();
    eventually("noticed", 6 * SECOND, || !is_connected(&client)).await;
    assert!(began.elapsed() >= 3 * SECOND, "{:?}", began.elapsed());
    // Not before it could connect again.
    scene.world.link(scene.client_host.ip(), scene.party.site.gateway_ip).black_hole(Switch::Off);
    scene.serves_again(&client, 20 * SECOND).await;
    assert_eq!(scene.party.gateway.sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_an_answer_over_quic() {
    no_answer_is_an_answer(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_an_answer_over_websocket() {
    no_answer_is_an_answer(Transport::WebSocket).await;
}

/// A nap, or a tunnel that lives all the same.
async fn who_is_answered_stays(transport: Transport) {
    let scene = Scene::new(transport);
    let (client, ports) = scene.client(&[scene.target]).await;
    let mut user = scene.party.user(ports[0]).await;
    ping(&mut user).await.unwrap();
    let mut state = client.state();
    state.mark_unchanged();
    for _ in 0..10 {
        scene.client_host.sleep(HOUR);
        sleep(7 * SECOND).await;
        ping(&mut user).await.unwrap();
    }
    assert!(!state.has_changed().unwrap(), "{:?}", *state.borrow());
}

#[tokio::test(start_paused = true)]
async fn who_is_answered_stays_over_quic() {
    who_is_answered_stays(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_answered_stays_over_websocket() {
    who_is_answered_stays(Transport::WebSocket).await;
}

/// Asleep in the pause between two attempts.
#[tokio::test(start_paused = true)]
async fn waking_up_ends_the_pause() {
    let scene = Scene::new(Transport::Quic);
    let mut config = scene.party.config("alive");
    (config.limits.first_pause, config.limits.longest_pause) = (HOUR, HOUR);
    let wrong = anyproxy_wire::handshake::Secret::new("not the secret of this group 12345678");
    config.secret = wrong;
    let client = scene.party.client(config);
    let waits =
        |state: &anyproxy_client::State| matches!(state, anyproxy_client::State::Waiting(_));
    client.state().wait_for(waits).await.unwrap();
    let capture = scene.link().capture();
    sleep(2 * SECOND).await;
    assert!(capture.take().is_empty());
    scene.client_host.sleep(HOUR);
    sleep(2 * SECOND).await;
    assert!(!capture.take().is_empty(), "it tries");
}
