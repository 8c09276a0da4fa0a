//! A middlebox that lets QUIC's handshake pass and swallows the rest, while the WebSocket is lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::time::Duration;

use anyproxy_client::Choice;
use anyproxy_tests::{
    net::{LinkSettings, Longest},
    pair::{Pair, carried, transport},
    party::ping,
};
use anyproxy_transport::Transport;
use tokio::time::{Instant, sleep, timeout};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// QUIC is "up" after one round trip, and never logs in.
#[tokio::test(start_paused = true)]
async fn quic_that_hangs_in_its_log_in_does_not_keep_the_websocket_waiting() {
    let pair = Pair::new(Choice::Auto);
    let delay = 10 * MS;
    pair.link().set(LinkSettings::with_delay(delay));
    // The gateway's answer sets out after one delay; what the client says then, after two.
    pair.link().cut_after(Longest { udp: Some(delay + delay / 2), tcp: None });
    let (client, port) = pair.connected().await;
    carried(&client, Transport::WebSocket).await;
    for offset in [0, 300, 700] {
        let mut user = pair.user(port).await;
        sleep(MINUTE + offset * MS).await;
        ping(&mut user).await.unwrap();
        pair.link().forget();
        let began = Instant::now();
        loop {
            let once = async {
                let mut user = pair.party.user(port).await;
                ping(&mut user).await
            };
            if let Ok(Ok(())) = timeout(500 * MS, once).await {
                break;
            }
        }
        assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
        assert_eq!(transport(&client), Some(Transport::WebSocket));
        assert_eq!(pair.party.gateway.sessions(), 1, "it is the same session");
    }
    pair.link().cut_after(Longest::default());
    carried(&client, Transport::Quic).await;
    pair.works(port).await;
}
