//! What groups may send and receive in a second, end to end and in virtual time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure is the test's result, and tasks end with its runtime"
)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyproxy_client::Client;
use anyproxy_gateway::{GroupConfig, GroupLimits};
use anyproxy_tests::{
    groups::{group, member},
    lab::{Options, Site, connected},
    party::Party,
    target::{self, Framing},
    user::{As, Body, Doors, Refusal, read_body},
};
use anyproxy_transport::{Transport, net::Conn};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

const SECOND: Duration = Duration::from_secs(1);
const KIB: u64 = 1024;
const RED: As = As { name: "red", password: "red secret" };
const BLUE: As = As { name: "blue", password: "blue secret" };

fn limited(name: &str, bandwidth: Option<u64>) -> GroupConfig {
    let limits = GroupLimits { bandwidth, ..GroupLimits::default() };
    GroupConfig { limits, ..group(name, &format!("{name} secret")) }
}

/// A gateway with a client in each of the groups red and blue.
struct Town {
    party: Party,
    _clients: [Client; 2],
    doors: Doors,
}

impl Town {
    async fn start(party: Party, red: Option<u64>, forward: SocketAddr) -> Self {
        party.gateway.set_groups(&[limited("red", red), limited("blue", None)]);
        let mut config = member(&party, "one", "red", "red secret");
        config.forwards = vec![party.any_port(forward)];
        let one = party.client(config);
        let two = party.client(member(&party, "two", "blue", "blue secret"));
        let ports = connected(&one).await;
        connected(&two).await;
        let doors = party.doors(&ports);
        Self { party, _clients: [one, two], doors }
    }

    async fn connect(&self, target: SocketAddr, user: &As) -> Conn {
        self.doors.http_connect(&target.to_string(), user).await.unwrap()
    }
}

/// Reads for ever and counts.
fn count(mut conn: Conn) -> Arc<AtomicU64> {
    let counted = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&counted);
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = conn.read(&mut buffer).await {
            counter.fetch_add(read as u64, Ordering::Relaxed);
        }
    });
    counted
}

fn within(got: f64, due: f64, what: &str) {
    assert!((got / due - 1.0).abs() <= 0.05, "{what}: {got} instead of {due}");
}

/// What `size` bytes take at `rate`, without the burst.
fn due(size: usize, rate: u64) -> f64 {
    (size as f64 - (rate / 10).max(64 * KIB) as f64) / rate as f64
}

async fn the_rate_is_held_both_ways_and_by_every_way_in(transport: Transport) {
    const SIZE: usize = 4_000_000;
    const RATE: u64 = 1_000_000;
    let (site, _world) = Site::simulated();
    let burst = target::burst(&site, SIZE);
    let web = target::http(&site, Framing::Length, SIZE);
    let sink = target::answer_at_end(&site);
    let town = Town::start(Party::start(site, Options::new(transport)), Some(RATE), burst).await;
    // A forwarded port, CONNECT, SOCKS5 and plain HTTP, which hyper reads.
    for way in 0..4 {
        // The bucket is full again.
        tokio::time::sleep(SECOND).await;
        let began = Instant::now();
        let (host, doors) = (burst.ip().to_string(), &town.doors);
        let got = if way == 3 {
            let (head, mut conn) = doors.http_get(&web.to_string(), &RED).await.unwrap();
            match read_body(&head, &mut conn).await {
                Body::Whole(got) => got,
                Body::Cut(_) => panic!("cut"),
            }
        } else {
            let mut conn = match way {
                0 => doors.connect(anyproxy_tests::user::Way::Forward, burst).await.unwrap(),
                1 => town.connect(burst, &RED).await,
                _ => doors.socks5_connect(&host, burst.port(), &RED).await.unwrap(),
            };
            let mut got = vec![];
            conn.read_to_end(&mut got).await.unwrap();
            got
        };
        assert!(got == target::pattern(SIZE));
        within(began.elapsed().as_secs_f64(), due(SIZE, RATE), &format!("way {way}"));
    }
    // Up and down have a bucket each: the answer is as long as the upload.
    tokio::time::sleep(SECOND).await;
    let mut conn = town.connect(sink, &RED).await;
    let began = Instant::now();
    conn.write_all(&target::pattern(SIZE)).await.unwrap();
    conn.shutdown().await.unwrap();
    let mut got = vec![];
    conn.read_to_end(&mut got).await.unwrap();
    assert!(got == target::pattern(SIZE));
    within(began.elapsed().as_secs_f64(), 2.0 * due(SIZE, RATE), "up and down");
    // Nothing bounds the other group.
    let began = Instant::now();
    let mut got = vec![];
    town.connect(burst, &BLUE).await.read_to_end(&mut got).await.unwrap();
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_held_both_ways_and_by_every_way_in_over_quic() {
    the_rate_is_held_both_ways_and_by_every_way_in(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_held_both_ways_and_by_every_way_in_over_websocket() {
    the_rate_is_held_both_ways_and_by_every_way_in(Transport::WebSocket).await;
}

/// Whoever sends more than the group may receive is held back, not buffered.
async fn back_pressure_reaches_the_sender(transport: Transport) {
    const RATE: u64 = 100_000;
    let (site, _world) = Site::simulated();
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let source = target::serve(&site, move |mut conn| {
        let counter = Arc::clone(&counter);
        async move {
            let bytes = vec![7; 4096];
            while conn.write_all(&bytes).await.is_ok() {
                counter.fetch_add(4096, Ordering::Relaxed);
            }
        }
    });
    let town = Town::start(Party::start(site, Options::new(transport)), Some(RATE), source).await;
    let got = count(town.connect(source, &RED).await);
    tokio::time::sleep(20 * SECOND).await;
    let (got, sent) = (got.load(Ordering::Relaxed), sent.load(Ordering::Relaxed));
    within(got as f64, 20.0 * RATE as f64 + 64.0 * 1024.0, "received");
    // A stream's first credit, and what the kernels of the simulation hold.
    assert!(sent <= got + 1024 * KIB, "{sent} sent, {got} received");
}

#[tokio::test(start_paused = true)]
async fn back_pressure_reaches_the_sender_over_quic() {
    back_pressure_reaches_the_sender(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn back_pressure_reaches_the_sender_over_websocket() {
    back_pressure_reaches_the_sender(Transport::WebSocket).await;
}

/// The gateway's total is shared alike by groups, and a group's part by its connections.
async fn the_total_is_shared_alike(transport: Transport) {
    const TOTAL: u64 = 2_000_000;
    let (site, _world) = Site::simulated();
    let endless = target::endless(&site);
    let mut options = Options::new(transport);
    options.limits.bandwidth = Some(TOTAL);
    let town = Town::start(Party::start(site, options), None, endless).await;
    let red = count(town.connect(endless, &RED).await);
    let mut blue = vec![];
    for _ in 0..8 {
        blue.push(count(town.connect(endless, &BLUE).await));
    }
    let all = || {
        let blue = blue.iter().map(|counter| counter.load(Ordering::Relaxed)).collect::<Vec<_>>();
        (red.load(Ordering::Relaxed), blue)
    };
    tokio::time::sleep(2 * SECOND).await;
    let (red_before, blue_before) = all();
    tokio::time::sleep(10 * SECOND).await;
    let (red_after, blue_after) = all();
    let half = (10 * TOTAL / 2) as f64;
    within((red_after - red_before) as f64, half, "one connection");
    for (after, before) in blue_after.iter().zip(&blue_before) {
        within((after - before) as f64, half / 8.0, "one of eight");
    }
    // One group alone has everything, and its own limit holds at once.
    drop(blue_after);
    town.party.gateway.set_groups(&[limited("red", Some(200_000)), limited("blue", None)]);
    tokio::time::sleep(SECOND).await;
    let (red_before, blue_before) = all();
    tokio::time::sleep(10 * SECOND).await;
    let (red_after, blue_after) = all();
    within((red_after - red_before) as f64, 2_000_000.0, "the limited group");
    let blue = blue_after.iter().sum::<u64>() - blue_before.iter().sum::<u64>();
    within(blue as f64, 18_000_000.0, "the rest");
}

#[tokio::test(start_paused = true)]
async fn the_total_is_shared_alike_over_quic() {
    the_total_is_shared_alike(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn the_total_is_shared_alike_over_websocket() {
    the_total_is_shared_alike(Transport::WebSocket).await;
}

/// Connections that wait for bandwidth hold their part of the stall budget, so that new ones find no
/// room; but they do not rest, and are not reset for those.
async fn who_waits_for_bandwidth_is_not_evicted(transport: Transport) {
    let (site, _world) = Site::simulated();
    let endless = target::endless(&site);
    let mut options = Options::new(transport);
    options.limits.stall_budget = 4 * 256 * KIB;
    // One turn of 512 bytes takes 51 s.
    let town = Town::start(Party::start(site, options), Some(10), endless).await;
    let mut slow = vec![];
    while let Ok(conn) = town.doors.http_connect(&endless.to_string(), &RED).await {
        slow.push(count(conn));
        tokio::time::sleep(SECOND).await;
        assert!(slow.len() < 100, "nothing bounds what they hold");
    }
    assert!(slow.len() > 2, "{}", slow.len());
    for _ in 0..20 {
        tokio::time::sleep(20 * SECOND).await;
        let refused = town.doors.http_connect(&endless.to_string(), &RED).await.unwrap_err();
        assert_eq!(refused, Refusal::Http(503, "connection_limit_reached".into()));
    }
    // All of them are still there.
    let before = slow.iter().map(|counter| counter.load(Ordering::Relaxed)).collect::<Vec<_>>();
    town.party.gateway.set_groups(&[limited("red", Some(1_000_000)), limited("blue", None)]);
    tokio::time::sleep(5 * SECOND).await;
    for (counter, before) in slow.iter().zip(before) {
        assert!(counter.load(Ordering::Relaxed) > before + 100 * KIB, "it was reset");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_bandwidth_is_not_evicted_over_quic() {
    who_waits_for_bandwidth_is_not_evicted(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_bandwidth_is_not_evicted_over_websocket() {
    who_waits_for_bandwidth_is_not_evicted(Transport::WebSocket).await;
}
