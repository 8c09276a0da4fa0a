//! Readers that rest: they cost nobody else anything, and their memory is bounded.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "a failure is the test's result"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_tests::{
    lab::{Lab, Options, Site},
    net::LinkSettings,
    target,
    user::{As, Refusal, Way, base64, read_head},
};
use anyproxy_transport::{Transport, net::Conn};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep, sleep_until},
};

const MIB: usize = 1024 * 1024;
/// What each new stream may hold.
const CREDIT: u64 = 256 * 1024;
/// A budget for 64 stalled streams.
const BUDGET: u64 = 16 * 1024 * 1024;
/// By then a connection that can stall has.
const REST: Duration = Duration::from_millis(300);
/// A user who was refused gets so long to read why.
const LINGER: Duration = Duration::from_secs(2);
/// When a stalled stream may be reset.
const EVICT_AFTER: Duration = Duration::from_secs(30);

/// The simulated network with small buffers between users, gateway, client and targets, so that a
/// stall is near.
fn simulated() -> Site {
    let (site, world) = Site::simulated();
    let ends = LinkSettings { window: 16 * 1024, ..LinkSettings::default() };
    let [gateway, client, user, target] = [1, 2, 3, 4].map(|last| [198, 18, 0, last].into());
    world.link(user, gateway).set(ends);
    world.link(client, target).set(ends);
    site
}

async fn open(lab: &Lab, target: SocketAddr) -> Result<Conn, Refusal> {
    lab.socks5_connect(&target.ip().to_string(), target.port(), &As::default()).await
}

/// Everything that comes after the first byte, which has shown that the stream runs.
async fn started(mut conn: Conn) -> Conn {
    conn.read_u8().await.unwrap();
    conn
}

async fn download(lab: &Lab, target: SocketAddr, size: usize) {
    let mut conn = lab.connect(Way::Socks5, target).await;
    let mut got = Vec::new();
    conn.read_to_end(&mut got).await.unwrap();
    assert!(got == target::pattern(size), "{} bytes", got.len());
}

async fn five_hundred_stalled_downloads_leave_the_next_one_alone(site: Site, transport: Transport) {
    let endless = target::endless(&site);
    let large = target::burst(&site, 32 * MIB);
    let lab = Lab::start(site, &Options::new(transport)).await;
    let mut stalled = Vec::new();
    for _ in 0..500 {
        stalled.push(started(open(&lab, endless).await.unwrap()).await);
    }
    // Half a window is the least that a stream holds which does not move.
    lab.until(|lab| lab.gateway.stalled() >= 500 * CREDIT / 2).await;
    download(&lab, large, 32 * MIB).await;
    assert!(lab.gateway.stalled() >= 500 * CREDIT / 2, "they still rest");
    lab.until(|lab| lab.gateway.users() <= 500).await;
    assert_eq!(lab.gateway.users(), 500, "nobody was cut");
}

#[tokio::test]
async fn five_hundred_stalled_downloads_over_quic() {
    five_hundred_stalled_downloads_leave_the_next_one_alone(
        Site::narrow_loopback(),
        Transport::Quic,
    )
    .await;
}

#[tokio::test]
async fn five_hundred_stalled_downloads_over_websocket() {
    five_hundred_stalled_downloads_leave_the_next_one_alone(
        Site::narrow_loopback(),
        Transport::WebSocket,
    )
    .await;
}

#[derive(Clone, Copy)]
enum Direction {
    Download,
    Upload,
}

/// A lab whose budget, on the side that has to buffer, is small, and a target that makes a
/// connection stall.
async fn small_budget(transport: Transport, direction: Direction) -> (Lab, SocketAddr) {
    let site = simulated();
    let mut options = Options::new(transport);
    let target = match direction {
        Direction::Download => {
            options.limits.stall_budget = BUDGET;
            target::endless(&site)
        }
        Direction::Upload => {
            options.client_limits.stall_budget = BUDGET;
            target::serve(&site, |conn| async move {
                std::future::pending::<()>().await;
                drop(conn);
            })
        }
    };
    (Lab::start(site, &options).await, target)
}

fn charged(lab: &Lab, direction: Direction) -> u64 {
    match direction {
        Direction::Download => lab.gateway.stalled(),
        Direction::Upload => lab.client.stalled(),
    }
}

/// Lets a new connection run until it stalls, after which it only rests.
async fn stall(mut conn: Conn, direction: Direction) -> Conn {
    if let Direction::Upload = direction {
        let bytes = target::pattern(64 * 1024);
        let writing = async { while conn.write_all(&bytes).await.is_ok() {} };
        let _ = tokio::time::timeout(REST, writing).await;
    } else {
        sleep(REST).await;
    }
    conn
}

async fn opens_succeed_until_the_budget_is_used_up(transport: Transport, direction: Direction) {
    let (lab, target) = small_budget(transport, direction).await;
    let mut stalled = Vec::new();
    let refusal = loop {
        match open(&lab, target).await {
            Ok(conn) => stalled.push(stall(conn, direction).await),
            Err(refusal) => break refusal,
        }
        assert!(charged(&lab, direction) <= BUDGET);
        assert!(stalled.len() <= 64);
    };
    assert_eq!(refusal, Refusal::Socks5(1));
    // A stream is charged less than its whole credit only for what its relay took already.
    assert!(stalled.len() >= 48, "{}", stalled.len());
    let refusal = lab.http_connect(&target.to_string(), &As::default()).await.unwrap_err();
    assert_eq!(refusal, Refusal::Http(503, "connection_limit_reached".into()));
    sleep(LINGER).await;
    assert_eq!(lab.gateway.users(), stalled.len(), "nobody was cut");
}

async fn the_longest_stalled_goes_after_thirty_seconds(transport: Transport, direction: Direction) {
    let (lab, target) = small_budget(transport, direction).await;
    let mut stalled = Vec::new();
    let began = Instant::now();
    while let Ok(conn) = open(&lab, target).await {
        stalled.push(stall(conn, direction).await);
    }
    sleep_until(began + EVICT_AFTER - Duration::from_secs(5)).await;
    assert!(open(&lab, target).await.is_err());
    sleep(LINGER).await;
    assert_eq!(lab.gateway.users(), stalled.len(), "too early");
    // The next one came `REST` later.
    sleep_until(began + EVICT_AFTER + REST).await;
    assert!(open(&lab, target).await.is_err(), "this one makes room for the next");
    sleep(LINGER).await;
    assert_eq!(lab.gateway.users(), stalled.len() - 1, "one was cut");
    open(&lab, target).await.unwrap();
    let error = drain(&mut stalled[0]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the first one, by a reset");
}

/// Reads what came before the end.
async fn drain(conn: &mut Conn) -> std::io::Result<u64> {
    tokio::io::copy(conn, &mut tokio::io::sink()).await
}

#[tokio::test(start_paused = true)]
async fn opens_succeed_until_downloads_hold_the_budget_over_quic() {
    opens_succeed_until_the_budget_is_used_up(Transport::Quic, Direction::Download).await;
}

#[tokio::test(start_paused = true)]
async fn opens_succeed_until_downloads_hold_the_budget_over_websocket() {
    opens_succeed_until_the_budget_is_used_up(Transport::WebSocket, Direction::Download).await;
}

#[tokio::test(start_paused = true)]
async fn opens_succeed_until_uploads_hold_the_budget_over_quic() {
    opens_succeed_until_the_budget_is_used_up(Transport::Quic, Direction::Upload).await;
}

#[tokio::test(start_paused = true)]
async fn opens_succeed_until_uploads_hold_the_budget_over_websocket() {
    opens_succeed_until_the_budget_is_used_up(Transport::WebSocket, Direction::Upload).await;
}

#[tokio::test(start_paused = true)]
async fn the_longest_stalled_download_goes_over_quic() {
    the_longest_stalled_goes_after_thirty_seconds(Transport::Quic, Direction::Download).await;
}

#[tokio::test(start_paused = true)]
async fn the_longest_stalled_download_goes_over_websocket() {
    the_longest_stalled_goes_after_thirty_seconds(Transport::WebSocket, Direction::Download).await;
}

#[tokio::test(start_paused = true)]
async fn the_longest_stalled_upload_goes_over_quic() {
    the_longest_stalled_goes_after_thirty_seconds(Transport::Quic, Direction::Upload).await;
}

#[tokio::test(start_paused = true)]
async fn the_longest_stalled_upload_goes_over_websocket() {
    the_longest_stalled_goes_after_thirty_seconds(Transport::WebSocket, Direction::Upload).await;
}

/// The proxy's plain requests are not relayed but go through an HTTP stack, which must give its
/// buffers up all the same.
async fn a_stalled_plain_response_makes_room_too(transport: Transport) {
    let site = simulated();
    let mut options = Options::new(transport);
    options.limits.stall_budget = 4 * CREDIT;
    let target = target::serve(&site, |mut conn| async move {
        read_head(&mut conn).await.unwrap();
        conn.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await.unwrap();
        let bytes = target::pattern(64 * 1024);
        while conn.write_all(&bytes).await.is_ok() {}
    });
    let lab = Lab::start(site, &options).await;
    let credentials =
        base64(format!("{}:{}", As::default().name, As::default().password).as_bytes());
    let request = format!(
        "GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\
         Proxy-Authorization: Basic {credentials}\r\n\r\n"
    );
    let mut stalled = Vec::new();
    loop {
        let mut conn = lab.tcp(lab.http()).await;
        conn.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut conn).await.unwrap();
        if head.starts_with("HTTP/1.1 503") {
            break;
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        sleep(Duration::from_millis(500)).await;
        stalled.push(conn);
    }
    sleep(EVICT_AFTER).await;
    assert!(open(&lab, target).await.is_err(), "this one makes room for the next");
    sleep(Duration::from_millis(100)).await;
    open(&lab, target).await.unwrap();
    let mut got = Vec::new();
    let rest = stalled[0].read_to_end(&mut got).await;
    assert!(rest.is_err() || got.len() < 1_000_000_000, "the response broke off");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_plain_response_makes_room_over_quic() {
    a_stalled_plain_response_makes_room_too(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_stalled_plain_response_makes_room_over_websocket() {
    a_stalled_plain_response_makes_room_too(Transport::WebSocket).await;
}
