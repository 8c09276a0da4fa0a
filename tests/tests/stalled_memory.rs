//! The memory that stalled readers take, as the system sees it. Alone in its process, whose figures
//! it reads.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "a failure is the test's result"
)]
#![cfg(target_os = "linux")]

use anyproxy_tests::{
    lab::{Lab, Options, Site},
    target,
    user::{As, Refusal, Way},
};
use anyproxy_transport::Transport;
use tokio::io::AsyncReadExt as _;

const MIB: u64 = 1024 * 1024;
const BUDGET: u64 = 16 * MIB;
/// What each new stream may hold.
const CREDIT: u64 = 256 * 1024;
/// Code that is touched for the first time, allocator, send buffers of both ends: what does not
/// grow with the budget.
const SLACK: u64 = 64 * MIB;

/// Resident bytes of this process (proc(5)); pages have 4 KiB.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

async fn stalled_readers_stay_within_the_budget(transport: Transport) {
    let site = Site::narrow_loopback();
    let endless = target::endless(&site);
    let large = target::burst(&site, 8 * MIB as usize);
    let mut options = Options::new(transport);
    options.limits.stall_budget = BUDGET;
    let lab = Lab::start(site, &options).await;
    let host = endless.ip().to_string();
    let mut warm = lab.connect(Way::Socks5, large).await;
    let mut got = Vec::with_capacity(8 * MIB as usize);
    warm.read_to_end(&mut got).await.unwrap();
    let before = resident();
    let mut stalled = Vec::new();
    loop {
        let held = lab.gateway.stalled();
        match lab.socks5_connect(&host, endless.port(), &As::default()).await {
            Ok(conn) => stalled.push(conn),
            Err(Refusal::Socks5(1)) => break,
            Err(other) => panic!("{other:?}"),
        }
        // Until it has stalled as well: one that still runs is charged nothing now and then.
        lab.until(|lab| lab.gateway.stalled() >= held + CREDIT / 2).await;
    }
    let grown = resident().saturating_sub(before);
    assert!(stalled.len() >= 32, "{transport}: only {} streams", stalled.len());
    // The newest may have been running, and not charged, when the windows of others grew.
    assert!(lab.gateway.stalled() <= BUDGET + CREDIT, "{transport}: {}", lab.gateway.stalled());
    println!("{transport}: {} stalled streams, {grown} bytes more", stalled.len());
    assert!(grown < BUDGET + SLACK, "{transport}: {} MiB more", grown / MIB);
}

#[tokio::test]
async fn stalled_readers_stay_within_the_budget_over_both_transports() {
    stalled_readers_stay_within_the_budget(Transport::Quic).await;
    stalled_readers_stay_within_the_budget(Transport::WebSocket).await;
}
