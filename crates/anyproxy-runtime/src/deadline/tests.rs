use std::future::{pending, ready};
use std::io;
use std::time::Duration;

use tokio::time::{Instant, advance, sleep};

use super::{Deadline, Elapsed};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_step_never_outlives_its_parent() {
    let parent = Deadline::after(30 * SECOND);
    advance(25 * SECOND).await;

    assert_eq!(parent.within(2 * SECOND).remaining(), 2 * SECOND);
    assert_eq!(parent.within(10 * SECOND).remaining(), 5 * SECOND);
    assert_eq!(parent.within(10 * SECOND), parent);
}

#[tokio::test(start_paused = true)]
async fn never_gives_way_to_any_limit() {
    let step = Deadline::never().within(SECOND);
    assert_eq!(step.remaining(), SECOND);
    assert_eq!(step.or_earlier(Deadline::never()), step);

    assert_eq!(Deadline::never().instant(), None);
    assert_eq!(Deadline::never().remaining(), Duration::MAX);
    assert!(!Deadline::never().is_over());
    assert_eq!(Deadline::after(Duration::MAX), Deadline::never());
}

#[tokio::test(start_paused = true)]
async fn it_is_over_exactly_at_its_instant() {
    let deadline = Deadline::after(SECOND);
    advance(Duration::from_millis(999)).await;
    assert!(!deadline.is_over());
    advance(Duration::from_millis(1)).await;
    assert!(deadline.is_over());
    assert_eq!(deadline.remaining(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn work_is_cut_exactly_at_the_deadline() {
    let start = Instant::now();
    let result = Deadline::after(30 * SECOND).bound(pending::<()>()).await;
    assert_eq!(result, Err(Elapsed));
    assert_eq!(start.elapsed(), 30 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn work_that_ends_in_time_succeeds() {
    let work = async {
        sleep(29 * SECOND).await;
        "done"
    };
    assert_eq!(Deadline::after(30 * SECOND).bound(work).await, Ok("done"));
    assert_eq!(Deadline::never().bound(ready(1)).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_result_in_hand_is_not_thrown_away() {
    let deadline = Deadline::after(SECOND);
    advance(2 * SECOND).await;
    assert_eq!(deadline.bound(ready(1)).await, Ok(1));
    assert_eq!(deadline.bound(pending::<()>()).await, Err(Elapsed));
}

#[tokio::test(start_paused = true)]
async fn passed_waits_until_the_instant() {
    let start = Instant::now();
    Deadline::at(start + SECOND).passed().await;
    assert_eq!(start.elapsed(), SECOND);

    let never = Deadline::after(SECOND).bound(Deadline::never().passed()).await;
    assert_eq!(never, Err(Elapsed));
}

#[test]
fn elapsed_is_a_time_out_for_io() {
    assert_eq!(io::Error::from(Elapsed).kind(), io::ErrorKind::TimedOut);
}

#[test]
fn never_needs_no_timer() {
    // A runtime without a clock: making a timer here panics.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(Deadline::never().bound(ready(1))), Ok(1));
}
