use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyproxy_runtime::Deadline;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

use super::*;
use crate::ingress::testing;

fn acceptor(permits: usize) -> Acceptor {
    with_bound(permits, permits)
}

fn with_bound(permits: usize, of_one_address: usize) -> Acceptor {
    let permits = Arc::new(Semaphore::new(permits));
    Acceptor {
        name: "test",
        permits,
        addresses: PerAddress::new(of_one_address),
        tally: Arc::default(),
    }
}

/// Echoes one byte, then ends.
async fn echo_one(mut conn: Conn, _: SocketAddr) {
    let mut byte = [0];
    if conn.read_exact(&mut byte).await.is_ok() {
        let _ = conn.write_all(&byte).await;
    }
}

async fn echoes(near: &mut testing::Near) {
    near.io.write_all(b"x").await.unwrap();
    let mut byte = [0];
    near.io.read_exact(&mut byte).await.unwrap();
    assert_eq!(&byte, b"x");
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_does_not_hold_up_the_next() {
    let (feed, listener) = testing::listener();
    let scope = Scope::root("test");
    scope.spawn("accept", serve(listener, scope.clone(), acceptor(8), echo_one));
    let _silent = feed.connect().await;
    let mut lively = feed.connect().await;
    echoes(&mut lively).await;
    scope.cancel();
    scope.finished().await;
}

#[tokio::test(start_paused = true)]
async fn overload_waits_instead_of_turning_away() {
    let (feed, listener) = testing::listener();
    let scope = Scope::root("test");
    scope.spawn("accept", serve(listener, scope.clone(), acceptor(1), echo_one));
    let mut first = feed.connect().await;
    let mut second = feed.connect().await;
    let mut third = feed.connect().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(feed.accepts.load(Ordering::SeqCst), 2, "the third waits in the kernel");
    echoes(&mut first).await;
    echoes(&mut second).await;
    echoes(&mut third).await;
    scope.cancel();
    scope.finished().await;
}

#[tokio::test(start_paused = true)]
async fn listeners_without_users_take_nobodys_place() {
    let scope = Scope::root("test");
    let acceptor = acceptor(1);
    let (feeds, listeners): (Vec<_>, Vec<_>) = (0..3).map(|_| testing::listener()).unzip();
    for listener in listeners {
        let serving = serve(listener, scope.clone(), acceptor.clone(), echo_one);
        scope.spawn("accept", serving);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(acceptor.permits.available_permits(), 1);
    for feed in &feeds {
        let mut user = feed.connect().await;
        Deadline::after(Duration::from_secs(5)).bound(echoes(&mut user)).await.unwrap();
    }
    scope.cancel();
    scope.finished().await;
}

#[tokio::test(start_paused = true)]
async fn an_address_with_all_its_connections_is_turned_away_at_once() {
    let (feed, listener) = testing::listener();
    let scope = Scope::root("test");
    let acceptor = with_bound(8, 1);
    scope.spawn("accept", serve(listener, scope.clone(), acceptor.clone(), echo_one));
    let mut first = feed.connect().await;
    let mut second = feed.connect().await;
    let start = Instant::now();
    let soon = start + Duration::from_secs(5);
    let read = tokio::time::timeout_at(soon, second.io.read(&mut [0])).await;
    assert_eq!(read.unwrap().unwrap(), 0, "closed");
    assert_eq!((start.elapsed(), acceptor.addresses.turned_away()), (Duration::ZERO, 1));
    echoes(&mut first).await;
    assert_eq!(first.io.read(&mut [0]).await.unwrap(), 0, "served to its end");
    let mut third = feed.connect().await;
    echoes(&mut third).await;
    scope.cancel();
    scope.finished().await;
    assert_eq!(acceptor.permits.available_permits(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_failed_accept_keeps_the_listener_and_backs_off() {
    let (feed, listener) = testing::listener();
    let scope = Scope::root("test");
    scope.spawn("accept", serve(listener, scope.clone(), acceptor(8), echo_one));
    let start = Instant::now();
    for _ in 0..8 {
        feed.fail(io::Error::other("too many open files")).await;
    }
    let mut user = feed.connect().await;
    echoes(&mut user).await;
    // 50, 100, 200, 400, 800, 1000, 1000, 1000 ms
    assert_eq!(start.elapsed().as_millis(), 4550);
    scope.cancel();
    scope.finished().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_left_costs_no_pause() {
    let (feed, listener) = testing::listener();
    let scope = Scope::root("test");
    scope.spawn("accept", serve(listener, scope.clone(), acceptor(8), echo_one));
    let start = Instant::now();
    feed.fail(io::ErrorKind::ConnectionAborted.into()).await;
    let mut user = feed.connect().await;
    echoes(&mut user).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    scope.cancel();
    scope.finished().await;
}

#[tokio::test(start_paused = true)]
async fn draining_frees_the_port_and_leaves_connections_alone() {
    let (feed, listener) = testing::listener();
    let scope = Scope::root("test");
    let ended = Arc::new(AtomicUsize::new(0));
    let count = ended.clone();
    let accept = serve(listener, scope.clone(), acceptor(8), move |conn, peer| {
        let count = count.clone();
        async move {
            echo_one(conn, peer).await;
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let accepting = tokio::time::timeout_at(Instant::now() + Duration::from_secs(5), async {
        let user = feed.connect().await;
        tokio::join!(accept, async {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            scope.drain();
        });
        user
    });
    let mut user = accepting.await.unwrap();
    assert!(feed.closed.load(Ordering::SeqCst), "the listener is gone");
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    echoes(&mut user).await;
    scope.finished().await;
    assert_eq!(ended.load(Ordering::SeqCst), 1);
}
