//! One flow on paths that do not change.

use std::time::Duration;

use super::{link::Link, sim::Sim};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Mbit/s after the first second, and the mean wait.
fn measure(link: Link, seconds: f64) -> (f64, Duration, Sim) {
    let (mut sim, id) = Sim::ours(link, 1);
    sim.run_to(1.0);
    let _ = sim.queue();
    sim.run_to(seconds);
    (sim.mbit(id, 1.0, seconds), sim.queue(), sim)
}

#[test]
fn a_clean_link_is_full_and_its_queue_short() {
    let (mbit, queue, sim) = measure(Link::usual(), 6.0);
    assert!(mbit > 96.0, "{mbit}");
    assert!(queue < ms(8), "{queue:?}");
    assert!(sim.mbit(0, 0.5, 1.0) > 90.0, "found within half a second");
}

#[test]
fn random_loss_costs_what_it_takes_and_no_more() {
    for loss in [0.01, 0.03, 0.05, 0.1] {
        let (mbit, queue, _) = measure(Link { loss, ..Link::usual() }, 4.0);
        assert!(mbit > 97.0 * (1.0 - loss), "{loss}: {mbit}");
        assert!(queue < ms(10), "{loss}: {queue:?}");
    }
}

#[test]
fn slow_links_are_full() {
    for mbit in [0.1, 1.0] {
        let (got, _, sim) = measure(Link { mbit, queue: 50_000, ..Link::usual() }, 20.0);
        assert!(got > 0.93 * mbit, "{mbit}: {got}");
        assert!(sim.window(0) <= 16 * 1500, "{mbit}: {}", sim.window(0));
    }
}

#[test]
fn a_long_fast_path_is_full() {
    let link = Link { mbit: 1_000.0, rtt: ms(100), queue: 6_000_000, ..Link::usual() };
    let (mut sim, id) = Sim::ours(link, 1);
    sim.run_to(2.4);
    assert!(sim.mbit(id, 1.9, 2.4) > 900.0, "{}", sim.mbit(id, 1.9, 2.4));
}

#[test]
fn a_short_path_is_full() {
    let (mbit, queue, _) =
        measure(Link { mbit: 200.0, rtt: Duration::from_micros(100), ..Link::usual() }, 3.0);
    assert!(mbit > 190.0, "{mbit}");
    assert!(queue < ms(3), "{queue:?}");
}

#[test]
fn jitter_and_lumps_of_acknowledgements_do_not_slow_it() {
    let (mbit, ..) = measure(Link { jitter: ms(10), ..Link::usual() }, 5.0);
    assert!(mbit > 93.0, "jitter: {mbit}");
    let (mbit, queue, _) = measure(Link { lumps: ms(10), ..Link::usual() }, 5.0);
    assert!(mbit > 93.0, "lumps: {mbit}");
    assert!(queue < ms(20), "lumps: {queue:?}");
}

#[test]
fn a_queue_too_short_to_show_is_noticed_by_its_losses() {
    let (mut sim, id) = Sim::ours(Link { queue: 20_000, ..Link::usual() }, 1);
    sim.run_to(1.0);
    let before = sim.bottleneck.overflowed;
    sim.run_to(6.0);
    let dropped = sim.bottleneck.overflowed - before;
    let mbit = sim.mbit(id, 1.0, 6.0);
    assert!(mbit > 90.0, "{mbit}");
    let share = dropped as f64 / (dropped as f64 + mbit * 1e6 * 5.0 / 12_000.0);
    assert!(share < 0.04, "{share}");
}
