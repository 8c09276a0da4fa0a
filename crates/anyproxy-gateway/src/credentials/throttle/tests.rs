use super::*;

fn attempt(peer: &str, account: u8) -> Attempt {
    Attempt::new(peer.parse().unwrap(), [account; 32])
}

#[tokio::test(start_paused = true)]
async fn the_sixth_failure_costs_a_second_and_each_further_one_twice_as_much() {
    let mut throttle = Throttle::default();
    let (mut now, one) = (Instant::now(), attempt("192.0.2.1", 1));
    for _ in 0..6 {
        assert_eq!(throttle.begin(one, now), Turn::Now);
    }
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        let pause = Duration::from_secs(pause);
        assert_eq!(throttle.begin(one, now + pause - Duration::from_millis(1)), Turn::Later);
        now += pause;
        assert_eq!(throttle.begin(one, now), Turn::Now);
    }
    throttle.succeeded(one);
    assert_eq!(throttle.begin(one, now), Turn::Now);
}

#[tokio::test(start_paused = true)]
async fn others_are_not_held_up_but_a_network_of_one_host_is_one() {
    let mut throttle = Throttle::default();
    let now = Instant::now();
    for last in 0..7 {
        throttle.begin(attempt(&format!("2001:db8::{last}"), 1), now);
    }
    assert_eq!(throttle.begin(attempt("2001:db8::ffff:1", 1), now), Turn::Later);
    assert_eq!(throttle.begin(attempt("2001:db8::1", 2), now), Turn::Now);
    assert_eq!(throttle.begin(attempt("2001:db8:0:1::1", 1), now), Turn::Now);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_addresses_does_not_grow_the_table() {
    let mut throttle = Throttle::default();
    let now = Instant::now();
    for address in 0..u32::try_from(MAX_KEPT + 100).unwrap() {
        throttle.begin(Attempt::new(IpAddr::V4(address.into()), [0; 32]), now);
    }
    assert_eq!(throttle.accounts, MAX_KEPT);
    assert!(throttle.addresses.len() <= MAX_KEPT);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_names_forgets_no_pause() {
    let mut throttle = Throttle::default();
    let now = Instant::now();
    let one = attempt("192.0.2.1", 1);
    for _ in 0..6 {
        throttle.begin(one, now);
    }
    for name in 0..2 * u32::try_from(MAX_OF_ONE).unwrap() {
        let mut account = [0xff; 32];
        account[..4].copy_from_slice(&name.to_be_bytes());
        let other = Attempt { account, ..one };
        assert_eq!(throttle.begin(other, now), Turn::Now);
    }
    assert_eq!(throttle.accounts, MAX_OF_ONE);
    assert_eq!(throttle.begin(one, now), Turn::Later);
    // Elsewhere it takes no place.
    assert_eq!(throttle.begin(attempt("192.0.2.2", 1), now), Turn::Now);
}

#[tokio::test(start_paused = true)]
async fn an_address_has_twenty_free_attempts_and_then_four_a_second() {
    let mut throttle = Throttle::default();
    let now = Instant::now();
    let one = attempt("192.0.2.1", 1);
    throttle.begin(one, now);
    for _ in 0..20 {
        assert_eq!(throttle.free_at(one.peer, now), now);
        throttle.pay(one.peer, now);
    }
    assert_eq!(throttle.free_at(one.peer, now), now + PACE);
    throttle.pay_back(one.peer);
    assert_eq!(throttle.free_at(one.peer, now), now);
    throttle.pay(one.peer, now);
    for second in 1..5 {
        let now = now + Duration::from_secs(second);
        for _ in 0..4 {
            assert_eq!(throttle.free_at(one.peer, now), now);
            throttle.pay(one.peer, now);
        }
        assert!(throttle.free_at(one.peer, now) > now);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_does_not_count() {
    let mut throttle = Throttle::default();
    let (now, one) = (Instant::now(), attempt("192.0.2.1", 1));
    for _ in 0..100 {
        assert_eq!(throttle.begin(one, now), Turn::Now);
        throttle.given_up(one);
    }
}
