//! Beside others on a clean link of 100 Mbit/s.

use std::time::Duration;

use super::{
    super::bbr::Bbr,
    flow::{App, Brain, PACKET},
    link::Link,
    rivals::{BbrV1, Cubic},
    sim::Sim,
};

enum Rival {
    Cubic,
    BbrV1,
    Ours,
}

fn ours(sim: &Sim, seed: u64) -> Box<dyn Brain> {
    Box::new(Bbr::new(sim.start(), PACKET as u16, seed))
}

fn rival(sim: &Sim, kind: &Rival) -> Box<dyn Brain> {
    match kind {
        Rival::Cubic => Box::new(Cubic::new()),
        Rival::BbrV1 => Box::new(BbrV1::new(sim.start())),
        Rival::Ours => ours(sim, 9),
    }
}

/// Our rate and the rival's, when we come `ours` and they `theirs` seconds after the beginning.
fn share(kind: &Rival, starts: (f64, f64)) -> (f64, f64, Sim) {
    let mut sim = Sim::new(Link::usual(), 1);
    let (mine, other) = (ours(&sim, 7), rival(&sim, kind));
    let a = sim.add(mine, App::Bulk, starts.0);
    let b = sim.add(other, App::Bulk, starts.1);
    sim.run_to(5.0);
    let _ = sim.queue();
    sim.run_to(20.0);
    (sim.mbit(a, 5.0, 20.0), sim.mbit(b, 5.0, 20.0), sim)
}

fn assert_fair(kind: &Rival, starts: (f64, f64), least: f64) {
    let (mine, theirs, _) = share(kind, starts);
    assert!(mine > least && theirs > least, "{mine} beside {theirs}");
    assert!(mine + theirs > 95.0, "{mine} and {theirs} leave much unused");
}

#[test]
fn beside_cubic_that_was_first() {
    assert_fair(&Rival::Cubic, (2.0, 0.0), 35.0);
}

#[test]
fn beside_cubic_that_comes_later() {
    assert_fair(&Rival::Cubic, (0.0, 2.0), 35.0);
}

#[test]
fn beside_bbr_that_was_first() {
    assert_fair(&Rival::BbrV1, (2.0, 0.0), 20.0);
}

#[test]
fn beside_bbr_that_comes_later() {
    assert_fair(&Rival::BbrV1, (0.0, 2.0), 20.0);
}

#[test]
fn beside_one_of_our_own() {
    assert_fair(&Rival::Ours, (0.0, 2.0), 35.0);
}

#[test]
fn two_of_our_own_do_not_fill_the_queue() {
    let (_, _, mut sim) = share(&Rival::Ours, (0.0, 2.0));
    let queue = sim.queue();
    assert!(queue < Duration::from_millis(36), "{queue:?}");
}

#[test]
fn a_queue_is_given_up_when_those_who_kept_it_are_gone() {
    let mut sim = Sim::new(Link::usual(), 1);
    let mine = ours(&sim, 7);
    let a = sim.add(mine, App::Bulk, 0.0);
    let b = sim.add(Box::new(Cubic::new()), App::Bulk, 0.5);
    sim.end(b, 6.0);
    sim.run_to(3.0);
    assert!(sim.queue() > Duration::from_millis(10), "there was one");
    sim.run_to(8.0);
    let _ = sim.queue();
    sim.run_to(10.0);
    let queue = sim.queue();
    assert!(queue < Duration::from_millis(8), "{queue:?}");
    assert!(sim.mbit(a, 8.0, 10.0) > 93.0);
}
