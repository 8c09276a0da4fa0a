//! Credit: what may be sent, when more is granted, and when windows grow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyproxy_wire::WireError;
use anyproxy_wire::credit::{GrowthPool, Raised, RecvCredit, SendCredit, Taken};
use proptest::prelude::*;

const KIB: u64 = 1024;
const RTT: Duration = Duration::from_millis(100);

fn fast_reader(pool: &Arc<GrowthPool>) -> RecvCredit {
    RecvCredit::new(256 * KIB, 16 * 1024 * KIB, pool.clone())
}

/// Reads a window's worth in a twentieth of a round trip.
fn read_window(credit: &mut RecvCredit, now: &mut Instant) -> Option<u64> {
    let step = credit.window() / 8;
    let mut granted = None;
    for _ in 0..8 {
        *now += RTT / 160;
        granted = credit.consumed(step, *now, RTT).or(granted);
    }
    granted
}

#[test]
fn the_sender_stays_within_the_highest_offset() {
    let mut credit = SendCredit::new(100);
    credit.take(60);
    assert_eq!(credit.available(), 40);
    assert_eq!(credit.raise(100), Raised::Stale);
    assert_eq!(credit.raise(50), Raised::Stale);
    assert_eq!(credit.available(), 40, "a lower offset takes nothing back");
    assert_eq!(credit.raise(150), Raised::Higher);
    assert_eq!((credit.available(), credit.sent()), (90, 60));
}

#[test]
fn a_byte_past_the_credit_is_an_error() {
    let mut credit = RecvCredit::new(100, 100, GrowthPool::new(0));
    assert_eq!(credit.received(100), Ok(()));
    let error = credit.received(1).unwrap_err();
    assert_eq!(error, WireError::FlowControl { stream: WireError::NO_STREAM });
    assert!(credit.received(u64::MAX).is_err());
    assert_eq!(credit.total_received(), 100);
}

#[test]
fn more_is_granted_once_half_a_window_was_read() {
    let now = Instant::now();
    let mut credit = RecvCredit::new(100, 100, GrowthPool::new(0));
    credit.received(100).unwrap();
    assert_eq!(credit.consumed(49, now, RTT), None);
    assert_eq!(credit.outstanding(), 51);
    assert_eq!(credit.consumed(1, now, RTT), Some(150));
    assert_eq!(credit.outstanding(), 100);
    assert_eq!(credit.consumed(10, now, RTT), None);
    assert_eq!(credit.limit(), 150);
}

#[test]
fn the_window_doubles_for_a_reader_that_waits_for_a_long_link() {
    let pool = GrowthPool::new(64 * 1024 * KIB);
    let (mut credit, mut now) = (fast_reader(&pool), Instant::now());
    for _ in 0..20 {
        credit.starved();
        read_window(&mut credit, &mut now);
    }
    assert_eq!(credit.window(), 16 * 1024 * KIB, "up to the ceiling, and not beyond");
    assert_eq!(pool.used(), 16 * 1024 * KIB - 256 * KIB);
    drop(credit);
    assert_eq!(pool.used(), 0);
}

#[test]
fn the_window_stays_when_the_reader_is_what_is_slow() {
    let pool = GrowthPool::new(64 * 1024 * KIB);
    let (mut credit, mut now) = (fast_reader(&pool), Instant::now());
    for _ in 0..20 {
        assert!(read_window(&mut credit, &mut now).is_some());
    }
    assert_eq!(credit.window(), 256 * KIB, "it never found nothing to read");
}

#[test]
fn the_window_stays_on_a_short_link_and_for_a_slow_stream() {
    let pool = GrowthPool::new(64 * 1024 * KIB);
    let mut now = Instant::now();
    for (rtt, pause) in [(Duration::ZERO, 0), (Duration::from_millis(1), 10), (RTT, 1000)] {
        let mut credit = fast_reader(&pool);
        for _ in 0..100 {
            credit.starved();
            now += Duration::from_millis(pause);
            // A size with which the reader never ends up right at a limit, as a sender does that has
            // to stop there.
            credit.consumed(60 * KIB, now, rtt);
        }
        assert_eq!(credit.window(), 256 * KIB, "{rtt:?}");
    }
}

#[test]
fn one_starved_moment_lets_the_window_double_once() {
    let pool = GrowthPool::new(64 * 1024 * KIB);
    let (mut credit, mut now) = (fast_reader(&pool), Instant::now());
    read_window(&mut credit, &mut now);
    credit.starved();
    for _ in 0..5 {
        read_window(&mut credit, &mut now);
    }
    assert_eq!(credit.window(), 512 * KIB);
}

#[test]
fn an_exhausted_pool_stops_growth_until_bytes_come_back() {
    let pool = GrowthPool::new(300 * KIB);
    let mut now = Instant::now();
    let (mut first, mut second) = (fast_reader(&pool), fast_reader(&pool));
    for credit in [&mut first, &mut second] {
        for _ in 0..5 {
            credit.starved();
            assert!(read_window(credit, &mut now).is_some(), "credit flows all the same");
        }
    }
    assert_eq!((first.window(), second.window()), (512 * KIB, 256 * KIB));
    assert_eq!(pool.used(), 256 * KIB);
    first.close();
    first.close();
    assert_eq!(pool.used(), 0);
    second.starved();
    read_window(&mut second, &mut now);
    second.starved();
    read_window(&mut second, &mut now);
    assert_eq!(second.window(), 512 * KIB);
    drop((first, second));
    assert_eq!(pool.used(), 0);
}

#[test]
fn a_closed_credit_no_longer_grows() {
    let pool = GrowthPool::new(64 * 1024 * KIB);
    let (mut credit, mut now) = (fast_reader(&pool), Instant::now());
    credit.close();
    for _ in 0..5 {
        credit.starved();
        read_window(&mut credit, &mut now);
    }
    assert_eq!(pool.used(), 0);
}

#[test]
fn streams_that_stall_early_leave_windows_to_those_that_go_on() {
    let pool = GrowthPool::new(64 * 1024 * KIB);
    let mut now = Instant::now();
    let mut stalled = Vec::new();
    for _ in 0..500 {
        let mut credit = fast_reader(&pool);
        for _ in 0..3 {
            credit.starved();
            read_window(&mut credit, &mut now);
        }
        stalled.push(credit);
    }
    let mut goes_on = fast_reader(&pool);
    for _ in 0..200 {
        goes_on.starved();
        read_window(&mut goes_on, &mut now);
    }
    assert!(goes_on.window() >= 8 * 1024 * KIB, "{}", goes_on.window());
}

#[test]
fn the_pool_gives_all_or_nothing() {
    let pool = GrowthPool::new(10);
    assert_eq!(pool.take(7), Taken::All);
    assert_eq!(pool.take(4), Taken::Nothing);
    assert_eq!(pool.take(u64::MAX), Taken::Nothing);
    assert_eq!(pool.take(3), Taken::All);
    pool.give(10);
    assert_eq!(pool.used(), 0);
}

proptest! {
    /// Whatever the reader does, a sender that follows the grants is never wrong, never stuck,
    /// and never ahead by more than a window.
    #[test]
    fn grants_keep_the_sender_going(reads in prop::collection::vec((1..2000_u64, 0..50_u64), 1..200)) {
        let pool = GrowthPool::new(5000);
        let mut recv = RecvCredit::new(1000, 8000, pool.clone());
        let mut send = SendCredit::new(1000);
        let mut now = Instant::now();
        let mut read = 0;
        for (want, millis) in reads {
            let burst = send.available();
            send.take(burst);
            prop_assert_eq!(recv.received(burst), Ok(()));
            now += Duration::from_millis(millis);
            let taken = want.min(send.sent() - read);
            read += taken;
            if taken < want {
                recv.starved();
            }
            if let Some(offset) = recv.consumed(taken, now, RTT) {
                prop_assert_eq!(send.raise(offset), Raised::Higher);
            }
            prop_assert_eq!(recv.outstanding(), send.sent() + send.available() - read);
            prop_assert!(recv.outstanding() > recv.window() / 2 && recv.window() <= 8000);
            prop_assert!(pool.used() <= 5000);
        }
    }
}

/// A sender that stops at its credit and goes on one `trip` after a grant.
fn send_at_the_limit(credit: &mut RecvCredit, windows: usize, rtt: Duration, trip: Duration) {
    let mut now = Instant::now();
    let mut sendable = credit.limit();
    for _ in 0..windows {
        let mut granted = None;
        while credit.limit().min(sendable) > credit.limit() - credit.outstanding() {
            let consumed = credit.limit() - credit.outstanding();
            let step = (sendable - consumed).min(16 * KIB);
            granted = credit.consumed(step, now, rtt).or(granted);
        }
        credit.starved();
        now += trip;
        sendable = granted.unwrap_or(sendable);
    }
}

#[test]
fn a_sender_that_waits_for_each_grant_gets_a_larger_window_whatever_the_measured_time() {
    let pool = GrowthPool::new(64 * 1024 * KIB);
    let mut credit = fast_reader(&pool);
    let idle_rtt = Duration::from_micros(50);
    send_at_the_limit(&mut credit, 4, idle_rtt, Duration::from_micros(300));
    assert!(credit.window() > 256 * KIB, "{}", credit.window());
}

#[test]
fn a_sender_that_only_pauses_at_the_limit_does_not() {
    let pool = GrowthPool::new(64 * 1024 * KIB);
    let mut credit = fast_reader(&pool);
    let rtt = Duration::from_millis(1);
    send_at_the_limit(&mut credit, 100, rtt, Duration::from_millis(50));
    assert_eq!(credit.window(), 256 * KIB);
}
