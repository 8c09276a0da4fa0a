//! A client that ends while a tunnel is left over.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::time::Duration;

use anyproxy_client::{Choice, State};
use anyproxy_tests::{
    net::Switch,
    pair::{Pair, carried},
};
use anyproxy_transport::Transport;

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_does_not_go_back_to_a_tunnel_that_was_left() {
    let pair = Pair::new(Choice::Auto);
    let (client, port) = pair.connected().await;
    let _user = pair.user(port).await;
    pair.link().black_hole_udp(Switch::On);
    carried(&client, Transport::WebSocket).await;
    let mut state = client.state();
    let watching = tokio::spawn(async move {
        let back =
            |state: &State| matches!(state, State::Connected { transport: Transport::Quic, .. });
        state.wait_for(back).await.is_ok()
    });
    client.shutdown(Duration::ZERO).await;
    assert!(!watching.await.unwrap(), "back on QUIC");
}
