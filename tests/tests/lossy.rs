//! Networks that lose, delay, reorder and repeat packets: every byte arrives, and nothing connects anew.
//!
//! The simulated TCP loses no bytes (a lost segment comes later), so over the WebSocket only time is tested.

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

use anyproxy_tests::{cases::limited, net::LinkSettings, target};
use anyproxy_transport::Transport;
use scene::{MS, Scene};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const BYTES: usize = 1 << 20;

/// Bulk both ways at once, and a conversation beside it.
async fn nothing_is_wrong(transport: Transport, link: LinkSettings) {
    let scene = Scene::new(transport);
    let (client, ports) = scene.client(&[scene.target]).await;
    scene.link().set(link);
    let mut state = client.state();
    state.mark_unchanged();
    let transfer = async {
        let (mut read, mut write) = tokio::io::split(scene.party.user(ports[0]).await);
        let up = async {
            write.write_all(&target::pattern(BYTES)).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let mut got = vec![];
        let (end, ()) = tokio::join!(read.read_to_end(&mut got), up);
        end.unwrap();
        assert!(got == target::pattern(BYTES), "{} bytes", got.len());
    };
    let another = async {
        let mut user = scene.party.user(ports[0]).await;
        for _ in 0..20 {
            anyproxy_tests::party::ping(&mut user).await.unwrap();
        }
    };
    let both = async {
        tokio::join!(transfer, another);
    };
    limited(Duration::from_secs(1200), both).await;
    assert!(!state.has_changed().unwrap(), "{:?}", *state.borrow());
}

fn loss(loss: f64) -> LinkSettings {
    LinkSettings { loss, ..LinkSettings::with_delay(20 * MS) }
}

#[tokio::test(start_paused = true)]
async fn one_percent_loss_over_quic() {
    nothing_is_wrong(Transport::Quic, loss(0.01)).await;
}

#[tokio::test(start_paused = true)]
async fn ten_percent_loss_over_quic() {
    nothing_is_wrong(Transport::Quic, loss(0.1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_delay_of_200_ms_over_quic() {
    nothing_is_wrong(Transport::Quic, LinkSettings::with_delay(200 * MS)).await;
}

#[tokio::test(start_paused = true)]
async fn a_delay_of_200_ms_over_websocket() {
    nothing_is_wrong(Transport::WebSocket, LinkSettings::with_delay(200 * MS)).await;
}

#[tokio::test(start_paused = true)]
async fn reordering_over_quic() {
    let link = LinkSettings { jitter: 50 * MS, ..LinkSettings::with_delay(20 * MS) };
    nothing_is_wrong(Transport::Quic, link).await;
}

#[tokio::test(start_paused = true)]
async fn duplicates_over_quic() {
    let link = LinkSettings { duplicate: 0.3, ..LinkSettings::with_delay(20 * MS) };
    nothing_is_wrong(Transport::Quic, link).await;
}

#[tokio::test(start_paused = true)]
async fn all_of_it_over_quic() {
    let (loss, duplicate, jitter) = (0.05, 0.1, 30 * MS);
    let link = LinkSettings { loss, duplicate, jitter, ..LinkSettings::with_delay(100 * MS) };
    nothing_is_wrong(Transport::Quic, link).await;
}
