//! 10,000 strangers at each listener who say nothing sensible: honest peers are served, and the gateway
//! holds no more than before.
//!
//! TCP and the Unix socket are real, so that descriptors count; UDP is simulated, because its flows and handshakes
//! end by time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a failure is the test's result"
)]

#[path = "garbage/bytes.rs"]
mod bytes;
#[path = "garbage/hall.rs"]
mod hall;
#[path = "strangers/raw.rs"]
#[allow(dead_code, reason = "shared with another test, which uses the rest")]
mod raw;
#[path = "garbage/udp.rs"]
mod udp;

use std::time::Duration;

use anyproxy_tests::{cases::limited, footprint::Footprint};
use anyproxy_transport::Transport;
use hall::{Door, Hall};
use tokio::sync::Mutex;

const STRANGERS: usize = 10_000;
/// The first strangers let buffers and tables grow to the size that a crowd needs.
const FIRST: usize = 1_000;
/// What a process may grow by meanwhile: less than 1 KiB for each stranger.
const GROWTH: u64 = 8 << 20;
/// The same where they go through a tunnel: quinn keeps the room that each of its 16,384 places for a stream once
/// needed until the connection ends, and it takes many strangers to have been at all of them.
const GROWTH_OF_A_TUNNEL: u64 = 32 << 20;
/// What a busy machine may take for it.
const LIMIT: Duration = Duration::from_secs(600);

/// The footprint is the whole process's.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn ten_thousand_strangers_leave_nothing(door: Door, transport: Transport) {
    let _alone = ALONE.lock().await;
    let case = async {
        let hall = Hall::open(transport).await;
        hall.serves(door).await;
        let calm = Footprint::now();
        hall.crowd(door, FIRST).await;
        calm.is_back(u64::MAX / 2).await;
        let before = Footprint { memory: Footprint::now().memory, ..calm };
        hall.crowd(door, STRANGERS).await;
        hall.serves(door).await;
        let growth = if door == Door::Forward { GROWTH_OF_A_TUNNEL } else { GROWTH };
        before.is_back(growth).await;
    };
    limited(LIMIT, case).await;
}

#[tokio::test]
async fn strangers_at_the_tunnels_leave_nothing_over_quic() {
    ten_thousand_strangers_leave_nothing(Door::Tunnels, Transport::Quic).await;
}

#[tokio::test]
async fn strangers_at_the_tunnels_leave_nothing_over_websocket() {
    ten_thousand_strangers_leave_nothing(Door::Tunnels, Transport::WebSocket).await;
}

#[tokio::test]
async fn strangers_at_the_unix_socket_leave_nothing() {
    ten_thousand_strangers_leave_nothing(Door::Unix, Transport::WebSocket).await;
}

#[tokio::test]
async fn strangers_at_the_http_proxy_leave_nothing() {
    ten_thousand_strangers_leave_nothing(Door::Http, Transport::Quic).await;
}

#[tokio::test]
async fn strangers_at_the_https_proxy_leave_nothing() {
    ten_thousand_strangers_leave_nothing(Door::Https, Transport::WebSocket).await;
}

#[tokio::test]
async fn strangers_at_the_socks5_proxy_leave_nothing() {
    ten_thousand_strangers_leave_nothing(Door::Socks5, Transport::Quic).await;
}

#[tokio::test]
async fn strangers_at_a_mixed_port_leave_nothing() {
    ten_thousand_strangers_leave_nothing(Door::Mixed, Transport::WebSocket).await;
}

#[tokio::test]
async fn strangers_at_a_forwarded_port_leave_nothing_over_quic() {
    ten_thousand_strangers_leave_nothing(Door::Forward, Transport::Quic).await;
}

#[tokio::test]
async fn strangers_at_a_forwarded_port_leave_nothing_over_websocket() {
    ten_thousand_strangers_leave_nothing(Door::Forward, Transport::WebSocket).await;
}
