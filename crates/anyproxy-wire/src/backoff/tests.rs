use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn ceilings(backoff: &mut Backoff, count: usize) -> Vec<Duration> {
    (0..count).map(|_| backoff.next(u64::MAX)).collect()
}

fn about(delay: Duration, expected: Duration) -> bool {
    delay.abs_diff(expected) <= Duration::from_nanos(1)
}

#[test]
fn the_ceiling_doubles_up_to_the_cap_for_ever() {
    let mut backoff = Backoff::new(SECOND, 10 * SECOND);
    let expected = [1, 2, 4, 8, 10, 10, 10];
    for (delay, seconds) in ceilings(&mut backoff, 7).into_iter().zip(expected) {
        assert!(about(delay, seconds * SECOND), "{delay:?} for {seconds} s");
    }
    let last = ceilings(&mut backoff, 10_000).pop();
    assert!(last.is_some_and(|delay| about(delay, 10 * SECOND)));
}

#[test]
fn the_floor_is_half_the_base_so_a_refused_client_does_not_spin() {
    let mut backoff = Backoff::new(SECOND, 10 * SECOND);
    for _ in 0..5 {
        assert_eq!(backoff.next(0), SECOND / 2);
    }
    let mut degenerate = Backoff::new(Duration::ZERO, Duration::ZERO);
    assert!(degenerate.next(0) > Duration::ZERO);
}

#[test]
fn the_delay_is_uniform_between_floor_and_ceiling() {
    let mut backoff = Backoff::new(SECOND, SECOND);
    assert!(about(backoff.next(u64::MAX / 2), Duration::from_millis(750)));
    assert!(about(backoff.next(u64::MAX / 4), Duration::from_millis(625)));
}

#[test]
fn success_starts_over() {
    let mut backoff = Backoff::new(SECOND, 10 * SECOND);
    ceilings(&mut backoff, 4);
    backoff.at_least(5 * SECOND);
    backoff.reset();
    assert!(about(backoff.next(u64::MAX), SECOND));
}

#[test]
fn a_wish_of_the_peer_holds_for_one_delay_and_keeps_the_jitter() {
    let mut backoff = Backoff::new(SECOND, SECOND);
    backoff.at_least(20 * SECOND);
    backoff.at_least(7 * SECOND);
    assert_eq!(backoff.next(0), 20 * SECOND + SECOND / 2);
    assert_eq!(backoff.next(0), SECOND / 2);
}

#[test]
fn no_wish_and_no_setting_silences_the_client() {
    let mut backoff = Backoff::new(Duration::MAX, Duration::MAX);
    backoff.at_least(Duration::MAX);
    assert!(backoff.next(u64::MAX) <= LONGEST + Backoff::LONGEST_WISH);
    assert!(backoff.next(u64::MAX) <= LONGEST);
}

#[test]
fn a_pause_is_shown_in_milliseconds() {
    let pause = Duration::from_nanos(1_962_375_407);
    assert_eq!(format!("{:?}", rounded(pause)), "1.962s");
}
