//! A tunnel on which something stays unanswered is suspected, and nothing more.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::time::Duration;

use anyproxy_tests::{
    net::{LinkSettings, Switch},
    tunnels::Tunnels,
    user::eventually,
};
use anyproxy_transport::Transport;
use anyproxy_wire::{codes::OpenCode, message::Protocol};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep},
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// `delay` is one way; the suspicion comes after `patience`, within a look of half a second.
async fn what_is_unanswered_is_suspected(
    transport: Transport,
    delay: Duration,
    patience: Duration,
) {
    let tunnels = Tunnels::start(transport, LinkSettings::with_delay(delay)).await;
    let (mut opened, mut accepted) = tunnels.open(Protocol::Tcp).await;
    accepted.answer(OpenCode::Connected, "", None).await.unwrap();
    opened.reply().await.unwrap();
    sleep(60 * SECOND).await;
    assert!(!tunnels.gateway.is_suspected() && !tunnels.client.is_suspected());

    // Silence alone is nothing: neither end has anything to say.
    tunnels.link.black_hole(Switch::On);
    sleep(30 * SECOND).await;
    assert!(!tunnels.gateway.is_suspected() && !tunnels.client.is_suspected());

    opened.write_all(b"hello").await.unwrap();
    opened.flush().await.unwrap();
    let began = Instant::now();
    eventually("suspected", 60 * SECOND, || tunnels.gateway.is_suspected()).await;
    let took = began.elapsed();
    assert!(took >= patience && took <= patience + 1500 * MS, "{took:?}");
    assert!(!tunnels.client.is_suspected(), "it waits for nothing");
    accepted.write_all(b"hello").await.unwrap();
    accepted.flush().await.unwrap();
    eventually("suspected", patience + 1500 * MS, || tunnels.client.is_suspected()).await;

    tunnels.link.black_hole(Switch::Off);
    let began = Instant::now();
    let mut got = [0; 5];
    eventually("heard", 10 * SECOND, || {
        !tunnels.gateway.is_suspected() && !tunnels.client.is_suspected()
    })
    .await;
    assert!(
        began.elapsed() <= patience + 4 * delay + SECOND,
        "asked again and again: {:?}",
        began.elapsed()
    );
    accepted.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hello");
    opened.read_exact(&mut got).await.unwrap();
    assert!(!tunnels.gateway.is_closed() && !tunnels.client.is_closed());
}

#[tokio::test(start_paused = true)]
async fn what_is_unanswered_for_three_seconds_is_suspected_over_quic() {
    what_is_unanswered_is_suspected(Transport::Quic, 10 * MS, 3 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_unanswered_for_three_seconds_is_suspected_over_websocket() {
    what_is_unanswered_is_suspected(Transport::WebSocket, 10 * MS, 3 * SECOND).await;
}

/// 4 × (2 × 1 s + 50 ms).
#[tokio::test(start_paused = true)]
async fn a_slow_network_is_given_four_time_outs_over_quic() {
    what_is_unanswered_is_suspected(Transport::Quic, 500 * MS, 8 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_network_is_given_four_time_outs_over_websocket() {
    what_is_unanswered_is_suspected(Transport::WebSocket, 500 * MS, 8 * SECOND).await;
}
