use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq)]
enum Life {
    Silence,
    Bytes,
    /// Something went out that is answered at once.
    Asked,
    /// The machine slept for so many seconds, which the clock did not count.
    Slept(u32),
}
use Life::{Asked, Bytes, Silence, Slept};

/// Steps of (seconds since the start, what happens, what is due).
fn check(steps: &[(u32, Life, Beat)]) -> Heartbeat {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start, 10 * SECOND, 30 * SECOND);
    for &(seconds, life, expected) in steps {
        let now = start + seconds * SECOND;
        match life {
            Silence => {}
            Bytes => heartbeat.received(now),
            Asked => heartbeat.asked(now),
            Slept(time) => heartbeat.doubt(now, time * SECOND),
        }
        assert_eq!(heartbeat.poll(now), expected, "at {seconds} s");
    }
    heartbeat
}

/// Polls at each deadline from `heartbeat`'s start; the seconds at which something was due.
fn beats(heartbeat: &mut Heartbeat, start: Instant, count: usize) -> Vec<(u64, Beat)> {
    let beat = |_| {
        let now = heartbeat.deadline();
        (now.duration_since(start).as_secs(), heartbeat.poll(now))
    };
    (0..count).map(beat).collect()
}

#[test]
fn silence_brings_a_ping_then_suspicion_and_then_death() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start, 10 * SECOND, 30 * SECOND);
    let seen = beats(&mut heartbeat, start, 9);
    let pings = [10, 13, 16, 19, 22, 25, 28].map(|at| (at, Beat::Ping));
    assert_eq!(seen[..7], pings, "every 3 s once the first has no answer");
    assert_eq!(seen[7..], [(30, Beat::Dead), (30, Beat::Dead)]);
}

#[test]
fn each_ping_is_asked_for_once() {
    check(&[
        (9, Silence, Beat::Idle),
        (10, Silence, Beat::Ping),
        (10, Silence, Beat::Idle),
        (12, Silence, Beat::Idle),
        (13, Silence, Beat::Ping),
        (13, Silence, Beat::Idle),
    ]);
}

#[test]
fn any_bytes_start_over() {
    let heartbeat = check(&[
        (10, Silence, Beat::Ping),
        (13, Silence, Beat::Ping),
        (14, Bytes, Beat::Idle),
        (23, Silence, Beat::Idle),
        (24, Silence, Beat::Ping),
        (26, Silence, Beat::Idle),
    ]);
    assert!(!heartbeat.is_suspected());
}

/// Not before, and it closes nothing.
#[test]
fn what_is_unanswered_for_three_seconds_makes_suspect() {
    let mut heartbeat =
        check(&[(2, Bytes, Beat::Idle), (4, Asked, Beat::Idle), (6, Asked, Beat::Idle)]);
    assert!(!heartbeat.is_suspected());
    let at = heartbeat.deadline();
    assert_eq!(heartbeat.poll(at), Beat::Ping, "3 s after the first that was not answered");
    assert!(heartbeat.is_suspected());
    heartbeat.received(at + SECOND);
    assert!(!heartbeat.is_suspected());
    assert_eq!(heartbeat.deadline(), at + 11 * SECOND);
}

/// One question soon after the last data, then the usual pace.
#[test]
fn data_that_stop_are_asked_after() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start, 10 * SECOND, 30 * SECOND);
    heartbeat.received_data(start + SECOND);
    assert_eq!(beats(&mut heartbeat, start, 1), [(4, Beat::Ping)]);
    heartbeat.received(start + 4 * SECOND);
    assert_eq!(beats(&mut heartbeat, start, 1), [(14, Beat::Ping)]);
}

#[test]
fn who_has_nothing_to_answer_is_not_suspected() {
    let heartbeat =
        check(&[(2, Asked, Beat::Idle), (3, Bytes, Beat::Idle), (12, Silence, Beat::Idle)]);
    assert!(!heartbeat.is_suspected());
}

#[test]
fn a_slow_network_is_given_four_time_outs() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start, 10 * SECOND, 30 * SECOND);
    heartbeat.set_rtt(SECOND);
    heartbeat.asked(start);
    assert_eq!(heartbeat.deadline(), start + Duration::from_millis(8_200));
    heartbeat.set_rtt(SECOND / 10);
    assert_eq!(heartbeat.deadline(), start + 3 * SECOND);
}

#[test]
fn a_process_that_was_stopped_asks_first() {
    check(&[
        (3_600, Silence, Beat::Ping),
        (3_602, Silence, Beat::Idle),
        (3_603, Silence, Beat::Dead),
    ]);
    check(&[(60, Silence, Beat::Ping), (61, Bytes, Beat::Idle), (71, Silence, Beat::Ping)]);
    check(&[(3_600, Bytes, Beat::Idle), (3_610, Silence, Beat::Ping)]);
}

#[test]
fn a_poll_that_is_a_little_late_changes_nothing() {
    check(&[(12, Silence, Beat::Ping), (15, Silence, Beat::Ping)]);
}

/// The clock says 5 s; outside an hour has passed.
#[test]
fn a_machine_that_slept_asks_at_once_and_knows_the_answer_in_seconds() {
    check(&[(5, Slept(3_600), Beat::Ping), (7, Silence, Beat::Idle), (8, Silence, Beat::Dead)]);
    check(&[(5, Slept(3_600), Beat::Ping), (6, Bytes, Beat::Idle), (16, Silence, Beat::Ping)]);
}

#[test]
fn a_nap_counts_as_silence_and_no_more() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start, 10 * SECOND, 30 * SECOND);
    heartbeat.doubt(start + 5 * SECOND, 10 * SECOND);
    let seen = beats(&mut heartbeat, start, 6);
    assert_eq!(seen[0], (5, Beat::Ping));
    assert_eq!(
        seen[5],
        (20, Beat::Dead),
        "30 s after the last byte by the clock on the wall: {seen:?}"
    );
}

/// What only looks like sleep, such as a wall clock that was set: a Ping.
#[test]
fn a_jump_of_unknown_length_is_a_probe() {
    check(&[(5, Slept(0), Beat::Ping), (6, Silence, Beat::Idle), (8, Silence, Beat::Ping)]);
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start, 10 * SECOND, 30 * SECOND);
    heartbeat.doubt(start, Duration::ZERO);
    let seen = beats(&mut heartbeat, start, 11);
    assert_eq!(seen.last(), Some(&(30, Beat::Dead)), "no sooner than without: {seen:?}");
}

/// A network that comes and goes.
#[test]
fn doubt_upon_doubt_puts_nothing_off() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start, 10 * SECOND, 30 * SECOND);
    let mut suspected = None;
    for second in 0..40 {
        let now = start + second * SECOND;
        if second % 2 == 0 {
            heartbeat.doubt(now, Duration::ZERO);
        }
        if heartbeat.poll(now) == Beat::Dead {
            assert_eq!(suspected, Some(3));
            assert!((30..=33).contains(&second), "{second}");
            return;
        }
        if heartbeat.is_suspected() {
            suspected.get_or_insert(second);
        }
    }
    panic!("never dead");
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
    never.doubt(start, Duration::MAX);
    never.set_rtt(Duration::MAX);
    let mut always = Heartbeat::new(start, Duration::ZERO, Duration::MAX);
    assert_eq!(always.poll(start), Beat::Idle);
    assert_eq!(always.poll(start + 1_000 * SECOND), Beat::Ping);
    assert_eq!(always.poll(start + 1_000 * SECOND), Beat::Idle);
}
