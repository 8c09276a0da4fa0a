use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, duplex};

use super::{IoSide, READ_BUFFER};
use crate::Side;

async fn fill<T: AsyncRead + AsyncWrite + Unpin>(side: &mut IoSide<T>) -> io::Result<Vec<u8>> {
    poll_fn(|cx| side.poll_fill(cx).map_ok(<[u8]>::to_vec)).await
}

async fn is_silent<T: AsyncRead + AsyncWrite + Unpin>(side: &mut IoSide<T>) -> bool {
    poll_fn(|cx| Poll::Ready(side.poll_fill(cx).is_pending())).await
}

#[tokio::test]
async fn the_prefix_comes_first() {
    let (near, mut far) = duplex(100);
    let mut side = IoSide::with_prefix(near, Bytes::from_static(b"sniffed"));
    far.write_all(b" rest").await.unwrap();
    drop(far);

    assert_eq!(fill(&mut side).await.unwrap(), b"sniffed");
    side.consume(3);
    assert_eq!(fill(&mut side).await.unwrap(), b"ffed");
    side.consume(4);
    assert_eq!(fill(&mut side).await.unwrap(), b" rest");
    side.consume(5);
    assert_eq!(fill(&mut side).await.unwrap(), b"");
}

#[tokio::test]
async fn filling_again_before_consuming_loses_nothing() {
    let (near, mut far) = duplex(100);
    let mut side = IoSide::new(near);
    far.write_all(b"hello").await.unwrap();
    assert_eq!(fill(&mut side).await.unwrap(), b"hello");
    far.write_all(b" world").await.unwrap();
    assert!(fill(&mut side).await.unwrap().starts_with(b"hello"));
    side.consume(4);
    assert!(fill(&mut side).await.unwrap().starts_with(b"o"));
    side.consume(1);
    assert_eq!(fill(&mut side).await.unwrap(), b" world");
}

#[tokio::test]
async fn an_idle_side_holds_no_buffer() {
    let (near, mut far) = duplex(100);
    let mut side = IoSide::new(near);
    assert_eq!(side.buffer.capacity(), 0);
    assert!(is_silent(&mut side).await);
    assert_eq!(side.buffer.capacity(), 0);

    far.write_all(b"hello").await.unwrap();
    fill(&mut side).await.unwrap();
    assert_eq!(side.buffer.capacity(), READ_BUFFER);
    side.consume(5);
    assert!(is_silent(&mut side).await);
    assert_eq!(side.buffer.capacity(), 0);

    drop(far);
    assert_eq!(fill(&mut side).await.unwrap(), b"");
    assert_eq!(side.buffer.capacity(), 0);
}

#[tokio::test]
async fn one_fill_reads_at_most_the_buffer() {
    let (near, mut far) = duplex(4 * READ_BUFFER);
    let mut side = IoSide::new(near);
    far.write_all(&vec![1; 3 * READ_BUFFER]).await.unwrap();
    for _ in 0..3 {
        assert_eq!(fill(&mut side).await.unwrap().len(), READ_BUFFER);
        assert_eq!(side.buffer.capacity(), READ_BUFFER);
        side.consume(READ_BUFFER);
    }
    assert!(is_silent(&mut side).await);
}

#[tokio::test]
async fn a_used_up_prefix_frees_its_memory() {
    let owner = std::sync::Arc::new([7_u8; 32]);
    struct Shared(std::sync::Arc<[u8; 32]>);
    impl AsRef<[u8]> for Shared {
        fn as_ref(&self) -> &[u8] {
            &*self.0
        }
    }
    let prefix = Bytes::from_owner(Shared(owner.clone()));
    let mut side = IoSide::with_prefix(duplex(1).0, prefix);
    side.consume(32);
    assert_eq!(std::sync::Arc::strong_count(&owner), 1);
}

#[tokio::test]
async fn taken_apart_it_gives_back_what_was_not_consumed() {
    let (near, mut far) = duplex(100);
    let mut side = IoSide::with_prefix(near, Bytes::from_static(b"sniffed"));
    far.write_all(b"hello").await.unwrap();
    side.consume(2);
    let (near, unread) = side.into_inner();
    assert_eq!(&*unread, b"iffed");

    let mut side = IoSide::new(near);
    fill(&mut side).await.unwrap();
    side.consume(2);
    let (_, unread) = side.into_inner();
    assert_eq!(&*unread, b"llo");
}

#[tokio::test]
async fn writing_and_finishing_reach_the_connection() {
    let (near, mut far) = duplex(100);
    let mut side = IoSide::new(near);
    assert_eq!(poll_fn(|cx| side.poll_write(cx, b"bye")).await.unwrap(), 3);
    poll_fn(|cx| side.poll_flush(cx)).await.unwrap();
    poll_fn(|cx| side.poll_finish(cx)).await.unwrap();
    let mut got = String::new();
    far.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "bye");
}

/// Fails to read.
struct Broken;

impl AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

impl AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(b.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_prefix_comes_before_an_error() {
    let mut side = IoSide::with_prefix(Broken, Bytes::from_static(b"x"));
    assert_eq!(fill(&mut side).await.unwrap(), b"x");
    side.consume(1);
    assert_eq!(fill(&mut side).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(side.buffer.capacity(), 0);
}

/// The system tells of a reset once, here to the write, and the reads after it find nothing.
#[tokio::test]
async fn a_reset_that_a_write_was_told_of_is_no_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    let mut side = IoSide::new(near);
    far.set_zero_linger().unwrap();
    drop(far);

    let told = poll_fn(|cx| side.poll_write(cx, b"into the void")).await.unwrap_err();
    assert_eq!(told.kind(), io::ErrorKind::ConnectionReset);
    let end = fill(&mut side).await.unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
}

/// Who ends their own direction and then wants nothing more has ended it all the same.
#[tokio::test]
async fn an_end_stays_one_when_a_reset_follows() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    let mut side = IoSide::new(near);
    far.write_all(b"answer").await.unwrap();
    far.shutdown().await.unwrap();
    far.set_zero_linger().unwrap();
    drop(far);

    poll_fn(|cx| side.poll_write(cx, b"into the void")).await.unwrap_err();
    assert_eq!(fill(&mut side).await.unwrap(), b"answer");
    side.consume(6);
    assert_eq!(fill(&mut side).await.unwrap(), b"");
}
