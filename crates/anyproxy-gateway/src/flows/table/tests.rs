use std::task::Poll;

use anyproxy_transport::net::System;

use super::*;
use crate::{config::Limits, figures::DroppedDatagrams};

const SECOND: Duration = Duration::from_secs(1);

fn table(max_flows: usize, bounds: Bounds) -> Arc<Table<u32>> {
    let limits = Limits { max_flows, ..Limits::default() };
    let scope = Scope::root("test");
    let flows = Flows::new(Arc::new(System::default()), scope.clone(), &limits);
    Table::new(flows, scope, bounds)
}

fn of(flows: usize) -> Bounds {
    Bounds { flows, gives_way: 10 * SECOND }
}

fn dropped(table: &Table<u32>) -> DroppedDatagrams {
    table.flows.counters.snapshot().dropped
}

/// What waits, without waiting for more.
async fn waiting(slot: &Slot<u32>) -> Vec<Bytes> {
    let mut all = Vec::new();
    let ready = |next: Poll<Option<Bytes>>| Poll::Ready(next);
    loop {
        let mut next = std::pin::pin!(slot.next());
        match std::future::poll_fn(|cx| ready(next.as_mut().poll(cx))).await {
            Poll::Ready(Some(payload)) => all.push(payload),
            Poll::Ready(None) | Poll::Pending => return all,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn eight_datagrams_wait_for_the_open_and_more_are_counted() {
    let table = table(10, of(10));
    let slot = table.place(&1, &vec![0].into(), || false).unwrap();
    for number in 1..12 {
        assert!(table.place(&1, &vec![number].into(), || false).is_none());
    }
    assert_eq!(waiting(&slot).await, (0..8).map(|n| vec![n]).collect::<Vec<_>>());
    assert_eq!(dropped(&table), DroppedDatagrams { not_ready: 4, ..Default::default() });
}

#[tokio::test(start_paused = true)]
async fn an_open_flows_queue_is_bounded_in_number_and_in_bytes() {
    let table = table(10, of(10));
    let slot = table.place(&1, &Bytes::new(), || false).unwrap();
    slot.inbox.open();
    for _ in 0..99 {
        assert!(table.place(&1, &Bytes::new(), || false).is_none());
    }
    assert_eq!(waiting(&slot).await.len(), 64);
    assert_eq!(dropped(&table).queue_full, 36);
    for _ in 0..10 {
        assert!(table.place(&1, &vec![7; 65_507].into(), || false).is_none());
    }
    assert_eq!(waiting(&slot).await.len(), 4);
    assert_eq!(dropped(&table).queue_full, 42);
}

#[tokio::test(start_paused = true)]
async fn a_full_table_drops_until_a_flow_was_silent_for_a_while() {
    let table = table(10, of(2));
    let first = table.place(&1, &Bytes::new(), || false).unwrap();
    tokio::time::advance(SECOND).await;
    let second = table.place(&2, &Bytes::new(), || false).unwrap();
    assert!(table.place(&3, &Bytes::new(), || false).is_none());
    // The first is heard of again, so the second is the one that was silent longest.
    tokio::time::advance(5 * SECOND).await;
    first.inbox.touch();
    tokio::time::advance(5 * SECOND - SECOND / 1000).await;
    assert!(table.place(&3, &Bytes::new(), || false).is_none());
    tokio::time::advance(SECOND / 1000).await;
    let third = table.place(&3, &Bytes::new(), || false).unwrap();
    assert!(second.next().await.is_none(), "it gives way");
    drop(second);
    assert!(table.place(&3, &Bytes::new(), || false).is_none(), "its end leaves the others alone");
    assert_eq!(waiting(&third).await.len(), 2);
    assert_eq!(dropped(&table).too_many_flows, 3, "two of new peers, one that waited");
}

#[tokio::test(start_paused = true)]
async fn the_gateways_bound_holds_over_all_tables() {
    let one = table(2, of(10));
    let other = Table::new(Arc::clone(&one.flows), Scope::root("other"), of(10));
    let slots = (
        one.place(&1, &Bytes::new(), || false).unwrap(),
        one.place(&2, &Bytes::new(), || false).unwrap(),
    );
    assert!(other.place(&1, &Bytes::new(), || false).is_none(), "nobody here could give way");
    drop(slots);
    assert_eq!(
        dropped(&one),
        DroppedDatagrams { too_many_flows: 1, ended: 2, ..Default::default() }
    );
    assert!(other.place(&1, &Bytes::new(), || false).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_refused_flow_keeps_its_place_and_takes_nothing() {
    let table = table(10, of(10));
    let slot = table.place(&1, &Bytes::new(), || false).unwrap();
    assert_eq!(slot.inbox.rest(), 1);
    assert!(table.place(&1, &Bytes::new(), || false).is_none());
    assert_eq!(dropped(&table).refused, 1);
    drop(slot);
    assert!(table.place(&1, &Bytes::new(), || false).is_some());
    assert!(table.entries().map.is_empty(), "nothing is left behind");
}

#[tokio::test(start_paused = true)]
async fn a_full_session_is_as_good_as_a_full_table() {
    let table = table(10, of(10));
    let first = table.place(&1, &Bytes::new(), || false).unwrap();
    assert!(table.place(&2, &Bytes::new(), || true).is_none());
    assert!(table.place(&1, &Bytes::new(), || true).is_none(), "one that is there goes on");
    assert_eq!(dropped(&table).too_many_flows, 1);
    tokio::time::advance(10 * SECOND).await;
    let second = table.place(&2, &Bytes::new(), || true).unwrap();
    let waits = |slot: &Slot<u32>| futures_util::FutureExt::now_or_never(slot.vacant()).is_none();
    assert!(waits(&second), "the other has still to leave its session");
    drop(first);
    assert!(!waits(&second));
    assert_eq!(table.flows.permits.available_permits(), 9);
}
