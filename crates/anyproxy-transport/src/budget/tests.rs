use std::{
    pin::pin,
    task::{Context, Waker},
};

use anyproxy_wire::credit::Taken;

use super::*;

#[tokio::test(start_paused = true)]
async fn idle_streams_cost_nothing_and_stalled_ones_what_may_come() {
    let budget = StallBudget::new(1000);
    let a = budget.charge(400);
    let b = budget.charge(400);
    assert_eq!(budget.admit(400), Admission::Overloaded);
    a.waiting();
    assert_eq!(budget.charged(), 400);
    assert_eq!(budget.admit(400), Admission::Granted);
    a.holding(300, 700);
    assert_eq!(budget.charged(), 1100);
    drop((a, b));
    assert_eq!(budget.charged(), 0);
}

#[tokio::test(start_paused = true)]
async fn windows_grow_into_what_stalled_streams_leave() {
    let budget = StallBudget::new(1000);
    let stalled = budget.charge(800);
    assert_eq!(budget.pool().take(201), Taken::Nothing);
    assert_eq!(budget.pool().take(200), Taken::All);
    assert_eq!(budget.admit(1), Admission::Overloaded);
    drop(stalled);
    assert_eq!(budget.charged(), 200);
    assert_eq!(budget.pool().take(51), Taken::Nothing, "never more than a quarter");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_waits_for_bandwidth_is_not_evicted_and_one_that_rests_on_a_grant_is() {
    let budget = StallBudget::new(500);
    let shaper = anyproxy_runtime::Shaper::new(None);
    let mut line = anyproxy_runtime::Line::new(shaper.meter(Some(1)));
    let charge = budget.charge(500);
    charge.paced(line.watch());
    let mut take = |want| line.poll_take(&mut Context::from_waker(Waker::noop()), want);
    assert!(take(1 << 16).is_ready(), "a burst");
    tokio::time::advance(EVICT_AFTER / 2).await;
    line.used(1 << 16);
    assert!(line.poll_take(&mut Context::from_waker(Waker::noop()), 1).is_pending());
    tokio::time::advance(10 * EVICT_AFTER).await;
    assert_eq!(budget.admit(1), Admission::Overloaded);
    let eviction = charge.eviction();
    let evicted = || pin!(eviction.wait()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(evicted().is_pending(), "it waits for bandwidth");
    line.release();
    assert_eq!(budget.admit(1), Admission::Overloaded);
    assert!(evicted().is_ready(), "it rests by itself");
}

#[tokio::test(start_paused = true)]
async fn only_the_longest_stalled_is_evicted_and_not_before_its_time() {
    let budget = StallBudget::new(500);
    let old = budget.charge(300);
    tokio::time::advance(Duration::from_secs(10)).await;
    let young = budget.charge(300);
    tokio::time::advance(Duration::from_millis(19_999)).await;
    assert_eq!(budget.admit(1), Admission::Overloaded);
    let (old_eviction, young_eviction) = (old.eviction(), young.eviction());
    tokio::select! {
        biased;
        () = old_eviction.wait() => panic!("evicted before its time"),
        () = std::future::ready(()) => {}
    }
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(budget.admit(1), Admission::Overloaded);
    tokio::select! {
        biased;
        () = young_eviction.wait() => panic!("the younger one was evicted"),
        () = old_eviction.wait() => {}
    }
}
