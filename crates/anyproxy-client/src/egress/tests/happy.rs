//! Timings of RFC 8305, to the millisecond.

use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_runtime::Deadline;
use anyproxy_wire::codes::OpenCode;

use super::scripted::{Attempt, Fate, Scripted, addr};
use crate::egress::{
    DialError, Dialled,
    happy::{Addresses, MAX_ATTEMPTS, connect},
};

const A: &str = "[2001:db8::1]:80";
const B: &str = "192.0.2.1:80";
const C: &str = "[2001:db8::2]:80";

fn addrs(list: &[&str]) -> Vec<SocketAddr> {
    list.iter().map(|text| addr(text)).collect()
}

async fn race(net: &Scripted, list: &[&str]) -> Result<Dialled, DialError> {
    let addresses = Addresses::interleaved(addrs(list)).unwrap();
    connect(net, addresses, Deadline::after(Duration::from_secs(30))).await
}

fn attempts(list: &[(u64, &str)]) -> Vec<Attempt> {
    list.iter().map(|&(at, text)| Attempt { at, address: addr(text) }).collect()
}

#[test]
fn families_alternate_from_the_first_one_on() {
    let mixed = |list: &[&str]| Addresses::interleaved(addrs(list)).unwrap().into_vec();
    let (v4, w4, x4) = ("192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1");
    let (v6, w6) = ("[2001:db8::1]:1", "[2001:db8::2]:1");
    assert_eq!(mixed(&[v6, w6, v4, w4, x4]), addrs(&[v6, v4, w6, w4, x4]));
    assert_eq!(mixed(&[v4, w4, x4, v6]), addrs(&[v4, v6, w4, x4]));
    assert_eq!(mixed(&[v4, v6, w6]), addrs(&[v4, v6, w6]));
    assert_eq!(mixed(&[v4]), addrs(&[v4]));
    assert_eq!(Addresses::interleaved(Vec::new()), None);
}

#[test]
fn no_more_than_16_addresses_are_tried_and_both_families_are() {
    let v6 = (1..100).map(|n| addr(&format!("[2001:db8::{n}]:1")));
    let all = v6.chain([addr("192.0.2.1:1")]).collect();
    let mixed = Addresses::interleaved(all).unwrap().into_vec();
    assert_eq!(mixed.len(), MAX_ATTEMPTS);
    assert_eq!(mixed[1], addr("192.0.2.1:1"));
}

#[tokio::test(start_paused = true)]
async fn the_first_to_answer_wins_and_no_other_is_tried() {
    let net = Scripted::new().host(A, Fate::Done(249, ()));
    let dialled = race(&net, &[A, B]).await.unwrap();
    assert_eq!((dialled.address, net.now()), (addr(A), 249));
    assert_eq!(net.attempts(), attempts(&[(0, A)]));
}

#[tokio::test(start_paused = true)]
async fn silence_starts_the_next_every_250_ms_and_the_losers_are_closed() {
    let net =
        Scripted::new().host(A, Fate::Hangs).host(B, Fate::Hangs).host(C, Fate::Done(100, ()));
    let dialled = race(&net, &[A, B, C]).await.unwrap();
    assert_eq!((dialled.address, net.now()), (addr(C), 600));
    assert_eq!(net.attempts(), attempts(&[(0, A), (250, B), (500, C)]));
    assert_eq!(net.live(), 1, "only the winner is left");
    drop(dialled);
    assert_eq!(net.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_of_sixteen_is_reached_when_all_others_are_silent() {
    let list: Vec<_> = (1..=16).map(|n| format!("192.0.2.{n}:80")).collect();
    let mut net = Scripted::new();
    for silent in &list[..15] {
        net = net.host(silent, Fate::Hangs);
    }
    let list: Vec<_> = list.iter().map(String::as_str).collect();
    let dialled = race(&net, &list).await.unwrap();
    assert_eq!((dialled.address, net.now()), (addr(list[15]), 15 * 250));
    assert_eq!(net.live(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_family_that_is_missing_costs_no_time() {
    let gone = || Fate::Fails(0, ErrorKind::NetworkUnreachable);
    let net = Scripted::new().host(A, gone()).host(C, gone()).host(B, Fate::Done(20, ()));
    let dialled = race(&net, &[A, C, B]).await.unwrap();
    assert_eq!((dialled.address, net.now()), (addr(B), 20));
    assert_eq!(net.attempts(), attempts(&[(0, A), (0, B)]));
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_of_an_earlier_attempt_still_wins() {
    let net = Scripted::new().host(A, Fate::Done(300, ())).host(B, Fate::Done(200, ()));
    let dialled = race(&net, &[A, B]).await.unwrap();
    assert_eq!((dialled.address, net.now()), (addr(A), 300));
}

#[tokio::test(start_paused = true)]
async fn two_answers_in_the_same_instant_leave_one_connection() {
    let net = Scripted::new().host(A, Fate::Done(350, ())).host(B, Fate::Done(100, ()));
    let dialled = race(&net, &[A, B]).await.unwrap();
    assert_eq!((net.now(), net.live()), (350, 1));
    drop(dialled);
    assert_eq!(net.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_starts_the_next_at_once_and_the_delay_counts_from_there() {
    let net =
        Scripted::new().host(A, Fate::Fails(40, ErrorKind::ConnectionRefused)).host(B, Fate::Hangs);
    let dialled = race(&net, &[A, B, C]).await.unwrap();
    assert_eq!(dialled.address, addr(C));
    assert_eq!(net.attempts(), attempts(&[(0, A), (40, B), (290, C)]));
}

#[tokio::test(start_paused = true)]
async fn a_failure_as_the_delay_ends_starts_one_attempt_not_two() {
    let net = Scripted::new()
        .host(A, Fate::Fails(250, ErrorKind::ConnectionRefused))
        .host(B, Fate::Hangs);
    race(&net, &[A, B, C]).await.unwrap();
    assert_eq!(net.attempts(), attempts(&[(0, A), (250, B), (500, C)]));
}

#[tokio::test(start_paused = true)]
async fn the_most_telling_failure_is_reported() {
    use ErrorKind as K;
    let order = [
        (K::Unsupported, OpenCode::Internal),
        (K::NetworkUnreachable, OpenCode::NetworkUnreachable),
        (K::TimedOut, OpenCode::TimedOut),
        (K::HostUnreachable, OpenCode::HostUnreachable),
        (K::ConnectionReset, OpenCode::Reset),
        (K::ConnectionRefused, OpenCode::Refused),
    ];
    for (low, pair) in order.windows(2).enumerate() {
        for (first, second) in [(pair[0].0, pair[1].0), (pair[1].0, pair[0].0)] {
            let net =
                Scripted::new().host(A, Fate::Fails(1, first)).host(B, Fate::Fails(1, second));
            let error = race(&net, &[A, B]).await.unwrap_err();
            assert_eq!(error.code(), order[low + 1].1, "{first} then {second}");
            assert_eq!(net.now(), 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_equal_failures_the_first_is_reported() {
    let refused = || Fate::Fails(1, ErrorKind::ConnectionRefused);
    let net = Scripted::new().host(A, refused()).host(B, refused());
    let error = race(&net, &[A, B]).await.unwrap_err();
    assert_eq!(error.to_string(), "[2001:db8::1]:80: connection refused (2 addresses tried)");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_all_attempts_and_silence_outranks_a_missing_family() {
    let net =
        Scripted::new().host(A, Fate::Fails(0, ErrorKind::NetworkUnreachable)).host(B, Fate::Hangs);
    let error = race(&net, &[A, B]).await.unwrap_err();
    assert_eq!((error.code(), net.now()), (OpenCode::TimedOut, 30_000));
    assert_eq!(error.to_string(), "192.0.2.1:80: no answer in time (2 addresses tried)");
    assert_eq!(net.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_outranks_silence_at_the_deadline() {
    let net =
        Scripted::new().host(A, Fate::Hangs).host(B, Fate::Fails(5, ErrorKind::ConnectionRefused));
    let error = race(&net, &[A, B]).await.unwrap_err();
    assert_eq!((error.code(), net.now()), (OpenCode::Refused, 30_000));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_while_dialling_leaves_no_connection() {
    let net = Arc::new(Scripted::new().host(A, Fate::Hangs).host(B, Fate::Done(100, ())));
    let list = [A, B];
    let mut dial = Box::pin(race(&net, &list));
    let both = tokio::time::sleep(Duration::from_millis(300));
    tokio::select! {
        biased;
        _ = &mut dial => panic!("connected before 350 ms"),
        () = both => {}
    }
    assert_eq!(net.live(), 2);
    drop(dial);
    assert_eq!(net.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_met_itself_is_a_refusal() {
    let net = Scripted::new().local(B);
    let error = race(&net, &[B]).await.unwrap_err();
    assert_eq!((error.code(), net.live()), (OpenCode::Refused, 0));
}
