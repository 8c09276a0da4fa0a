use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    task::{Wake, Waker},
};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};

use super::*;
use crate::ingress::{http::io::UserIo, testing};

const HEAD: Duration = Duration::from_secs(30);

fn left(pace: &Pace) -> Option<Duration> {
    pace.limit(Waker::noop()).map(|at| at - Instant::now())
}

#[tokio::test(start_paused = true)]
async fn the_first_head_is_bounded_from_the_accept_on() {
    let pace = Pace::since(Instant::now(), HEAD, Requests::InTurn);
    let (mut near, conn) = testing::pair(64);
    let mut io = UserIo::new(conn, BytesMut::new(), pace.clone());
    tokio::time::advance(Duration::from_secs(10)).await;
    near.io.write_all(b"GET").await.unwrap();
    let mut bytes = [0; 3];
    io.read_exact(&mut bytes).await.unwrap();
    assert_eq!(left(&pace), Some(Duration::from_secs(20)), "a trickle buys no time");
}

#[tokio::test(start_paused = true)]
async fn there_is_no_limit_while_a_part_is_alive() {
    let pace = Pace::since(Instant::now(), HEAD, Requests::InTurn);
    let (request, upload) = (Busy::new(&pace), Busy::new(&pace));
    assert_eq!(left(&pace), None);
    drop(request);
    assert_eq!(left(&pace), None);
    drop(upload);
    assert_eq!(left(&pace), Some(IDLE));
}

#[tokio::test(start_paused = true)]
async fn a_head_after_idling_has_its_own_time() {
    let pace = Pace::since(Instant::now(), HEAD, Requests::InTurn);
    let (mut near, conn) = testing::pair(64);
    let mut io = UserIo::new(conn, BytesMut::new(), pace.clone());
    drop(Busy::new(&pace));
    tokio::time::advance(Duration::from_secs(100)).await;
    assert_eq!(left(&pace), Some(Duration::from_secs(200)));
    near.io.write_all(b"G").await.unwrap();
    io.read_u8().await.unwrap();
    assert_eq!(left(&pace), Some(HEAD));
}

#[tokio::test(start_paused = true)]
async fn the_clock_stands_while_a_download_waits_for_its_reader() {
    let pace = Pace::since(Instant::now(), HEAD, Requests::InTurn);
    let (mut near, conn) = testing::pair(4);
    let mut io = UserIo::new(conn, BytesMut::new(), pace.clone());
    drop(Busy::new(&pace));
    io.write_all(b"full").await.unwrap();
    assert!(poll_write_x(&mut io).is_pending());
    assert!(pace.is_blocked());
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(left(&pace), None);
    near.io.read_exact(&mut [0; 4]).await.unwrap();
    assert!(poll_write_x(&mut io).is_ready());
    assert_eq!(left(&pace), Some(IDLE), "idling begins when the last byte was taken");

    assert!(poll_write_x(&mut io).is_ready());
    near.io.read_exact(&mut [0; 2]).await.unwrap();
    pace.answered_by(Author::Gateway);
    io.write_all(b"full").await.unwrap();
    assert!(poll_write_x(&mut io).is_pending());
    assert_eq!(left(&pace), Some(HEAD), "an error has to be taken in time");
}

fn poll_write_x(io: &mut UserIo) -> Poll<io::Result<usize>> {
    Pin::new(io).poll_write(&mut Context::from_waker(Waker::noop()), b"x")
}

#[tokio::test(start_paused = true)]
async fn dropped_in_the_middle_it_resets() {
    let pace = Pace::since(Instant::now(), HEAD, Requests::InTurn);
    let (near, conn) = testing::pair(64);
    let busy = Busy::new(&pace);
    drop(UserIo::new(conn, BytesMut::new(), pace.clone()));
    assert!(near.was_reset());
    drop(busy);
    let (near, conn) = testing::pair(64);
    drop(UserIo::new(conn, BytesMut::new(), pace));
    assert!(!near.was_reset());
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_ends_elsewhere_starts_the_clock() {
    let pace = Pace::since(Instant::now(), HEAD, Requests::InTurn);
    let (response, upload) = (Busy::new(&pace), Busy::new(&pace));
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    assert_eq!(pace.limit(&woken.clone().into()), None);
    drop(response);
    assert!(!woken.0.load(Ordering::SeqCst));
    drop(upload);
    assert!(woken.0.load(Ordering::SeqCst), "whoever keeps the timer has to look again");
}

#[tokio::test(start_paused = true)]
async fn many_requests_at_once_have_no_head_and_one_answer_vouches_for_all() {
    let pace = Pace::since(Instant::now(), HEAD, Requests::AtOnce);
    let (mut near, conn) = testing::pair(4);
    let mut io = UserIo::new(conn, BytesMut::new(), pace.clone());
    tokio::time::advance(Duration::from_secs(10)).await;
    near.io.write_all(b"ping").await.unwrap();
    io.read_u8().await.unwrap();
    assert_eq!(left(&pace), Some(Duration::from_secs(20)), "a trickle buys no time");
    pace.answered_by(Author::Gateway);
    drop(Busy::new(&pace));
    assert_eq!(left(&pace), Some(HEAD));
    pace.answered_by(Author::Target);
    pace.answered_by(Author::Gateway);
    drop(Busy::new(&pace));
    assert_eq!(left(&pace), Some(IDLE));
    io.write_all(b"full").await.unwrap();
    assert!(poll_write_x(&mut io).is_pending());
    assert!(pace.is_blocked() && !pace.holds_failures());
    assert_eq!(left(&pace), None, "a tail may wait");
}
