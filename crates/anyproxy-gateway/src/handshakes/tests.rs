use std::{
    pin::pin,
    task::{Context, Waker},
};

use super::*;

fn handshakes(all: usize, of_one_address: usize, unproven: usize) -> Arc<Handshakes> {
    Handshakes::new(&Limits {
        max_handshakes: all,
        max_handshakes_per_address: of_one_address,
        max_unproven: unproven,
        ..Limits::default()
    })
}

fn ip(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn proven(last: u8) -> Origin {
    Origin::Proven(ip(last))
}

fn unproven(last: u8) -> Origin {
    Origin::Unproven(ip(last))
}

fn is_given_up(place: &Place) -> bool {
    pin!(place.given_up()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn the_oldest_gives_way_to_the_newest() {
    let handshakes = handshakes(2, 2, 0);
    let [a, b] = [1, 2].map(|last| handshakes.begin(proven(last)).unwrap());
    assert!(!is_given_up(&a) && !is_given_up(&b));
    let c = handshakes.begin(Origin::Shared).unwrap();
    assert!(is_given_up(&a) && !is_given_up(&b) && !is_given_up(&c));
    drop((a, c));
    let _d = handshakes.begin(proven(4)).unwrap();
    assert!(!is_given_up(&b), "there was room");
}

#[test]
fn an_address_that_is_full_takes_only_its_own_places() {
    let handshakes = handshakes(8, 2, 0);
    let other = handshakes.begin(proven(9)).unwrap();
    let mut own = (0..2).map(|_| handshakes.begin(proven(1)).unwrap()).collect::<Vec<_>>();
    for _ in 0..100 {
        let newest = handshakes.begin(proven(1)).unwrap();
        assert!(is_given_up(&own.remove(0)), "its own oldest");
        own.push(newest);
    }
    assert!(!is_given_up(&other) && !own.iter().any(is_given_up));
    assert_eq!(handshakes.state().live.len(), 3);
}

#[test]
fn an_ipv6_host_is_its_prefix_and_loopback_is_not_counted() {
    let handshakes = handshakes(8, 1, 0);
    let begin = |text: &str| handshakes.begin(Origin::Proven(text.parse().unwrap())).unwrap();
    let first = begin("2001:db8:0:1::1");
    let _second = begin("2001:db8:0:1:ffff::2");
    assert!(is_given_up(&first));
    let local = [begin("127.0.0.1"), begin("::1"), begin("127.0.0.1")];
    assert!(!local.iter().any(is_given_up));
}

#[test]
fn forged_addresses_push_nobody_out() {
    let handshakes = handshakes(8, 8, 4);
    let real = (1..=4).map(|last| handshakes.begin(proven(last)).unwrap()).collect::<Vec<_>>();
    let forged = (10..=13).map(|last| handshakes.begin(unproven(last)).unwrap());
    let forged = forged.collect::<Vec<_>>();
    for last in 20..=255 {
        assert!(handshakes.begin(unproven(last)).is_none(), "prove it first");
    }
    assert!(!real.iter().chain(&forged).any(is_given_up));
    assert_eq!(handshakes.state().live.len(), 8);
    // Whoever has proven its address is let in.
    let _late = handshakes.begin(proven(20)).unwrap();
    assert!(is_given_up(real.first().unwrap()));
}

#[test]
fn few_unproven_at_once_even_where_there_is_room() {
    let handshakes = handshakes(8, 8, 2);
    let [a, _b] = [1, 2].map(|last| handshakes.begin(unproven(last)).unwrap());
    assert!(handshakes.begin(unproven(3)).is_none());
    drop(a);
    assert!(handshakes.begin(unproven(3)).is_some(), "one has left");
}

/// Somebody who sends under a client's address does not cost that client its handshake.
#[test]
fn an_unproven_one_does_not_take_the_place_of_who_has_its_address() {
    let handshakes = handshakes(8, 1, 8);
    let real = handshakes.begin(proven(1)).unwrap();
    assert!(handshakes.begin(unproven(1)).is_none());
    assert!(!is_given_up(&real));
}

#[test]
fn nothing_is_kept_of_who_has_left() {
    let handshakes = handshakes(8, 2, 8);
    for last in 0..=255 {
        drop(handshakes.begin(proven(last)));
        drop(handshakes.begin(unproven(last)));
    }
    let state = handshakes.state();
    assert_eq!((state.live.len(), state.by_address.len(), state.unproven), (0, 0, 0));
}
