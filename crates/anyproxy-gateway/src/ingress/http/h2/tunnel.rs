//! A CONNECT over HTTP/2 (RFC 9113 section 8.5): one stream is one proxied connection.
//!
//! | the stream | the connection |
//! | --- | --- |
//! | END_STREAM | its end, in this direction |
//! | RST_STREAM from the user, whatever its code | reset |
//! | RST_STREAM `CONNECT_ERROR` to the user | the target's reset, or the loss of the tunnel |
//! | RST_STREAM `CANCEL` to the user | the gateway gave it up |
//! | RST_STREAM `NO_ERROR` to the user | all was sent, and nobody reads any more |

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use anyproxy_runtime::{RelayTimeouts, Side};
use anyproxy_transport::{Near, NearSide, Spliced, SplicedEnd, Stream, splice};
use bytes::{Buf as _, Bytes};
use h2::{Reason, RecvStream, SendStream};

use super::outgoing::{gone, poll_room, send};

/// Relays until both directions have ended. Dropping the future resets both sides.
pub(super) async fn relay(
    peer: SocketAddr,
    stream: Stream,
    recv: RecvStream,
    sender: SendStream<Bytes>,
) {
    let connection = stream.label();
    let shared = Arc::new(Shared { sender: Mutex::new(sender), ended: AtomicBool::new(false) });
    let side = UserSide { recv, chunk: Bytes::new(), shared: shared.clone() };
    let spliced = splice(stream, side, Near::User, RelayTimeouts::default());
    tokio::select! {
        biased;
        Spliced { sent, received, end } = spliced => {
            tracing::debug!(%connection, %peer, sent, received, ?end, "a tunnelled stream ended");
        }
        // A relay reads no more behind an end, and so would not hear of a reset there.
        reset = shared.reset_behind_end() => {
            tracing::debug!(%connection, %peer, %reset, "a tunnelled stream was reset");
        }
    }
}

#[derive(Debug)]
struct Shared {
    sender: Mutex<SendStream<Bytes>>,
    /// The user has sent its end.
    ended: AtomicBool,
}

impl Shared {
    fn sender(&self) -> MutexGuard<'_, SendStream<Bytes>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Both this and the relay are polled by the one task that h2 wakes.
    async fn reset_behind_end(&self) -> io::Error {
        poll_fn(|cx| {
            if !self.ended.load(Ordering::Relaxed) {
                // The relay reads, and is woken by a reset itself; it wakes this at the end.
                return Poll::Pending;
            }
            self.sender().poll_reset(cx).map(gone)
        })
        .await
    }
}

/// The user's end of the tunnel.
#[derive(Debug)]
struct UserSide {
    recv: RecvStream,
    /// Received and not consumed; the user gets no room for it yet.
    chunk: Bytes,
    shared: Arc<Shared>,
}

impl Side for UserSide {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        while self.chunk.is_empty() && !self.shared.ended.load(Ordering::Relaxed) {
            match ready!(self.recv.poll_data(cx)) {
                Some(Ok(data)) => self.chunk = data,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => {
                    self.shared.ended.store(true, Ordering::Relaxed);
                    cx.waker().wake_by_ref();
                }
            }
        }
        Poll::Ready(Ok(&self.chunk))
    }

    fn consume(&mut self, n: usize) {
        let n = n.min(self.chunk.len());
        self.chunk.advance(n);
        // Fails only when the stream is gone, which the next read tells.
        let _ = self.recv.flow_control().release_capacity(n);
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut sender = self.shared.sender();
        let room = ready!(poll_room(&mut sender, cx, bytes.len()))?;
        let some = bytes.get(..room).unwrap_or(bytes);
        send(&mut sender, Bytes::copy_from_slice(some))?;
        Poll::Ready(Ok(some.len()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's task does that.
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = self.shared.sender().send_data(Bytes::new(), true);
        Poll::Ready(ended.map_err(io::Error::other))
    }
}

impl NearSide for UserSide {
    fn reset(self, why: Option<&SplicedEnd>) {
        let reason = match why {
            Some(SplicedEnd::StreamFailed(_)) => Reason::CONNECT_ERROR,
            None
            | Some(
                SplicedEnd::Clean
                | SplicedEnd::ConnFailed(_)
                | SplicedEnd::Idle
                | SplicedEnd::Stalled
                | SplicedEnd::Evicted,
            ) => Reason::CANCEL,
        };
        self.shared.sender().send_reset(reason);
    }

    async fn discard(&mut self) -> bool {
        let data = poll_fn(|cx| self.recv.poll_data(cx)).await;
        let Some(Ok(data)) = data else { return false };
        self.recv.flow_control().release_capacity(data.len()).is_ok()
    }
}
