use super::*;

fn push(inboxes: &Inboxes, flow: u64, size: usize) {
    if let Some(reader) = inboxes.push(flow, &vec![0; size]) {
        reader.wake();
    }
}

fn count(inbox: &Inbox) -> usize {
    std::iter::from_fn(|| inbox.take()).count()
}

fn early(inboxes: &Inboxes) -> (usize, usize) {
    let state = lock(&inboxes.state);
    (state.early.len(), state.early_bytes)
}

#[tokio::test(start_paused = true)]
async fn ids_that_never_open_hold_little_and_keep_no_other_out() {
    let inboxes = Inboxes::default();
    for flow in 0..1000 {
        (0..20).for_each(|_| push(&inboxes, flow, 10));
    }
    assert_eq!(early(&inboxes).0, EARLY_TUNNEL);
    assert_eq!(inboxes.dropped(), 20_000 - EARLY_TUNNEL as u64);
    push(&inboxes, 5000, 10);
    assert_eq!(count(&inboxes.join(5000)), 1, "the oldest gives way");
    tokio::time::advance(EARLY_AGE).await;
    push(&inboxes, 7000, 10);
    assert_eq!(early(&inboxes), (1, cost(&[0; 10])), "the old ones are gone");
    assert_eq!(inboxes.dropped(), 20_000);
}

#[tokio::test(start_paused = true)]
async fn early_datagrams_are_bounded_in_bytes_too() {
    let inboxes = Inboxes::default();
    (0..64).for_each(|flow| push(&inboxes, flow, MAX_DATAGRAM));
    assert_eq!(early(&inboxes), (4, EARLY_BYTES));
    assert_eq!(count(&inboxes.join(63)), 1);
    inboxes.forget(62);
    inboxes.forget(61);
    inboxes.forget(60);
    assert_eq!(early(&inboxes), (0, 0));
    assert_eq!(inboxes.dropped(), 63);
}

#[tokio::test(start_paused = true)]
async fn what_comes_late_for_an_ended_flow_does_not_wait() {
    let inboxes = Inboxes::default();
    let inbox = inboxes.join(1);
    (0..3).for_each(|_| push(&inboxes, 1, 10));
    assert!(inbox.take().is_some());
    inboxes.leave(1);
    assert_eq!(inboxes.dropped(), 2, "what nobody took");
    push(&inboxes, 1, 10);
    assert_eq!((early(&inboxes).0, inboxes.dropped()), (0, 3));
    assert_eq!(inboxes.totals.bytes.load(Ordering::Relaxed), 0);
    for flow in 2..1000 {
        inboxes.join(flow);
        inboxes.leave(flow);
    }
    assert_eq!(lock(&inboxes.state).ended.len(), REMEMBERED);
    assert!(lock(&inboxes.state).flows.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_bounded_in_datagrams_and_in_bytes() {
    let inboxes = Inboxes::default();
    let (small, large) = (inboxes.join(1), inboxes.join(3));
    (0..1000).for_each(|_| push(&inboxes, 1, 0));
    (0..1000).for_each(|_| push(&inboxes, 3, MAX_DATAGRAM));
    assert_eq!(small.dropped(), 1000 - FLOW_DATAGRAMS as u64);
    assert_eq!(large.dropped(), 996);
    assert_eq!((count(&small), count(&large)), (FLOW_DATAGRAMS, 4));
    push(&inboxes, 3, 1);
    assert_eq!(count(&large), 1, "there is room again");
}

#[tokio::test(start_paused = true)]
async fn flows_that_nobody_reads_leave_the_others_their_share() {
    let inboxes = Inboxes::default();
    let unread = (0..1000).map(|flow| inboxes.join(flow)).collect::<Vec<_>>();
    for flow in 0..1000 {
        (0..4).for_each(|_| push(&inboxes, flow, MAX_DATAGRAM));
    }
    let held = || inboxes.totals.bytes.load(Ordering::Relaxed);
    let filler = inboxes.join(1000);
    while held() + cost(&[0; 1200]) <= TUNNEL_BYTES {
        push(&inboxes, 1000, 1200);
    }
    let inbox = inboxes.join(2000);
    (0..100).for_each(|_| push(&inboxes, 2000, 1200));
    assert_eq!(count(&inbox), FLOW_SHARE / (1200 + OVERHEAD));
    assert!(held() <= TUNNEL_BYTES + FLOW_SHARE);
    drop((unread, filler));
}
