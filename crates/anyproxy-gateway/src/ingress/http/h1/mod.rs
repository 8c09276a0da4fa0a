//! Users who speak HTTP/1.
//!
//! hyper's server runs without its own upgrades: when it is done, it gives the socket back, which
//! serves three ends alike: raw bytes after a CONNECT or a 101, a close in stages after a reply, a
//! reset after a response that was cut off.

mod after;

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use anyproxy_runtime::Scope;
use anyproxy_transport::net::Conn;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{Request, Response, Version};
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;

use self::after::After;
use super::{
    Answer, Ingress, Line, MOST_BUFFERED, MOST_FIELDS, Proxy,
    body::{Reply, UserBody},
    close,
    interim::{self, Asks, Interim},
    io::{Desk, UserIo},
    pace::{Alarm, Busy, Pace, Requests},
    response::{self, Problem},
};
use crate::ingress::{Authenticate, Beginning, Ends, Route};

/// Serves one user's connection to its end. Once `scope` drains, the response under way is the last
/// one.
///
/// Cancel safe in the sense that dropping it ends everything that belongs to the connection; a
/// response under way is reset, not ended.
pub async fn serve<R: Route, A: Authenticate>(
    conn: Conn,
    Beginning { early, accepted }: Beginning,
    peer: SocketAddr,
    ingress: Arc<Ingress<R, A>>,
    scope: Scope,
) {
    let ends = Ends { peer, local: conn.local_addr().ok() };
    let pace = Pace::since(accepted, ingress.proxy_timeout, Requests::InTurn);
    let line = Line::new(ends, pace, &ingress.kept);
    let io = UserIo::new(conn, early, line.pace.clone());
    let turns = Arc::new(Turns { desk: io.desk(), ..Turns::default() });
    let name = ingress.name.clone();
    let service = InTurn { proxy: Proxy { ingress, line: line.clone() }, turns: turns.clone() };
    let mut http = http1::Builder::new()
        // The pace keeps this clock.
        .header_read_timeout(None)
        .preserve_header_case(true)
        .max_buf_size(MOST_BUFFERED)
        .max_headers(MOST_FIELDS)
        .serve_connection(TokioIo::new(io), service);
    let end = drive(&mut http, &line, &scope).await;
    let cut = looks_complete_but_is_not(&line, &turns, &end);
    let parts = http.into_parts();
    let after = turns.after.lock().unwrap_or_else(PoisonError::into_inner).take();
    // The kept connections and whatever the service holds are of no use any more.
    drop(parts.service);
    line.leave();
    let Some((conn, unread)) = parts.io.into_inner().into_conn() else { return };
    let end = match (end, after) {
        (End::Http(Ok(())), Some(after)) => {
            return after.follow(peer, conn, behind(parts.read_buf, unread)).await;
        }
        (end, Some(after)) => {
            after.give_up(peer);
            end
        }
        (end, None) => end,
    };
    if cut {
        tracing::debug!(%peer, "a response broke off");
        return conn.abort();
    }
    finish(&line, &name, end, conn).await;
}

/// What hyper has read but not used, and what it has not even read.
fn behind(read: Bytes, unread: BytesMut) -> Bytes {
    match (read.is_empty(), unread.is_empty()) {
        (_, true) => read,
        (true, false) => unread.freeze(),
        (false, false) => [read, unread.freeze()].concat().into(),
    }
}

/// For HTTP/1.0 the end of the connection may be the end of the body, so a response that broke off
/// has to end with a reset. Later versions see that the framing is not complete, and keep the bytes
/// that a reset could destroy.
fn looks_complete_but_is_not(line: &Line, turns: &Turns, end: &End) -> bool {
    let broke_off = line.truncated.load(Ordering::Relaxed)
        || (matches!(end, End::Http(Err(_))) && line.pace.is_busy());
    broke_off && turns.http_10.load(Ordering::Relaxed)
}

/// Ends a connection that stays HTTP to its end.
async fn finish(line: &Line, name: &str, end: End, mut conn: Conn) {
    let peer = line.ends.peer;
    match &end {
        End::Http(Ok(())) => tracing::debug!(%peer, "an http connection ended"),
        End::Http(Err(error)) => tracing::debug!(%peer, %error, "an http connection broke"),
        End::Slow => tracing::debug!(%peer, "an http connection was idle or slow for too long"),
    }
    if matches!(end, End::Slow) {
        if line.pace.is_blocked() {
            return conn.abort();
        }
        if line.pace.is_in_head() {
            // A few bytes into an empty send buffer: nothing to wait for.
            let _ = conn.write(Problem::too_slow().last_words(name).as_bytes()).await;
        }
    }
    close::gently(conn).await;
}

/// How the HTTP part of a connection ended.
#[derive(Debug)]
enum End {
    /// hyper is done.
    Http(hyper::Result<()>),
    /// The user did nothing for too long.
    Slow,
}

type UserConnection<R, A> = http1::Connection<TokioIo<UserIo>, InTurn<R, A>>;

/// Runs the connection until hyper is done with it or the user is too slow. Once the scope drains,
/// the response under way is the last one.
async fn drive<R: Route, A: Authenticate>(
    http: &mut UserConnection<R, A>,
    line: &Line,
    scope: &Scope,
) -> End {
    let mut draining = pin!(scope.draining());
    let mut last = Last::No;
    let mut alarm = Alarm::default();
    poll_fn(|cx| {
        if last == Last::No && draining.as_mut().poll(cx).is_ready() {
            last = Last::Yes;
            Pin::new(&mut *http).graceful_shutdown();
        }
        if let Poll::Ready(result) = http.poll_without_shutdown(cx) {
            return Poll::Ready(End::Http(result));
        }
        alarm.poll(cx, line.pace.limit(cx.waker())).map(|()| End::Slow)
    })
    .await
}

/// Whether the request under way is the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    No,
    Yes,
}

/// What the requests of one connection leave behind for it.
#[derive(Debug, Default)]
struct Turns {
    desk: Arc<Desk>,
    after: Mutex<Option<After>>,
    /// The latest request was HTTP/1.0.
    http_10: AtomicBool,
}

impl Turns {
    /// Says what the connection becomes when hyper is done with it.
    fn then(&self, after: After) {
        *self.after.lock().unwrap_or_else(PoisonError::into_inner) = Some(after);
    }
}

/// The service that hyper calls for each request.
#[derive(Debug)]
struct InTurn<R, A> {
    proxy: Proxy<R, A>,
    turns: Arc<Turns>,
}

impl<R: Route, A: Authenticate> Service<Request<Incoming>> for InTurn<R, A> {
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Reply>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (proxy, turns) = (self.proxy.clone(), self.turns.clone());
        let busy = Busy::new(&proxy.line.pace);
        // When the user leaves, hyper drops this future, and the request with it.
        Box::pin(async move {
            let response = respond(&proxy, &turns, request).await;
            tracing::debug!(
                peer = %proxy.line.ends.peer,
                status = response.status().as_u16(),
                "answered a request"
            );
            drop(busy);
            Ok(response)
        })
    }
}

async fn respond<R: Route, A: Authenticate>(
    proxy: &Proxy<R, A>,
    turns: &Turns,
    request: Request<Incoming>,
) -> Response<Reply> {
    let http_10 = request.version() == Version::HTTP_10;
    turns.http_10.store(http_10, Ordering::Relaxed);
    let (mut informant, mut interims) = interim::interims(Asks::Itself);
    if http_10 {
        informant.mute();
    }
    let (head, body) = request.into_parts();
    let mut answer = pin!(proxy.answer(head, UserBody::Http1(body), informant));
    let answer = loop {
        tokio::select! {
            biased;
            Some(interim) = interims.next() => turns.desk.send(head_of(&interim)).await,
            answer = &mut answer => break answer,
        }
    };
    match answer {
        Answer::Response(response) => response,
        Answer::Tunnel(stream) => {
            turns.then(After::Tunnel(stream));
            response::connected(&proxy.line.pace)
        }
        Answer::Switched(response, upgrade) => {
            turns.then(After::Switched(upgrade));
            response
        }
    }
}

/// An informational response as bytes (RFC 9112 section 4).
fn head_of(interim: &Interim) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_slice(b"HTTP/1.1 ");
    bytes.put_slice(interim.status.as_str().as_bytes());
    bytes.put_u8(b' ');
    bytes.put_slice(interim.status.canonical_reason().unwrap_or_default().as_bytes());
    bytes.put_slice(b"\r\n");
    for (name, value) in &interim.headers {
        bytes.put_slice(name.as_str().as_bytes());
        bytes.put_slice(b": ");
        bytes.put_slice(value.as_bytes());
        bytes.put_slice(b"\r\n");
    }
    bytes.put_slice(b"\r\n");
    bytes.freeze()
}
