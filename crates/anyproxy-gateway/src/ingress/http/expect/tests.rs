use std::future::poll_fn;

use anyproxy_runtime::Deadline;
use http::HeaderValue;
use tokio::time::Instant;

use super::*;

/// What becomes of the body, and after how long; `None` when nothing does within a minute.
async fn outcome(mut held: Held) -> (Option<Result<(), Unwanted>>, Duration) {
    let began = Instant::now();
    let body = poll_fn(|cx| held.poll(cx));
    (Deadline::after(Duration::from_secs(60)).bound(body).await.ok(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_body_goes_when_it_is_asked_for_or_after_a_second() {
    let asked = Hold::default();
    assert!(asked.release());
    assert!(!asked.release(), "only once");
    assert!(asked.answered().is_none());
    assert_eq!(outcome(Held::new(asked)).await, (Some(Ok(())), Duration::ZERO));
    assert_eq!(outcome(Held::new(Hold::default())).await, (Some(Ok(())), PATIENCE));
    let late = Hold::default();
    let asking = async {
        tokio::time::sleep(PATIENCE / 2).await;
        late.release();
    };
    let (got, ()) = tokio::join!(outcome(Held::new(late.clone())), asking);
    assert_eq!(got, (Some(Ok(())), PATIENCE / 2));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_wanted_waits_until_the_answer_is_complete() {
    let hold = Hold::default();
    let answering = async {
        tokio::time::sleep(PATIENCE / 2).await;
        let unasked = hold.answered().unwrap();
        assert!(!hold.release(), "the answer stands");
        tokio::time::sleep(PATIENCE * 10).await;
        drop(unasked);
    };
    let (got, ()) = tokio::join!(outcome(Held::new(hold.clone())), answering);
    assert_eq!(got, (Some(Err(Unwanted)), PATIENCE / 2 + PATIENCE * 10));
}

#[test]
fn only_100_continue_is_an_expectation() {
    for (value, expected) in [("100-continue", true), ("100-Continue", true), ("200-ok", false)] {
        let headers = HeaderMap::from_iter([(EXPECT, HeaderValue::from_static(value))]);
        assert_eq!(is_expected(&headers), expected);
    }
}
