//! Bytes to the user over HTTP/2.
//!
//! Room is asked for only with bytes in hand, and what is not used is given back: room of the
//! connection's window that a stream sits on is missing from the others.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Error, Reason, SendStream};
use hyper::body::Body as _;

use crate::ingress::http::body::Reply;

/// Asked for at once at most; more would only wait.
const MOST_AT_ONCE: usize = 64 * 1024;

/// Waits until some of `wanted` bytes may be sent, and says how many.
pub(super) fn poll_room(
    stream: &mut SendStream<Bytes>,
    cx: &mut Context<'_>,
    wanted: usize,
) -> Poll<io::Result<usize>> {
    if stream.capacity() == 0 {
        stream.reserve_capacity(wanted.min(MOST_AT_ONCE));
    }
    while stream.capacity() == 0 {
        match ready!(stream.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
    Poll::Ready(Ok(stream.capacity().min(wanted)))
}

/// Sends a piece for which there is room.
pub(super) fn send(stream: &mut SendStream<Bytes>, piece: Bytes) -> io::Result<()> {
    let sent = stream.send_data(piece, false).map_err(io::Error::other);
    stream.reserve_capacity(0);
    sent
}

/// Sends a response's body to its end. What breaks off is reset, so that it does not look complete
/// (RFC 9113 section 8.1.1). When the user resets, the body is dropped.
pub(super) async fn pass_on(mut body: Reply, stream: &mut SendStream<Bytes>) -> io::Result<()> {
    loop {
        let frame = poll_fn(|cx| {
            if let Poll::Ready(reset) = stream.poll_reset(cx) {
                return Poll::Ready(Err(gone(reset)));
            }
            std::pin::Pin::new(&mut body).poll_frame(cx).map(Ok)
        });
        let frame = match frame.await? {
            None => return stream.send_data(Bytes::new(), true).map_err(io::Error::other),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Err(io::Error::other(error));
            }
        };
        match frame.into_data() {
            Ok(data) => send_all(stream, data).await?,
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    return stream.send_trailers(trailers).map_err(io::Error::other);
                }
            }
        }
    }
}

async fn send_all(stream: &mut SendStream<Bytes>, mut data: Bytes) -> io::Result<()> {
    while !data.is_empty() {
        let room = poll_fn(|cx| poll_room(stream, cx, data.len())).await?;
        send(stream, data.split_to(room))?;
    }
    Ok(())
}

/// What a user's reset, or the loss of its connection, is to those who send.
pub(super) fn gone(reset: Result<Reason, Error>) -> io::Error {
    match reset {
        Ok(reason) => io::Error::new(io::ErrorKind::ConnectionReset, reason.description()),
        Err(error) => io::Error::other(error),
    }
}
