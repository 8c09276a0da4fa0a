//! A network that does what the script says and remembers what it was asked.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use anyproxy_transport::net::{AsyncUdpSocket, BoxFuture, Conn, Listener, Net, Role, VirtualConn};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep},
};

/// What becomes of an attempt or a look-up, after how many milliseconds.
#[derive(Debug, Clone)]
pub(super) enum Fate<T> {
    Done(u64, T),
    Fails(u64, io::ErrorKind),
    Hangs,
}

impl<T> Fate<T> {
    async fn run(self) -> io::Result<T> {
        match self {
            Self::Done(ms, value) => {
                sleep(Duration::from_millis(ms)).await;
                Ok(value)
            }
            Self::Fails(ms, kind) => {
                sleep(Duration::from_millis(ms)).await;
                Err(kind.into())
            }
            Self::Hangs => std::future::pending().await,
        }
    }
}

/// An attempt to connect, with the milliseconds since the network was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) at: u64,
    pub(super) address: SocketAddr,
}

#[derive(Debug)]
pub(super) struct Scripted {
    start: Instant,
    names: HashMap<&'static str, Fate<Vec<SocketAddr>>>,
    hosts: HashMap<SocketAddr, Fate<()>>,
    /// Where a connection says it comes from.
    local: SocketAddr,
    attempts: Mutex<Vec<Attempt>>,
    look_ups: Mutex<Vec<String>>,
    /// Attempts under way and connections open.
    live: Arc<AtomicUsize>,
}

impl Scripted {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            names: HashMap::new(),
            hosts: HashMap::new(),
            local: addr("192.0.2.200:40000"),
            attempts: Mutex::default(),
            look_ups: Mutex::default(),
            live: Arc::default(),
        }
    }

    /// `name` resolves to `addresses` at once; their port is not the one asked for.
    pub(super) fn name(self, name: &'static str, addresses: &[&str]) -> Self {
        let found = addresses.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 9)).collect();
        self.look_up(name, Fate::Done(0, found))
    }

    pub(super) fn look_up(mut self, name: &'static str, fate: Fate<Vec<SocketAddr>>) -> Self {
        self.names.insert(name, fate);
        self
    }

    /// What happens to attempts at `address`; unknown ones connect at once.
    pub(super) fn host(mut self, address: &str, fate: Fate<()>) -> Self {
        self.hosts.insert(addr(address), fate);
        self
    }

    pub(super) fn local(mut self, address: &str) -> Self {
        self.local = addr(address);
        self
    }

    pub(super) fn attempts(&self) -> Vec<Attempt> {
        self.attempts.lock().unwrap().clone()
    }

    pub(super) fn dialled(&self) -> Vec<SocketAddr> {
        self.attempts().iter().map(|attempt| attempt.address).collect()
    }

    pub(super) fn look_ups(&self) -> Vec<String> {
        self.look_ups.lock().unwrap().clone()
    }

    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    pub(super) fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }
}

impl Net for Scripted {
    fn listen(&self, _: SocketAddr) -> io::Result<Listener> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn connect(&self, address: SocketAddr, role: Role) -> BoxFuture<'_, io::Result<Conn>> {
        assert_eq!(role, Role::Proxied);
        self.attempts.lock().unwrap().push(Attempt { at: self.now(), address });
        let fate = self.hosts.get(&address).cloned().unwrap_or(Fate::Done(0, ()));
        let local = self.local;
        let alive = Alive::new(&self.live);
        Box::pin(async move {
            fate.run().await?;
            Ok(Conn::Virtual(Box::new(End { peer: address, local, _alive: alive })))
        })
    }

    fn udp(&self, _: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn resolve<'a>(
        &'a self,
        host: &'a str,
        _port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        self.look_ups.lock().unwrap().push(host.to_owned());
        let missing = Fate::Fails(0, io::ErrorKind::NotFound);
        let fate = self.names.get(host).cloned().unwrap_or(missing);
        let alive = Alive::new(&self.live);
        Box::pin(async move {
            let _alive = alive;
            fate.run().await
        })
    }
}

/// Counts itself while it exists.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(live: &Arc<AtomicUsize>) -> Self {
        live.fetch_add(1, Ordering::Relaxed);
        Self(live.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that carries nothing.
struct End {
    peer: SocketAddr,
    local: SocketAddr,
    _alive: Alive,
}

impl VirtualConn for End {
    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn abort(&mut self) {}
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
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

pub(super) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}
