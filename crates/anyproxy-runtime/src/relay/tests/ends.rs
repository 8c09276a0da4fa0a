//! How directions end, and what that does to the other one.

use std::io::ErrorKind::{BrokenPipe, ConnectionReset, WriteZero};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::script::{In, Out, Script, bytes, end};
use crate::{Deadline, Elapsed, IoSide, Outcome, RelayTimeouts, relay};

const SECOND: Duration = Duration::from_secs(1);

async fn run(a: &mut Script, b: &mut Script) -> Outcome {
    let relayed = relay(a, b, RelayTimeouts::default());
    Deadline::after(1_000 * SECOND).bound(relayed).await.expect("the relay hangs")
}

fn ends(outcome: &Outcome) -> (String, String) {
    (end(&outcome.a_to_b), end(&outcome.b_to_a))
}

fn texts(one: &str, other: &str) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

fn moved(outcome: &Outcome) -> (u64, u64) {
    (outcome.a_to_b.bytes, outcome.b_to_a.bytes)
}

/// Conformance case 5: a request that ends early still gets its answer.
#[tokio::test(start_paused = true)]
async fn a_finishes_first_and_b_still_answers() {
    let mut a = Script::reads([bytes("question"), In::Eof]);
    let mut b = Script::reads([In::Rest(60 * SECOND), bytes("answer"), In::Eof]);
    let outcome = run(&mut a, &mut b).await;
    assert_eq!(ends(&outcome), texts("Finished", "Finished"));
    assert_eq!(moved(&outcome), (8, 6));
    assert_eq!((b.written.as_slice(), b.finished), (b"question".as_slice(), 1));
    assert_eq!((a.written.as_slice(), a.finished), (b"answer".as_slice(), 1));
}

#[tokio::test(start_paused = true)]
async fn b_finishes_first_and_a_goes_on() {
    let mut a = Script::reads([In::Rest(60 * SECOND), bytes("more"), In::Eof]);
    let mut b = Script::reads([bytes("hello"), In::Eof]);
    let outcome = run(&mut a, &mut b).await;
    assert_eq!(ends(&outcome), texts("Finished", "Finished"));
    assert_eq!(moved(&outcome), (4, 5));
    assert_eq!((a.finished, b.finished), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_half_close_is_passed_on_before_the_other_direction_ends() {
    let mut a = Script::reads([In::Eof]);
    let mut b = Script::default();
    let relayed = relay(&mut a, &mut b, RelayTimeouts::default());
    assert!(matches!(Deadline::after(SECOND).bound(relayed).await, Err(Elapsed)));
    assert_eq!((a.finished, b.finished), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_a_source_ends_the_relay() {
    let mut a = Script::reads([bytes("half"), In::Rest(SECOND), In::Error(ConnectionReset)]);
    let mut b = Script::default();
    let outcome = run(&mut a, &mut b).await;
    assert_eq!(ends(&outcome), texts("ReadFailed(ConnectionReset)", "Abandoned"));
    assert_eq!((b.written.as_slice(), b.finished), (b"half".as_slice(), 0));
    assert_eq!((a.finished, a.stopped.len(), b.stopped.len()), (0, 0, 0));

    let mut a = Script::default();
    let mut b = Script::reads([In::Blink, In::Error(ConnectionReset)]);
    let outcome = run(&mut a, &mut b).await;
    assert_eq!(ends(&outcome), texts("Abandoned", "ReadFailed(ConnectionReset)"));
}

#[tokio::test(start_paused = true)]
async fn a_direction_that_finished_keeps_its_end_when_the_other_breaks() {
    let mut a = Script::reads([bytes("all"), In::Eof]);
    let mut b = Script::reads([In::Rest(SECOND), In::Error(ConnectionReset)]);
    let outcome = run(&mut a, &mut b).await;
    assert_eq!(ends(&outcome), texts("Finished", "ReadFailed(ConnectionReset)"));
}

/// Conformance case 13.
#[tokio::test(start_paused = true)]
async fn bytes_read_together_with_an_error_are_delivered_and_flushed() {
    let mut a = Script::reads([bytes("last words"), In::Error(ConnectionReset)]);
    let mut b = Script::writes([Out::Take(4), Out::Rest(5 * SECOND), Out::Take(1), Out::Blink]);
    b.on_flush.push_back(Out::Rest(SECOND));
    let outcome = run(&mut a, &mut b).await;
    assert_eq!(ends(&outcome), texts("ReadFailed(ConnectionReset)", "Abandoned"));
    assert_eq!(moved(&outcome), (10, 0));
    assert_eq!((b.written.as_slice(), b.flushed), (b"last words".as_slice(), 10));
}

/// Conformance case 13.
#[tokio::test(start_paused = true)]
async fn bytes_read_together_with_eof_are_delivered_before_the_finish() {
    let mut a = Script::reads([bytes("last words"), In::Eof]);
    let mut b =
        Script::new([In::Eof], [Out::Take(4), Out::Rest(5 * SECOND), Out::Take(1), Out::Blink]);
    b.on_flush.extend([Out::Rest(SECOND), Out::Blink]);
    let outcome = run(&mut a, &mut b).await;
    assert_eq!(ends(&outcome), texts("Finished", "Finished"));
    assert_eq!((b.written.as_slice(), b.flushed), (b"last words".as_slice(), 10));
    assert_eq!(b.finished, 1);
}

#[tokio::test(start_paused = true)]
async fn a_failing_source_does_not_wait_for_the_other_direction() {
    let mut a = Script::reads([bytes("x"), In::Error(ConnectionReset)]);
    let mut b = Script::reads([In::Rest(2 * SECOND), bytes("late")]);
    b.on_flush.push_back(Out::Rest(5 * SECOND));
    let outcome = run(&mut a, &mut b).await;
    assert_eq!(ends(&outcome), texts("ReadFailed(ConnectionReset)", "Abandoned"));
    assert_eq!(moved(&outcome), (1, 0), "nothing is written to a side that broke");
}

#[tokio::test(start_paused = true)]
async fn a_write_error_ends_one_direction_and_keeps_the_other() {
    let mut a = Script::reads([bytes("upload"), bytes("more"), In::Eof]);
    let mut b = Script::new(
        [In::Rest(30 * SECOND), bytes("enough, here is your answer"), In::Eof],
        [Out::Take(3), Out::Error(BrokenPipe)],
    );
    let outcome = run(&mut a, &mut b).await;
    assert_eq!(ends(&outcome), texts("WriteFailed(BrokenPipe)", "Finished"));
    assert_eq!(moved(&outcome), (3, 27));
    assert_eq!(a.stopped, [BrokenPipe]);
    assert_eq!((b.stopped.len(), b.finished, a.finished), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failing_flush_or_finish_is_a_write_error() {
    let mut a = Script::reads([bytes("x")]);
    let mut b = Script::reads([In::Rest(SECOND), In::Eof]);
    b.on_flush.push_back(Out::Error(BrokenPipe));
    let outcome = run(&mut a, &mut b).await;
    assert_eq!(ends(&outcome), texts("WriteFailed(BrokenPipe)", "Finished"));
    assert_eq!(a.stopped, [BrokenPipe]);

    let mut a = Script::reads([In::Eof]);
    let mut b = Script::reads([In::Rest(SECOND), In::Eof]);
    b.on_flush.push_back(Out::Error(BrokenPipe));
    let outcome = run(&mut a, &mut b).await;
    assert_eq!(ends(&outcome), texts("WriteFailed(BrokenPipe)", "Finished"));
    assert!(a.stopped.is_empty(), "nothing is left to stop after EOF");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_takes_nothing_is_a_write_error() {
    let mut a = Script::reads([bytes("x")]);
    let mut b = Script::new([In::Eof], [Out::Take(0)]);
    let outcome = run(&mut a, &mut b).await;
    assert_eq!(ends(&outcome), texts("WriteFailed(WriteZero)", "Finished"));
    assert_eq!(a.stopped, [WriteZero]);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_relay_keeps_what_was_not_written() {
    let (near_a, mut far_a) = duplex(1_024);
    let (near_b, mut far_b) = duplex(4);
    let (mut a, mut b) = (IoSide::new(near_a), IoSide::new(near_b));
    far_a.write_all(b"0123456789").await.unwrap();
    let relayed = relay(&mut a, &mut b, RelayTimeouts::default());
    assert!(Deadline::after(SECOND).bound(relayed).await.is_err());

    let mut got = [0; 4];
    far_b.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"0123");
    assert_eq!(&*a.into_inner().1, b"456789");
    drop(b);
    assert_eq!(far_b.read(&mut got).await.unwrap(), 0, "and nothing came after it");
}

#[tokio::test(start_paused = true)]
async fn connections_are_relayed_whole_in_both_directions() {
    let (near_a, mut user) = duplex(100);
    let (near_b, mut target) = duplex(100);
    let (mut a, mut b) = (IoSide::new(near_a), IoSide::new(near_b));
    let talk = async {
        user.write_all(b"GET").await.unwrap();
        user.shutdown().await.unwrap();
        let mut answer = String::new();
        user.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let serve = async {
        let mut question = String::new();
        target.read_to_string(&mut question).await.unwrap();
        target.write_all("yes".repeat(1_000).as_bytes()).await.unwrap();
        target.shutdown().await.unwrap();
        question
    };
    let relayed = relay(&mut a, &mut b, RelayTimeouts::default());
    let (outcome, answer, question) = tokio::join!(relayed, talk, serve);
    assert_eq!(ends(&outcome), texts("Finished", "Finished"));
    assert_eq!(moved(&outcome), (3, 3_000));
    assert_eq!((question.as_str(), answer), ("GET", "yes".repeat(1_000)));
}
