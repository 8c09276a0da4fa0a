#![allow(clippy::disallowed_methods, reason = "tasks end with the test's runtime")]

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::AtomicUsize,
    task::Poll,
    time::Duration,
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn run(shaper: &Arc<Shaper>) {
    tokio::spawn(Arc::clone(shaper).run());
}

/// Moves chunks of `chunk` bytes for `time`; says how many bytes passed.
async fn pump(meter: &Arc<Meter>, chunk: usize, time: Duration) -> usize {
    let mut line = Line::new(Arc::clone(meter));
    let mut moved = 0;
    let pumping = async {
        loop {
            let mut left = chunk;
            while left > 0 {
                let allowed = poll_fn(|cx| line.poll_take(cx, left)).await.min(left);
                line.used(allowed);
                moved += allowed;
                left -= allowed;
            }
        }
    };
    let _: Result<(), _> = crate::Deadline::after(time).bound(pumping).await;
    moved
}

/// Lets connections of each meter pump at once; gives each one's bytes.
async fn together(pumps: &[(&Arc<Meter>, usize)], time: Duration) -> Vec<usize> {
    let pumps = pumps.iter().map(|(meter, chunk)| {
        let (meter, chunk) = (Arc::clone(meter), *chunk);
        tokio::spawn(async move { pump(&meter, chunk, time).await })
    });
    let mut moved = Vec::new();
    for pump in pumps.collect::<Vec<_>>() {
        moved.push(pump.await.unwrap());
    }
    moved
}

fn within(share: usize, of: f64, tolerance: f64, what: &str) {
    let ratio = share as f64 / of;
    assert!((ratio - 1.0).abs() <= tolerance, "{what}: {share} instead of {of}, {ratio:.3}");
}

/// Empties the burst.
async fn drain(meter: &Arc<Meter>) {
    pump(meter, 1000, Duration::from_millis(500)).await;
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_held_whether_low_or_high_and_however_large_the_chunks() {
    for rate in [1_000, 50_000, 1_000_000, 30_000_000, 500_000_000] {
        for chunk in [100, 1_400, 16_384, 65_536] {
            let shaper = Shaper::new(None);
            run(&shaper);
            let meter = shaper.meter(Some(rate));
            drain(&meter).await;
            // Long enough for many grants.
            let time = if rate < 100_000 { 100 } else { 1 };
            let moved = pump(&meter, chunk, time * SECOND).await;
            let due = (rate * u64::from(time)) as f64;
            within(moved, due, 0.05, &format!("rate {rate}, chunk {chunk}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_at_once_and_no_more_than_that() {
    for (rate, burst) in [(1_000, 64 * 1024), (100_000_000, 10_000_000)] {
        let shaper = Shaper::new(None);
        run(&shaper);
        let meter = shaper.meter(Some(rate));
        assert_eq!(pump(&meter, 4096, Duration::from_nanos(1)).await, burst, "rate {rate}");
        tokio::time::sleep(200 * SECOND).await;
        assert_eq!(pump(&meter, 4096, Duration::from_nanos(1)).await, burst, "rate {rate}");
    }
}

#[tokio::test(start_paused = true)]
async fn connections_of_a_group_share_alike_whatever_their_chunks() {
    let shaper = Shaper::new(None);
    run(&shaper);
    let meter = shaper.meter(Some(2_000_000));
    drain(&meter).await;
    let mut pumps = vec![(&meter, 65_536); 49];
    pumps.push((&meter, 16_384));
    let moved = together(&pumps, 60 * SECOND).await;
    for share in &moved {
        within(*share, 2_000_000.0 * 60.0 / 50.0, 0.05, "a connection's share");
    }
    within(moved.iter().sum(), 120_000_000.0, 0.05, "all");
}

#[tokio::test(start_paused = true)]
async fn a_small_exchange_does_not_wait_for_bulk() {
    let shaper = Shaper::new(None);
    run(&shaper);
    let meter = shaper.meter(Some(10_000_000));
    let bulk = vec![(&meter, 65_536); 100];
    let small = async {
        tokio::time::sleep(SECOND).await;
        for _ in 0..20 {
            let mut line = Line::new(Arc::clone(&meter));
            let began = Instant::now();
            let allowed = poll_fn(|cx| line.poll_take(cx, 500)).await;
            assert!(allowed >= 500, "{allowed}");
            // Each of a hundred has one quantum of 16 KiB before it, at most.
            let turn = Duration::from_millis(100 * 16_384 / 10_000 + 2);
            assert!(began.elapsed() <= turn, "{:?}", began.elapsed());
            line.used(500);
        }
    };
    tokio::join!(together(&bulk, 10 * SECOND), small);
}

#[tokio::test(start_paused = true)]
async fn groups_share_the_total_alike_however_many_connections_they_have() {
    for total in [100_000_u64, 10_000_000, 1_000_000_000] {
        for chunk in [500, 65_536] {
            let shaper = Shaper::new(Some(total));
            run(&shaper);
            let (one, many) = (shaper.meter(None), shaper.meter(None));
            drain(&many).await;
            let time = if total < 1_000_000 { 60 } else { 3 };
            let mut pumps = vec![(&one, chunk)];
            pumps.extend(vec![(&many, 65_536); 20]);
            let moved = together(&pumps, time * SECOND).await;
            let half = (total * u64::from(time)) as f64 / 2.0;
            within(moved[0], half, 0.05, &format!("one connection of {total}, chunk {chunk}"));
            within(moved[1..].iter().sum(), half, 0.05, &format!("the other group of {total}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_group_may_not_use_of_the_total_the_others_get() {
    let shaper = Shaper::new(Some(1_000_000));
    run(&shaper);
    let (slow, fast) = (shaper.meter(Some(100_000)), shaper.meter(None));
    drain(&fast).await;
    drain(&slow).await;
    let moved = together(&[(&slow, 65_536), (&fast, 65_536)], 60 * SECOND).await;
    within(moved[0], 6_000_000.0, 0.05, "the slow group");
    within(moved[1], 54_000_000.0, 0.05, "the fast group");
}

#[tokio::test(start_paused = true)]
async fn a_group_at_its_limit_does_not_disturb_another() {
    let shaper = Shaper::new(None);
    run(&shaper);
    let (full, calm) = (shaper.meter(Some(100_000)), shaper.meter(Some(1_000_000)));
    let free = shaper.meter(None);
    let bulk = vec![(&full, 65_536); 10];
    let others = async {
        for _ in 0..50 {
            tokio::time::sleep(SECOND / 10).await;
            let began = Instant::now();
            for meter in [&calm, &free] {
                let mut line = Line::new(Arc::clone(meter));
                assert!(poll_fn(|cx| line.poll_take(cx, 50_000)).await >= 50_000);
                line.used(50_000);
            }
            assert_eq!(began.elapsed(), Duration::ZERO);
        }
    };
    tokio::join!(together(&bulk, 10 * SECOND), others);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_rate_reaches_those_who_wait() {
    let shaper = Shaper::new(None);
    run(&shaper);
    let meter = shaper.meter(Some(1_000));
    drain(&meter).await;
    let mut line = Line::new(Arc::clone(&meter));
    let began = Instant::now();
    let waiting = poll_fn(|cx| line.poll_take(cx, 60_000));
    let change = async {
        tokio::time::sleep(SECOND / 100).await;
        meter.set_rate(Some(1_000_000));
    };
    tokio::join!(waiting, change);
    assert!(began.elapsed() < SECOND / 20, "{:?}", began.elapsed());
    drop(line);
    for (rate, tolerance) in [(1_000_000, 0.05), (200_000, 0.05), (5_000_000, 0.05)] {
        meter.set_rate(Some(rate));
        drain(&meter).await;
        let moved = pump(&meter, 16_384, 10 * SECOND).await;
        within(moved, 10.0 * rate as f64, tolerance, "after the change");
    }
    let mut line = Line::new(Arc::clone(&meter));
    drain(&meter).await;
    let waiting = poll_fn(|cx| line.poll_take(cx, 60_000));
    let began = Instant::now();
    let (allowed, ()) = tokio::join!(waiting, async { meter.set_rate(None) });
    assert!(allowed > 0 && began.elapsed() <= SECOND / 100, "{:?}", began.elapsed());
    assert!(!meter.is_limited());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_gives_everything_back_and_holds_nobody_up() {
    let shaper = Shaper::new(None);
    run(&shaper);
    let meter = shaper.meter(Some(1_000));
    let mut line = Line::new(Arc::clone(&meter));
    assert_eq!(poll_fn(|cx| line.poll_take(cx, 60_000)).await, 60_000);
    line.used(10_000);
    drop(line);
    assert_eq!(pump(&meter, 1000, Duration::from_nanos(1)).await, 55_536);
    // Ten that wait, and leave before their turn.
    let mut lines = (0..10).map(|_| Line::new(Arc::clone(&meter))).collect::<Vec<_>>();
    for line in &mut lines {
        assert!(poll_fn(|cx| Poll::Ready(line.poll_take(cx, 60_000).is_pending())).await);
    }
    drop(lines);
    let mut line = Line::new(Arc::clone(&meter));
    let began = Instant::now();
    poll_fn(|cx| line.poll_take(cx, 500)).await;
    assert!(began.elapsed() <= SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn datagrams_over_the_rate_are_counted_and_bulk_leaves_them_a_share() {
    let shaper = Shaper::new(None);
    run(&shaper);
    let meter = shaper.meter(Some(1_000_000));
    drain(&meter).await;
    // 2 MB a second of datagrams, alone and beside one connection that never rests.
    let datagrams = |time: u32| {
        let meter = Arc::clone(&meter);
        async move {
            let mut passed = 0;
            for _ in 0..2000 * time {
                tokio::time::sleep(SECOND / 1000).await;
                passed += usize::from(meter.try_take(1000)) * 1000;
                passed += usize::from(meter.try_take(1000)) * 1000;
            }
            passed / 2
        }
    };
    let alone = datagrams(10).await;
    within(alone, 10_000_000.0, 0.05, "datagrams alone");
    assert_eq!(meter.dropped() as usize, 40_000 - 2 * alone / 1000);
    let began = Instant::now();
    let (moved, passed) = tokio::join!(pump(&meter, 65_536, 20 * SECOND), datagrams(10));
    assert!(began.elapsed() <= 21 * SECOND);
    within(2 * passed, 10_000_000.0, 0.15, "datagrams beside bulk");
    within(moved + 2 * passed, 20_000_000.0, 0.05, "both");
}

#[tokio::test(start_paused = true)]
async fn the_clock_is_not_polled() {
    let shaper = Shaper::new(Some(10_000_000));
    let meter = shaper.meter(Some(1_000_000));
    let polls = Arc::new(AtomicUsize::new(0));
    let (serving, counted) = (Arc::clone(&shaper).run(), Arc::clone(&polls));
    tokio::spawn(async move {
        let mut serving = pin!(serving);
        poll_fn(|cx| {
            counted.fetch_add(1, Ordering::Relaxed);
            serving.as_mut().poll(cx)
        })
        .await;
    });
    together(&vec![(&meter, 65_536); 100], 10 * SECOND).await;
    // One quantum is 10 ms of the rate: a timer and a wake-up for each, at most.
    let busy = polls.swap(0, Ordering::Relaxed);
    assert!(busy <= 2 * 10 * 100 + 200, "{busy} polls");
    tokio::time::sleep(1000 * SECOND).await;
    assert!(polls.load(Ordering::Relaxed) <= 1, "it sleeps while nobody waits");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_waits_is_held_up_and_one_that_was_granted_is_not() {
    let shaper = Shaper::new(None);
    run(&shaper);
    let meter = shaper.meter(Some(1_000));
    drain(&meter).await;
    let mut line = Line::new(Arc::clone(&meter));
    let watch = line.watch();
    assert!(poll_fn(|cx| Poll::Ready(line.poll_take(cx, 512).is_pending())).await);
    assert_eq!(watch.unhindered(), Duration::ZERO);
    poll_fn(|cx| line.poll_take(cx, 512)).await;
    tokio::time::sleep(60 * SECOND).await;
    assert!(watch.unhindered() >= 59 * SECOND, "whoever rests on a grant does so by itself");
}
