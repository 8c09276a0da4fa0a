//! A network in memory and a scripted gateway, for the tests of this module.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::net::{
    AsyncUdpSocket, BoxFuture, Conn, Listener, Net, Role, VirtualConn, VirtualListener,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    sync::mpsc,
};

use super::{Authenticate, Denied, Ingress, OpenFailure, OpenRequest, Opened, Route, User};
use crate::{config::Limits, flows::Flows};

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The user's end of a connection, and whether the gateway reset it.
pub(crate) struct Near {
    pub(crate) io: DuplexStream,
    pub(crate) reset: Arc<AtomicBool>,
}

impl Near {
    pub(crate) fn was_reset(&self) -> bool {
        self.reset.load(Ordering::SeqCst)
    }
}

struct FarEnd {
    io: DuplexStream,
    reset: Arc<AtomicBool>,
}

/// A connection that holds at most `capacity` bytes each way.
pub(crate) fn pair(capacity: usize) -> (Near, Conn) {
    let (near, far) = duplex(capacity);
    let reset = Arc::new(AtomicBool::new(false));
    let conn = Conn::Virtual(Box::new(FarEnd { io: far, reset: reset.clone() }));
    (Near { io: near, reset }, conn)
}

impl AsyncRead for FarEnd {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for FarEnd {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl VirtualConn for FarEnd {
    fn peer_addr(&self) -> SocketAddr {
        addr("192.0.2.1:1000")
    }

    fn local_addr(&self) -> SocketAddr {
        addr("192.0.2.2:8080")
    }

    fn abort(&mut self) {
        self.reset.store(true, Ordering::SeqCst);
    }
}

/// A listener that accepts what is sent to it.
pub(crate) struct Queue {
    results: tokio::sync::Mutex<mpsc::Receiver<io::Result<Box<dyn VirtualConn>>>>,
    accepts: Arc<AtomicUsize>,
    closed: Arc<AtomicBool>,
}

/// Feeds a [`Queue`].
pub(crate) struct Feed {
    results: mpsc::Sender<io::Result<Box<dyn VirtualConn>>>,
    pub(crate) accepts: Arc<AtomicUsize>,
    pub(crate) closed: Arc<AtomicBool>,
}

pub(crate) fn listener() -> (Feed, Listener) {
    let (sender, receiver) = mpsc::channel(64);
    let (accepts, closed) = (Arc::default(), Arc::default());
    let feed = Feed { results: sender, accepts: Arc::clone(&accepts), closed: Arc::clone(&closed) };
    let queue = Queue { results: tokio::sync::Mutex::new(receiver), accepts, closed };
    (feed, Listener::Virtual(Box::new(queue)))
}

impl Feed {
    pub(crate) async fn connect(&self) -> Near {
        let (near, conn) = pair(1024);
        let Conn::Virtual(conn) = conn else { unreachable!("pair makes virtual connections") };
        self.results.send(Ok(conn)).await.unwrap();
        near
    }

    pub(crate) async fn fail(&self, error: io::Error) {
        self.results.send(Err(error)).await.unwrap();
    }
}

impl VirtualListener for Queue {
    fn accept(&self) -> BoxFuture<'_, io::Result<Box<dyn VirtualConn>>> {
        Box::pin(async {
            let Some(result) = self.results.lock().await.recv().await else {
                return std::future::pending().await;
            };
            self.accepts.fetch_add(1, Ordering::SeqCst);
            result
        })
    }

    fn local_addr(&self) -> SocketAddr {
        addr("192.0.2.2:8080")
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}

/// A host on which nothing can be bound.
#[derive(Debug)]
struct NoSockets;

impl Net for NoSockets {
    fn listen(&self, _: SocketAddr) -> io::Result<Listener> {
        Err(io::ErrorKind::AddrNotAvailable.into())
    }

    fn connect(&self, _: SocketAddr, _: Role) -> BoxFuture<'_, io::Result<Conn>> {
        Box::pin(async { Err(io::ErrorKind::HostUnreachable.into()) })
    }

    fn udp(&self, _: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Err(io::ErrorKind::AddrNotAvailable.into())
    }

    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async { Err(io::ErrorKind::NotFound.into()) })
    }
}

/// What opening does.
pub(crate) enum Script {
    /// Fails at once.
    Fail(OpenFailure),
    /// Never answers.
    Hang,
}

/// A route that follows a script and notes what was asked.
pub(crate) struct Scripted {
    script: Script,
    pub(crate) asked: Mutex<Vec<OpenRequest>>,
    /// Opens that are waiting now.
    pub(crate) waiting: AtomicUsize,
}

impl Route for Scripted {
    async fn open(&self, request: &OpenRequest, _: Deadline) -> Result<Opened, OpenFailure> {
        self.asked.lock().unwrap().push(request.clone());
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waits = Waits(&self.waiting);
        match &self.script {
            Script::Fail(failure) => Err(failure.clone()),
            Script::Hang => std::future::pending().await,
        }
    }
}

struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Knows one user, `ann` with password `s:cret`; `busy` is always held back.
pub(crate) struct OneUser;

impl Authenticate for OneUser {
    async fn check_user(&self, name: &str, password: &[u8], _: IpAddr) -> Result<User, Denied> {
        match (name, password) {
            ("ann", b"s:cret") => {
                Ok(User { group: "lab".into(), name: "ann".into(), credential: 1 })
            }
            ("busy", _) => Err(Denied::Busy),
            _ => Err(Denied::Wrong),
        }
    }

    fn is_still_valid(&self, _: &User) -> bool {
        true
    }
}

/// `ann:s:cret` in Basic.
pub(crate) const LOGIN: &str = "Proxy-Authorization: Basic YW5uOnM6Y3JldA==\r\n";

pub(crate) fn ingress(script: Script) -> Arc<Ingress<Scripted, OneUser>> {
    let route = Scripted { script, asked: Mutex::default(), waiting: AtomicUsize::new(0) };
    with_route(route)
}

pub(crate) fn with_route<R>(route: R) -> Arc<Ingress<R, OneUser>> {
    let scope = Scope::root("flows");
    Arc::new(Ingress {
        route: Arc::new(route),
        credentials: Arc::new(OneUser),
        flows: Flows::new(Arc::new(NoSockets), scope, &Limits::default()),
        permits: Arc::new(tokio::sync::Semaphore::new(16)),
        proxy_timeout: Duration::from_secs(30),
        name: "anyproxy".into(),
        kept: super::http::Kept::new(Scope::root("targets")),
        opens: Arc::default(),
    })
}
