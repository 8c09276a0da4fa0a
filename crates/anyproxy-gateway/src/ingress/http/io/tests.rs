use std::{pin::pin, time::Duration};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::ingress::{http::pace::Requests, testing};

const CAPACITY: usize = 4;

fn io() -> (testing::Near, UserIo) {
    let (near, conn) = testing::pair(CAPACITY);
    let pace = Pace::since(tokio::time::Instant::now(), Duration::from_secs(30), Requests::InTurn);
    (near, UserIo::new(conn, BytesMut::from(&b"early"[..]), pace))
}

fn poll_write(io: &mut UserIo, bytes: &[u8]) -> Poll<io::Result<usize>> {
    Pin::new(io).poll_write(&mut Context::from_waker(Waker::noop()), bytes)
}

fn poll_flush(io: &mut UserIo) -> Poll<io::Result<()>> {
    Pin::new(io).poll_flush(&mut Context::from_waker(Waker::noop()))
}

async fn taken(near: &mut testing::Near) -> String {
    let mut bytes = [0; CAPACITY];
    let read = near.io.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

#[tokio::test]
async fn an_informational_response_never_lands_within_another_response() {
    let (mut near, mut io) = io();
    let desk = io.desk();
    let mut sending = pin!(desk.send(Bytes::from_static(b"interim")));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(sending.as_mut().poll(&mut cx).is_pending());
    // The response before is not written to its end: what is left of it goes first.
    for _ in 0..2 {
        assert!(matches!(poll_write(&mut io, b"body"), Poll::Ready(Ok(4))));
        assert!(poll_write(&mut io, b"body").is_pending());
        assert_eq!(taken(&mut near).await, "body");
    }
    // Now it is; and what is begun is ended before anything else.
    assert!(poll_flush(&mut io).is_pending());
    assert!(poll_write(&mut io, b"late").is_pending());
    assert!(sending.as_mut().poll(&mut cx).is_pending(), "the answer waits for it");
    assert_eq!(taken(&mut near).await, "inte");
    assert!(matches!(poll_write(&mut io, b"late"), Poll::Ready(Ok(1))));
    assert_eq!(taken(&mut near).await, "riml");
    assert!(sending.as_mut().poll(&mut cx).is_ready());
}

#[tokio::test]
async fn what_was_read_early_comes_first() {
    let (mut near, mut io) = io();
    near.io.write_all(b"late").await.unwrap();
    let mut bytes = [0; 9];
    io.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"earlylate");
    let (mut near, mut io) = self::io();
    near.io.write_all(b"late").await.unwrap();
    assert_eq!(io.read_u8().await.unwrap(), b'e');
    assert_eq!(io.into_conn().unwrap().1, &b"arly"[..]);
}

#[tokio::test]
async fn a_connection_is_given_back_unless_something_is_under_way() {
    let (near, io) = io();
    let behind = io.behind();
    drop(io);
    assert!(behind.lock().unwrap().is_some() && !near.was_reset());
    let (near, io) = self::io();
    let behind = io.behind();
    let busy = crate::ingress::http::pace::Busy::new(&io.pace);
    drop(io);
    assert!(behind.lock().unwrap().is_none() && near.was_reset());
    drop(busy);
}
