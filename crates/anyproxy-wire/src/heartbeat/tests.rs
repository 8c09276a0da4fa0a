use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Steps of (seconds since the start, whether bytes came in, what is due).
fn check(steps: &[(u32, Life, Beat)]) {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start, 10 * SECOND, 30 * SECOND);
    for &(seconds, life, expected) in steps {
        let now = start + seconds * SECOND;
        if life == Life::Bytes {
            heartbeat.received(now);
        }
        assert_eq!(heartbeat.poll(now), expected, "at {seconds} s");
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Life {
    Silence,
    Bytes,
}
use Life::{Bytes, Silence};

#[test]
fn silence_brings_one_ping_per_interval_and_then_death() {
    check(&[
        (0, Silence, Beat::Idle),
        (9, Silence, Beat::Idle),
        (10, Silence, Beat::Ping),
        (10, Silence, Beat::Idle),
        (19, Silence, Beat::Idle),
        (20, Silence, Beat::Ping),
        (29, Silence, Beat::Idle),
        (30, Silence, Beat::Dead),
        (31, Silence, Beat::Dead),
    ]);
}

#[test]
fn any_bytes_start_over() {
    check(&[
        (10, Silence, Beat::Ping),
        (12, Bytes, Beat::Idle),
        (21, Silence, Beat::Idle),
        (22, Silence, Beat::Ping),
        (41, Bytes, Beat::Idle),
        (70, Silence, Beat::Ping),
        (71, Silence, Beat::Dead),
    ]);
}

#[test]
fn a_late_poll_gives_one_ping_not_a_burst() {
    check(&[(29, Silence, Beat::Ping), (29, Silence, Beat::Idle), (30, Silence, Beat::Dead)]);
}

#[test]
fn a_laptop_that_slept_finds_the_peer_dead() {
    check(&[(3_600, Silence, Beat::Dead)]);
}

#[test]
fn bytes_after_the_sleep_prove_life() {
    check(&[(3_600, Bytes, Beat::Idle), (3_610, Silence, Beat::Ping)]);
}

#[test]
fn the_deadline_is_the_next_instant_at_which_something_is_due() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start, 10 * SECOND, 25 * SECOND);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let now = heartbeat.deadline();
        seen.push((now.duration_since(start).as_secs(), heartbeat.poll(now)));
    }
    assert_eq!(seen, [(10, Beat::Ping), (20, Beat::Ping), (25, Beat::Dead)]);
}

#[test]
fn a_clock_that_goes_back_changes_nothing() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start + 20 * SECOND, 10 * SECOND, 30 * SECOND);
    heartbeat.received(start);
    assert_eq!(heartbeat.poll(start), Beat::Idle);
    assert_eq!(heartbeat.deadline(), start + 30 * SECOND);
}

#[test]
fn times_that_a_hostile_peer_may_announce() {
    let start = Instant::now();
    let mut never = Heartbeat::new(start, Duration::MAX, Duration::MAX);
    assert_eq!(never.poll(start + 1_000 * SECOND), Beat::Idle);
    assert!(never.deadline() > start + 1_000 * SECOND);
    let mut always = Heartbeat::new(start, Duration::ZERO, Duration::MAX);
    assert_eq!(always.poll(start), Beat::Idle);
    assert_eq!(always.poll(start + 1_000 * SECOND), Beat::Ping);
    assert_eq!(always.poll(start + 1_000 * SECOND), Beat::Idle);
}
