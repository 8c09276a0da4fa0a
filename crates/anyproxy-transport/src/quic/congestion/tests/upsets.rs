//! Paths and applications that change.

use std::time::Duration;

use super::{
    super::bbr::Bbr,
    flow::{App, PACKET},
    link::Link,
    sim::Sim,
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_path_that_gets_slower_is_not_buried() {
    let (mut sim, id) = Sim::ours(Link::usual(), 1);
    sim.run_to(2.0);
    sim.bottleneck.link.mbit = 10.0;
    sim.run_to(5.0);
    let _ = sim.queue();
    sim.run_to(8.0);
    let (queue, mbit) = (sim.queue(), sim.mbit(id, 5.0, 8.0));
    assert!(queue < ms(60), "{queue:?}");
    assert!(mbit > 9.0, "{mbit}");
}

#[test]
fn a_path_that_gets_faster_is_used() {
    let (mut sim, id) = Sim::ours(Link { mbit: 10.0, ..Link::usual() }, 1);
    sim.run_to(3.0);
    sim.bottleneck.link.mbit = 100.0;
    sim.run_to(5.0);
    let (at_once, mbit) = (sim.mbit(id, 3.0, 3.5), sim.mbit(id, 3.5, 5.0));
    assert!(at_once > 47.0, "within half a second: {at_once}");
    assert!(mbit > 93.0, "{mbit}");
}

#[test]
fn a_path_that_gets_longer_is_learnt() {
    let (mut sim, id) = Sim::ours(Link { mbit: 50.0, ..Link::usual() }, 1);
    sim.run_to(2.0);
    sim.bottleneck.link.rtt = ms(120);
    sim.run_to(20.0);
    let mbit = sim.mbit(id, 16.0, 20.0);
    assert!(mbit > 46.0, "{mbit}");
}

#[test]
fn after_a_black_hole_it_starts_anew() {
    let (mut sim, id) = Sim::ours(Link::usual(), 1);
    sim.run_to(2.0);
    sim.bottleneck.link.loss = 1.0;
    sim.run_to(5.0);
    sim.bottleneck.link.loss = 0.0;
    sim.run_to(10.0);
    let mbit = sim.mbit(id, 9.0, 10.0);
    assert!(mbit > 93.0, "{mbit}");
}

#[test]
fn an_application_with_little_to_send_does_not_shrink_the_path() {
    let mut sim = Sim::new(Link::usual(), 1);
    let brain = Bbr::new(sim.start(), PACKET as u16, 1);
    let id = sim.add(Box::new(brain), App::OnOff(ms(2_000), ms(3_000)), 0.0);
    sim.run_to(2.0);
    let window = sim.window(id);
    sim.run_to(5.0);
    assert!(sim.window(id) * 10 > window * 8, "idle: {} after {window}", sim.window(id));
    sim.run_to(6.0);
    let mbit = sim.mbit(id, 5.1, 6.0);
    assert!(mbit > 90.0, "at once after the pause: {mbit}");
}

#[test]
fn a_slow_application_gets_its_rate_and_no_queue() {
    let mut sim = Sim::new(Link::usual(), 1);
    let brain = Bbr::new(sim.start(), PACKET as u16, 1);
    let id = sim.add(Box::new(brain), App::Paced(2_500_000.0), 0.0);
    sim.run_to(6.0);
    let (queue, mbit) = (sim.queue(), sim.mbit(id, 1.0, 6.0));
    assert!((19.0..21.0).contains(&mbit), "{mbit}");
    assert!(queue < ms(2), "{queue:?}");
}
