//! Rests and timeouts, on virtual time.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::{Instant, sleep};

use super::script::{In, Out, Script, bytes, end};
use crate::relay::clock::Clock;
use crate::{Deadline, Elapsed, IoSide, Outcome, RelayTimeouts, relay};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

const IDLE: RelayTimeouts = RelayTimeouts { idle: Some(MINUTE), stall: None };
const STALL: RelayTimeouts = RelayTimeouts { idle: None, stall: Some(Duration::from_secs(30)) };
const BOTH: RelayTimeouts = RelayTimeouts { idle: IDLE.idle, stall: STALL.stall };

async fn timed(a: &mut Script, b: &mut Script, timeouts: RelayTimeouts) -> (String, Duration) {
    let start = Instant::now();
    let relayed = relay(a, b, timeouts);
    let Outcome { a_to_b, b_to_a } =
        Deadline::after(1_000 * MINUTE).bound(relayed).await.expect("the relay hangs");
    (format!("{} {}", end(&a_to_b), end(&b_to_a)), start.elapsed())
}

/// A download of 1 MiB whose reader takes 1 KiB, rests, and then takes the remainder.
async fn download_with_a_rest_of(rest: Duration) {
    let sent: Vec<u8> = (0..1_048_576_u32).map(|n| (n % 251) as u8).collect();
    let (near_user, mut user) = duplex(1_024);
    let (near_target, mut target) = duplex(1_024);
    let (mut a, mut b) = (IoSide::new(near_user), IoSide::new(near_target));
    let serve = async {
        target.write_all(&sent).await.unwrap();
        target.shutdown().await.unwrap();
    };
    let read = async {
        let mut got = vec![0; 1_024];
        user.read_exact(&mut got).await.unwrap();
        sleep(rest).await;
        user.read_to_end(&mut got).await.unwrap();
        user.shutdown().await.unwrap();
        got
    };
    let start = Instant::now();
    let relayed = relay(&mut a, &mut b, RelayTimeouts::default());
    let (outcome, (), got) = tokio::join!(relayed, serve, read);
    assert!(got == sent, "the bytes differ");
    assert_eq!(end(&outcome.b_to_a), "Finished");
    assert_eq!(start.elapsed(), rest);
}

/// Conformance case 2.
#[tokio::test(start_paused = true)]
async fn a_reader_that_rests_for_a_minute_gets_every_byte() {
    download_with_a_rest_of(MINUTE).await;
}

/// Conformance case 7.
#[tokio::test(start_paused = true)]
async fn a_reader_that_rests_for_31_minutes_gets_every_byte() {
    download_with_a_rest_of(31 * MINUTE).await;
}

/// Conformance case 7.
#[tokio::test(start_paused = true)]
async fn a_silent_connection_lives_for_days() {
    let mut a = Script::reads([In::Rest(3 * 1_440 * MINUTE), bytes("back"), In::Eof]);
    let mut b = Script::reads([In::Eof]);
    let relayed = relay(&mut a, &mut b, RelayTimeouts::default());
    let outcome = relayed.await;
    assert_eq!((end(&outcome.a_to_b).as_str(), outcome.a_to_b.bytes), ("Finished", 4));
}

#[tokio::test(start_paused = true)]
async fn an_idle_relay_ends_exactly_in_time() {
    let (mut a, mut b) = (Script::default(), Script::default());
    assert_eq!(timed(&mut a, &mut b, IDLE).await, ("Idle Idle".into(), MINUTE));
}

#[tokio::test(start_paused = true)]
async fn a_byte_in_either_direction_starts_idleness_anew() {
    let mut a = Script::reads([In::Rest(50 * SECOND), bytes("x")]);
    let mut b = Script::reads([In::Rest(100 * SECOND), bytes("y")]);
    assert_eq!(timed(&mut a, &mut b, BOTH).await, ("Idle Idle".into(), 160 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_finished_direction_is_not_blamed_for_idleness() {
    let mut a = Script::reads([In::Rest(20 * SECOND), In::Eof]);
    let mut b = Script::default();
    assert_eq!(timed(&mut a, &mut b, IDLE).await, ("Finished Idle".into(), 80 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_resting_sink_is_not_idle() {
    let mut a = Script::writes([Out::Rest(31 * MINUTE)]);
    let mut b = Script::reads([bytes("x")]);
    let end = timed(&mut a, &mut b, IDLE).await;
    assert_eq!(end, ("Idle Idle".into(), 32 * MINUTE));
    assert_eq!(a.written, b"x");
}

#[tokio::test(start_paused = true)]
async fn idleness_starts_when_the_last_byte_was_flushed() {
    let mut a = Script::reads([bytes("x")]);
    let mut b = Script::default();
    b.on_flush.push_back(Out::Rest(40 * SECOND));
    assert_eq!(timed(&mut a, &mut b, IDLE).await, ("Idle Idle".into(), 100 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_sink_ends_exactly_in_time() {
    let mut a = Script::reads([In::Rest(7 * SECOND), bytes("xy")]);
    let mut b = Script::writes([Out::Take(1), Out::Rest(MINUTE)]);
    let end = timed(&mut a, &mut b, STALL).await;
    assert_eq!(end, ("Stalled Abandoned".into(), 37 * SECOND));

    let mut a = Script::writes([Out::Rest(MINUTE)]);
    let mut b = Script::reads([In::Rest(7 * SECOND), bytes("x")]);
    let end = timed(&mut a, &mut b, BOTH).await;
    assert_eq!(end, ("Abandoned Stalled".into(), 37 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn each_byte_taken_starts_the_stall_anew() {
    let steps = (0..10).flat_map(|_| [Out::Rest(29 * SECOND), Out::Take(1)]);
    let mut a = Script::reads([bytes("0123456789"), In::Eof]);
    let mut b = Script::new([In::Eof], steps);
    let end = timed(&mut a, &mut b, STALL).await;
    assert_eq!(end, ("Finished Finished".into(), 290 * SECOND));
    assert_eq!(b.written, b"0123456789");
}

#[tokio::test(start_paused = true)]
async fn progress_of_one_direction_does_not_excuse_the_other() {
    let chat = (0..100).flat_map(|_| [In::Rest(SECOND), bytes("x")]);
    let mut a = Script::new([bytes("y")], []);
    let mut b = Script::new(chat, [Out::Rest(MINUTE)]);
    let end = timed(&mut a, &mut b, STALL).await;
    assert_eq!(end, ("Stalled Abandoned".into(), 30 * SECOND));
    assert!(a.written.len() >= 29);
}

#[tokio::test(start_paused = true)]
async fn a_flush_or_a_finish_can_stall() {
    let mut a = Script::reads([In::Rest(SECOND), bytes("x")]);
    let mut b = Script::default();
    b.on_flush.push_back(Out::Rest(MINUTE));
    let end = timed(&mut a, &mut b, STALL).await;
    assert_eq!(end, ("Stalled Abandoned".into(), 31 * SECOND));

    let mut a = Script::reads([In::Rest(SECOND), In::Eof]);
    let mut b = Script::default();
    b.on_flush.push_back(Out::Rest(MINUTE));
    let end = timed(&mut a, &mut b, STALL).await;
    assert_eq!(end, ("Stalled Abandoned".into(), 31 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_stall_after_a_reset_reports_the_reset() {
    let mut a = Script::reads([bytes("x"), In::Error(std::io::ErrorKind::ConnectionReset)]);
    let mut b = Script::default();
    b.on_flush.push_back(Out::Rest(MINUTE));
    let end = timed(&mut a, &mut b, STALL).await;
    assert_eq!(end, ("ReadFailed(ConnectionReset) Abandoned".into(), 30 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_stall_limit_does_not_wait_for_the_idle_timer() {
    // The timer is set for the idle limit first, and has to be drawn forward.
    let mut a = Script::reads([In::Rest(SECOND), bytes("x")]);
    let mut b = Script::writes([Out::Rest(MINUTE)]);
    let timeouts = RelayTimeouts { idle: Some(MINUTE), stall: Some(2 * SECOND) };
    let end = timed(&mut a, &mut b, timeouts).await;
    assert_eq!(end, ("Stalled Abandoned".into(), 3 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn limits_beyond_the_clock_are_none() {
    let (mut a, mut b) = (Script::default(), Script::default());
    let never = Some(Duration::MAX);
    let relayed = relay(&mut a, &mut b, RelayTimeouts { idle: never, stall: never });
    assert!(matches!(Deadline::after(MINUTE).bound(relayed).await, Err(Elapsed)));
}

#[test]
fn a_relay_without_timeouts_makes_no_timer() {
    assert!(Clock::new(RelayTimeouts::default()).is_none());
    // A runtime without a clock: making a timer in it panics.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let relay_once = |timeouts: RelayTimeouts| {
        let mut a = Script::reads([In::Blink, bytes("x"), In::Blink, In::Eof]);
        let mut b = Script::new([In::Blink, In::Eof], [Out::Blink, Out::Take(1)]);
        runtime.block_on(relay(&mut a, &mut b, timeouts)).a_to_b.bytes
    };
    assert_eq!(relay_once(RelayTimeouts::default()), 1);
    let with_timer = std::panic::AssertUnwindSafe(|| relay_once(IDLE));
    assert!(std::panic::catch_unwind(with_timer).is_err(), "this runtime has a clock after all");
}
