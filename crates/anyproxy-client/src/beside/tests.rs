use futures_util::FutureExt as _;

use super::*;

fn beside(most: usize) -> (Beside, Arc<Notify>) {
    let opened = Arc::new(Notify::new());
    let mut beside = Beside::new(most, Arc::clone(&opened));
    beside.moved(Some(Transport::WebSocket), 0);
    (beside, opened)
}

fn wanted(beside: &mut Beside) -> Option<usize> {
    match beside.next().now_or_never()? {
        Step::Wanted(count) => Some(count),
        Step::Up(..) => None,
    }
}

fn fail(beside: &mut Beside) {
    beside.try_one(Box::pin(async { Err(crate::ways::shut_down()) }));
    assert_eq!(wanted(beside), None);
}

#[tokio::test]
async fn as_many_as_are_missing_are_wanted_when_something_is_opened() {
    let (mut beside, opened) = beside(4);
    assert_eq!(wanted(&mut beside), None, "nothing was opened");
    opened.notify_one();
    assert_eq!(wanted(&mut beside), Some(3));
    beside.try_one(Box::pin(std::future::pending()));
    opened.notify_one();
    assert_eq!(wanted(&mut beside), Some(2));
    beside.came(2);
    opened.notify_one();
    assert_eq!(wanted(&mut beside), None, "one is under way, two are there");
}

#[tokio::test]
async fn what_was_opened_while_there_were_enough_asks_for_no_other() {
    let (mut beside, opened) = beside(2);
    beside.came(1);
    opened.notify_one();
    beside.lost(0);
    assert_eq!(wanted(&mut beside), None);
    opened.notify_one();
    assert_eq!(wanted(&mut beside), Some(1));
}

#[tokio::test]
async fn none_is_wanted_beside_quic_nor_without_a_session() {
    let (mut beside, opened) = beside(4);
    for transport in [Some(Transport::Quic), None] {
        beside.moved(transport, 0);
        opened.notify_one();
        assert_eq!(wanted(&mut beside), None);
    }
    beside.moved(Some(Transport::WebSocket), 0);
    assert_eq!(wanted(&mut beside), Some(3), "it is in use");
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_there_is_a_pause_that_grows() {
    let (mut beside, opened) = beside(2);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        fail(&mut beside);
        let began = Instant::now();
        while wanted(&mut beside).is_none() {
            opened.notify_one();
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        pauses.push(began.elapsed());
    }
    let (first, last) =
        (pauses[..3].iter().sum::<Duration>(), pauses[9..].iter().sum::<Duration>());
    assert!(first < Duration::from_secs(91) && last > first, "{pauses:?}");
    assert!(
        pauses.iter().all(|pause| *pause <= LONGEST_PAUSE + Duration::from_secs(1)),
        "{pauses:?}"
    );
}
