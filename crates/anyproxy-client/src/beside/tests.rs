use anyproxy_runtime::Deadline;

use super::*;

/// Something stays open.
struct Place {
    beside: Beside,
    opened: Arc<Notify>,
    connections: Scope,
}

fn place(most: usize) -> Place {
    let (opened, connections) = (Arc::new(Notify::new()), Scope::root("test"));
    let mut beside = Beside::new(most, Arc::clone(&opened), connections.clone());
    beside.moved(Some(Transport::WebSocket), 0);
    Place { beside, opened, connections }
}

impl Place {
    /// Something is opened, and stays.
    fn open(&self) {
        self.connections.spawn("connection", std::future::pending());
        self.opened.notify_one();
    }

    /// Whether one more is wanted a little later.
    async fn wanted(&mut self) -> bool {
        let next = Deadline::after(2 * SETTLES).bound(self.beside.next());
        matches!(next.await, Ok(Step::Wanted))
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_as_are_missing_are_wanted_when_something_stays_open() {
    let mut place = place(4);
    assert!(!place.wanted().await, "nothing was opened");
    place.opened.notify_one();
    assert!(!place.wanted().await, "it is over already");
    place.open();
    assert!(place.wanted().await);
    place.beside.attempt(Box::pin(pending()));
    place.open();
    assert!(!place.wanted().await, "one at a time");
    place.beside.attempts.clear();
    for live in [1, 2] {
        place.beside.came(live);
        assert!(place.wanted().await, "{live} are there");
    }
    place.beside.came(3);
    place.open();
    assert!(!place.wanted().await, "all are there");
}

/// Something on the way lets them up, and cuts them a moment later.
#[tokio::test(start_paused = true)]
async fn one_that_ends_soon_is_a_failure_and_one_that_is_not_needed_is_none() {
    let mut place = place(2);
    place.open();
    for (by_whom, is_failure) in [(CloseCode::Abandoned, true), (CloseCode::Shutdown, false)] {
        place.beside.not_before = Instant::now();
        place.beside.came(1);
        let error = TunnelError::Closed {
            by: anyproxy_transport::ClosedBy::Peer,
            code: by_whom,
            reason: String::new(),
        };
        place.beside.lost(Instant::now().into_std(), &error, 0);
        assert_eq!(place.beside.not_before > Instant::now(), is_failure, "{by_whom}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_opened_while_there_were_enough_asks_for_no_other() {
    let mut place = place(2);
    place.beside.came(1);
    place.open();
    let error = TunnelError::PeerDead;
    let long_ago = Instant::now().into_std() - 2 * GOOD;
    place.beside.lost(long_ago, &error, 0);
    assert!(!place.wanted().await);
    place.open();
    assert!(place.wanted().await);
}

#[tokio::test(start_paused = true)]
async fn none_is_wanted_beside_quic_nor_without_a_session() {
    let mut place = place(4);
    for transport in [Some(Transport::Quic), None] {
        place.beside.moved(transport, 0);
        place.open();
        assert!(!place.wanted().await);
    }
    place.beside.moved(Some(Transport::WebSocket), 0);
    assert!(place.wanted().await, "it is in use");
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_there_is_a_pause_that_grows() {
    let mut place = place(2);
    place.open();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        place.beside.attempt(Box::pin(async { Err(crate::ways::shut_down()) }));
        let began = Instant::now();
        while !place.wanted().await {
            place.opened.notify_one();
        }
        pauses.push(began.elapsed());
    }
    let sum = |some: &[Duration]| some.iter().sum::<Duration>();
    let (first, last) = (sum(&pauses[..3]), sum(&pauses[9..]));
    assert!(first < Duration::from_secs(91) && last > first, "{pauses:?}");
    let most = LONGEST_PAUSE + Duration::from_secs(2);
    assert!(pauses.iter().all(|pause| *pause <= most), "{pauses:?}");
}
