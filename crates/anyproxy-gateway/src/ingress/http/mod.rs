//! The HTTP proxy.
//!
//! ```text
//! connection ─ hyper ─▶ log-in ─▶ what is asked? ─┬─ CONNECT ─▶ connect ─▶ 200, then raw bytes
//!                                                 └─ http://… ─▶ forward ─▶ the response
//! ```
//!
//! hyper's server speaks to the user and hyper's client to the target; this module decides what
//! passes between them. The server runs without its own upgrades: when it is done, it gives the
//! socket back, which serves three ends alike: raw bytes after a CONNECT or a 101, a close in
//! stages after a reply, a reset after a response that was cut off.
//!
//! A user who closes, or only half-closes, while a request is under way is taken to be gone, as
//! most proxies do: on TCP both look alike, and a leaver must not leave an open behind. Behind a
//! CONNECT half-closing works, and so does closing behind bytes that were sent early.

mod auth;
mod body;
mod connect;
mod forward;
mod headers;
mod pace;
mod pool;
mod response;
mod target;

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use anyproxy_runtime::Scope;
use anyproxy_transport::{Stream, net::Conn};
use http::{HeaderMap, Request, Response, Version};
use hyper::{body::Incoming, server::conn::http1, service::Service, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncWriteExt as _,
    time::{Instant, Sleep, sleep_until},
};

use self::{
    auth::Login,
    body::Reply,
    pace::{Busy, Pace, UserIo},
    pool::Pool,
    response::Problem,
    target::Asked,
};
use super::{Authenticate, Denied, Ends, Ingress, Route, User, close};

/// What hyper buffers at most on each connection and direction, in bytes. It also bounds a head:
/// a longer one is answered with 431.
const MOST_BUFFERED: usize = 64 * 1024;

/// For a user whose request did not come.
const TOO_SLOW: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Serves one user's connection to its end. `scope` takes the tasks of target connections.
///
/// Cancel safe in the sense that dropping it ends everything that belongs to the connection; a
/// response under way is reset, not ended.
pub async fn serve<R: Route, A: Authenticate>(
    conn: Conn,
    peer: SocketAddr,
    ingress: Arc<Ingress<R, A>>,
    scope: Scope,
) {
    let ends = Ends { peer, local: conn.local_addr().ok() };
    let line = Arc::new(Line {
        ends,
        scope,
        pace: Pace::new(ingress.proxy_timeout),
        pool: Arc::default(),
        after: Mutex::new(None),
        truncated: Arc::default(),
        http_10: AtomicBool::new(false),
    });
    let io = TokioIo::new(UserIo::new(conn, line.pace.clone()));
    let mut http = http1::Builder::new()
        // The pace keeps this clock.
        .header_read_timeout(None)
        .preserve_header_case(true)
        .max_buf_size(MOST_BUFFERED)
        .serve_connection(io, Proxy { ingress, line: line.clone() });
    let end = drive(&mut http, &line).await;
    let cut = looks_complete_but_is_not(&line, &end);
    let parts = http.into_parts();
    let after = line.after.lock().unwrap_or_else(PoisonError::into_inner).take();
    // The kept connections and whatever the service holds are of no use any more.
    drop(parts.service);
    line.pool.clear();
    let Some(conn) = parts.io.into_inner().into_conn() else { return };
    match (end, after) {
        (End::Http(Ok(())), Some(after)) => {
            connect::follow(&line, after, conn, parts.read_buf).await;
        }
        (_, _) if cut => {
            tracing::debug!(%peer, "a response broke off");
            conn.abort();
        }
        (end, _) => finish(&line, end, conn).await,
    }
}

/// For HTTP/1.0 the end of the connection may be the end of the body, so a response that broke off
/// has to end with a reset. Later versions see that the framing is not complete, and keep the bytes
/// that a reset could destroy.
fn looks_complete_but_is_not(line: &Line, end: &End) -> bool {
    let broke_off = line.truncated.load(Ordering::Relaxed)
        || (matches!(end, End::Http(Err(_))) && line.pace.is_busy());
    broke_off && line.http_10.load(Ordering::Relaxed)
}

/// Ends a connection that stays HTTP to its end.
async fn finish(line: &Line, end: End, mut conn: Conn) {
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
            let _ = conn.write(TOO_SLOW).await;
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

type UserConnection<R, A> = http1::Connection<TokioIo<UserIo>, Proxy<R, A>>;

/// Runs the connection until hyper is done with it or the user is too slow. Once the scope drains,
/// the response under way is the last one.
async fn drive<R: Route, A: Authenticate>(http: &mut UserConnection<R, A>, line: &Line) -> End {
    let mut draining = pin!(line.scope.draining());
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

/// One timer whose time moves; armed only while there is a limit.
#[derive(Default)]
struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    fn poll(&mut self, cx: &mut Context<'_>, limit: Option<Instant>) -> Poll<()> {
        let Some(limit) = limit else {
            self.timer = None;
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(limit)));
        if timer.deadline() != limit {
            timer.as_mut().reset(limit);
        }
        timer.as_mut().poll(cx)
    }
}

/// What belongs to one user's connection.
#[derive(Debug)]
struct Line {
    ends: Ends,
    scope: Scope,
    pace: Arc<Pace>,
    pool: Arc<Pool>,
    after: Mutex<Option<After>>,
    /// A response body broke off.
    truncated: Arc<AtomicBool>,
    /// The latest request was HTTP/1.0.
    http_10: AtomicBool,
}

impl Line {
    /// Says what the connection becomes when hyper is done with it.
    fn then(&self, after: After) {
        *self.after.lock().unwrap_or_else(PoisonError::into_inner) = Some(after);
    }
}

/// What follows the HTTP part of a connection.
#[derive(Debug)]
enum After {
    /// CONNECT: the target's bytes.
    Tunnel(Stream),
    /// 101: the bytes of another protocol.
    Switched(OnUpgrade),
}

/// The service that hyper calls for each request.
#[derive(Debug)]
struct Proxy<R, A> {
    ingress: Arc<Ingress<R, A>>,
    line: Arc<Line>,
}

impl<R, A> Clone for Proxy<R, A> {
    fn clone(&self) -> Self {
        Self { ingress: self.ingress.clone(), line: self.line.clone() }
    }
}

impl<R: Route, A: Authenticate> Service<Request<Incoming>> for Proxy<R, A> {
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Reply>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let proxy = self.clone();
        let busy = Busy::new(&proxy.line.pace);
        Box::pin(async move {
            let response = match proxy.answer(request).await {
                Ok(response) => response,
                Err(problem) => problem.response(&proxy.ingress.name, &proxy.line.pace),
            };
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

impl<R: Route, A: Authenticate> Proxy<R, A> {
    /// The user's answer. When the user leaves, hyper drops this future, and the open with it.
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Reply>, Problem> {
        self.line.http_10.store(request.version() == Version::HTTP_10, Ordering::Relaxed);
        let (head, body) = request.into_parts();
        // Before the log-in: somebody who takes the proxy for a web server has none.
        let asked = Asked::of(&head).map_err(|wrong| Problem::bad_request(wrong.to_string()))?;
        let user = self.log_in(&head.headers).await?;
        match asked {
            Asked::Tunnel(target) => connect::connect(self, &target, &user).await,
            Asked::Forward(origin) => {
                forward::forward(self, Request::from_parts(head, body), origin, user).await
            }
        }
    }

    async fn log_in(&self, headers: &HeaderMap) -> Result<User, Problem> {
        let peer = self.line.ends.peer;
        let Some(login) = Login::of(headers) else {
            return Err(Problem::login_needed("log in with a user name and password"));
        };
        let check = self.ingress.credentials.check_user(login.name(), login.password(), peer.ip());
        match self.ingress.deadline().bound(check).await {
            Ok(Ok(user)) => Ok(user),
            Ok(Err(Denied::Wrong)) => {
                tracing::debug!(%peer, "a proxy log-in failed");
                Err(Problem::login_needed("unknown user or wrong password"))
            }
            Ok(Err(Denied::Busy)) | Err(_) => Err(Problem::busy()),
        }
    }
}

#[cfg(test)]
mod tests;
