//! Users who speak HTTP/2 (RFC 9113).
//!
//! ```text
//! connection ─▶ stream ─▶ request ─┬─ CONNECT ─▶ 200, then DATA both ways     each in its task
//!            ─▶ stream ─▶ …        └─ http://… ─▶ forward ─▶ the response
//! ```
//!
//! This is h2 itself, not hyper's server on top of it: hyper takes a user's RST_STREAM for the end
//! of a tunnel, and can only *end* a tunnel towards the user. Here a reset stays a reset, both ways.
//!
//! What a user can make the gateway hold is bounded:
//!
//! - a stranger gets the smallest windows that there are, 64 KiB for the whole connection; once
//!   somebody has logged in, each stream gets [`STREAM_WINDOW`] and the connection as much as all
//!   streams together, so that a stream that nobody reads never holds up the others;
//! - what the user does not take waits at the target: a stream is given bytes only when its window
//!   and the connection's have room for them, and heads, which no window holds up, are few ([`hints`]);
//! - heads are as small as on HTTP/1, and streams that are opened and reset in masses (CVE-2023-44487)
//!   or CONTINUATION frames without end close the connection (ENHANCE_YOUR_CALM).
//!
//! There is no PING of ours: TCP keep-alive finds peers that vanished, below any frame. Extended
//! CONNECT (RFC 8441) is not offered, and a request that uses it all the same is a protocol error.

mod hints;
mod incoming;
mod outgoing;
mod stream;
mod tunnel;

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, PoisonError, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::net::Conn;
use bytes::Bytes;
use h2::{Reason, server};
use tracing::Instrument as _;

pub(super) use self::incoming::Incoming;
use super::{
    Ingress, Line, MOST_BUFFERED, Proxy, close,
    io::UserIo,
    pace::{Alarm, Busy, Pace, Requests},
};
use crate::ingress::{Authenticate, Beginning, Ends, Route};

/// Streams of one connection at a time.
const MOST_STREAMS: u32 = 128;

/// Tasks of streams that may be there at a time: those that were reset end as soon as they run.
const MOST_TASKS: usize = 2 * MOST_STREAMS as usize;

/// [`MOST_BUFFERED`] as HTTP/2 has it.
const MOST_HEAD: u32 = 64 * 1024;
const _: () = assert!(MOST_HEAD as usize == MOST_BUFFERED);

/// Bytes that the user may send on one stream before they were passed on.
const STREAM_WINDOW: u32 = 256 * 1024;

/// Bytes that a stranger may send: the windows that every connection begins with (RFC 9113 section
/// 6.9.2), which cannot be smaller before the user has heard of it.
const STRANGERS_WINDOW: u32 = 65_535;

/// Bytes of one stream that wait for the socket.
const MOST_UNSENT: usize = 128 * 1024;

/// Streams that a user may open and reset before they were looked at.
const MOST_RESET_UNSEEN: usize = 20;

/// How long a user gets to take the last frames.
const LINGER: Duration = Duration::from_secs(2);

/// Serves one user's connection to its end, with as many requests at once as it has streams. Once
/// `scope` drains, the user is told so (GOAWAY) and the streams that are open are the last ones.
///
/// Dropping it ends everything that belongs to the connection.
pub(super) async fn serve<R: Route, A: Authenticate>(
    conn: Conn,
    Beginning { early, accepted }: Beginning,
    peer: SocketAddr,
    ingress: Arc<Ingress<R, A>>,
    scope: Scope,
) {
    let ends = Ends { peer, local: conn.local_addr().ok() };
    let pace = Pace::since(accepted, ingress.proxy_timeout, Requests::AtOnce);
    let line = Line::new(ends, pace, &ingress.kept);
    let io = UserIo::new(conn, early, line.pace.clone());
    let behind = io.behind();
    let within = ingress.first_deadline(accepted);
    let shaken = within.bound(builder().handshake::<_, Bytes>(io)).await;
    let http = match shaken {
        Ok(Ok(http)) => http,
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "no HTTP/2 came"),
        Err(_) => return tracing::debug!(%peer, "no HTTP/2 came in time"),
    };
    let streams = Streams(scope.child("http2"));
    let proxy = Proxy { ingress, line };
    let mut user = User { http, proxy, streams, trust: Trust::Stranger, alarm: Alarm::default() };
    match user.drive(&scope).await {
        Ok(()) => tracing::debug!(%peer, "an HTTP/2 connection ended"),
        Err(Broken::Http(error)) => tracing::debug!(%peer, %error, "an HTTP/2 connection broke"),
        Err(Broken::Slow) => {
            tracing::debug!(%peer, "an HTTP/2 connection was idle for too long");
            user.close().await;
        }
    }
    drop(user);
    let conn = behind.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(conn) = conn {
        close::gently(conn).await;
    }
}

fn builder() -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(MOST_STREAMS)
        .initial_window_size(STRANGERS_WINDOW)
        .initial_connection_window_size(STRANGERS_WINDOW)
        .max_header_list_size(MOST_HEAD)
        .max_send_buffer_size(MOST_UNSENT)
        .max_pending_accept_reset_streams(MOST_RESET_UNSEEN)
        .max_local_error_reset_streams(Some(MOST_STREAMS as usize));
    builder
}

/// Why a connection did not end by itself.
#[derive(Debug)]
enum Broken {
    /// Below HTTP, or against its rules.
    Http(h2::Error),
    /// There was no stream for too long.
    Slow,
}

/// Whether somebody has logged in on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Stranger,
    User,
}

/// The tasks of one connection's streams, which end with it.
struct Streams(Scope);

impl Drop for Streams {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// One user's connection.
struct User<R, A> {
    http: server::Connection<UserIo, Bytes>,
    proxy: Proxy<R, A>,
    streams: Streams,
    trust: Trust,
    alarm: Alarm,
}

impl<R: Route, A: Authenticate> User<R, A> {
    /// Runs the connection until it is closed or was idle for too long.
    async fn drive(&mut self, scope: &Scope) -> Result<(), Broken> {
        let mut draining = pin!(scope.draining());
        let mut told = false;
        poll_fn(|cx| {
            if !told && draining.as_mut().poll(cx).is_ready() {
                told = true;
                self.http.graceful_shutdown();
            }
            if let Poll::Ready(end) = self.poll_streams(cx) {
                return Poll::Ready(end.map_err(Broken::Http));
            }
            let limit = self.proxy.line.pace.limit(cx.waker());
            self.alarm.poll(cx, limit).map(|()| Err(Broken::Slow))
        })
        .await
    }

    /// Starts a task for each new stream.
    fn poll_streams(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            self.widen();
            // Tasks of streams that were reset end as soon as they run: let them.
            if self.streams.0.tasks() > MOST_TASKS {
                cx.waker().wake_by_ref();
                return self.http.poll_closed(cx);
            }
            let next = match self.http.poll_accept(cx) {
                Poll::Ready(next) => next,
                Poll::Pending => return Poll::Pending,
            };
            let Some(stream) = next else { return Poll::Ready(Ok(())) };
            let (request, respond) = stream?;
            let busy = Busy::new(&self.proxy.line.pace);
            let serving = stream::serve(self.proxy.clone(), request, respond, busy);
            self.streams.0.spawn("http2 stream", serving.in_current_span());
        }
    }

    /// Widens the windows once somebody has logged in, and the user has acknowledged the first
    /// ones: until then h2 takes no others. The acknowledgement wakes the connection.
    fn widen(&mut self) {
        let trusted = self.proxy.line.trusted.load(Ordering::Relaxed);
        if self.trust == Trust::Stranger
            && trusted
            && self.http.set_initial_window_size(STREAM_WINDOW).is_ok()
        {
            self.http.set_target_window_size(STREAM_WINDOW * MOST_STREAMS);
            self.trust = Trust::User;
        }
    }

    /// Tells an idle user that this is the end.
    async fn close(&mut self) {
        self.http.abrupt_shutdown(Reason::NO_ERROR);
        let _ = Deadline::after(LINGER).bound(poll_fn(|cx| self.http.poll_closed(cx))).await;
    }
}
