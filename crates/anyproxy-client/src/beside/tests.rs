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

    /// How many are wanted a little later.
    async fn wanted(&mut self) -> Option<usize> {
        match tokio::time::timeout(2 * SETTLES, self.beside.next()).await.ok()? {
            Step::Wanted(count) => Some(count),
            Step::Up(..) => None,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_as_are_missing_are_wanted_when_something_stays_open() {
    let mut place = place(4);
    assert_eq!(place.wanted().await, None, "nothing was opened");
    place.opened.notify_one();
    assert_eq!(place.wanted().await, None, "it is over already");
    place.open();
    assert_eq!(place.wanted().await, Some(3));
    place.beside.try_one(Box::pin(std::future::pending()));
    place.open();
    assert_eq!(place.wanted().await, Some(2));
    place.beside.came(2);
    place.open();
    assert_eq!(place.wanted().await, None, "one is under way, two are there");
}

#[tokio::test(start_paused = true)]
async fn what_was_opened_while_there_were_enough_asks_for_no_other() {
    let mut place = place(2);
    place.beside.came(1);
    place.open();
    place.beside.lost(0);
    assert_eq!(place.wanted().await, None);
    place.open();
    assert_eq!(place.wanted().await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn none_is_wanted_beside_quic_nor_without_a_session() {
    let mut place = place(4);
    for transport in [Some(Transport::Quic), None] {
        place.beside.moved(transport, 0);
        place.open();
        assert_eq!(place.wanted().await, None);
    }
    place.beside.moved(Some(Transport::WebSocket), 0);
    assert_eq!(place.wanted().await, Some(3), "it is in use");
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_there_is_a_pause_that_grows() {
    let mut place = place(2);
    place.open();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        place.beside.try_one(Box::pin(async { Err(crate::ways::shut_down()) }));
        let began = Instant::now();
        while place.wanted().await.is_none() {
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
