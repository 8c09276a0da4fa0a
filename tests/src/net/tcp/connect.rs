//! Connecting.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use anyproxy_transport::net::Conn;
use tokio::time::{Instant, timeout_at};

use super::{
    connection::{Connection, End, Phase},
    packet::Packet,
    stream::Stream,
};
use crate::net::{
    address::{destination, shown},
    state::{Arrival, Inner},
};

/// How often SYN is sent (`net.ipv4.tcp_syn_retries` is 6): after 127 s the attempt has failed.
const SYNS: u32 = 7;

/// Connects from `host`. Dropping the future gives the attempt up.
pub(in crate::net) async fn connect(
    inner: Arc<Inner>,
    host: usize,
    asked: SocketAddr,
) -> io::Result<Conn> {
    let attempt = Attempt::new(inner, host, asked)?;
    for retry in 0..SYNS {
        attempt.inner.lock().transmit(attempt.id, End::Client, Packet::Syn);
        let patience = Instant::now() + Duration::from_secs(1 << retry);
        if let Ok(answer) = timeout_at(patience, poll_fn(|cx| attempt.poll(cx))).await {
            answer?;
            return Ok(Conn::Virtual(Box::new(attempt.into_stream())));
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// A connection that is not there yet.
struct Attempt {
    inner: Arc<Inner>,
    id: u64,
    shown: (SocketAddr, SocketAddr),
    done: bool,
}

impl Attempt {
    fn new(inner: Arc<Inner>, host: usize, asked: SocketAddr) -> io::Result<Self> {
        let mut to = asked;
        to.set_ip(destination(asked.ip()));
        let mut state = inner.lock();
        let ip = state.source(host, to.ip()).ok_or(io::ErrorKind::NetworkUnreachable)?;
        let from = SocketAddr::new(ip, state.dynamic_port(host));
        let id = state.number();
        state.connections.insert(id, Connection::new(host, from, to));
        if let Some(age) = state.path(from.ip(), to.ip()).longest.tcp {
            state.schedule(Instant::now() + age, Arrival::Cut { connection: id });
        }
        drop(state);
        let shown = (shown(asked.ip(), from), shown(asked.ip(), to));
        Ok(Self { inner, id, shown, done: false })
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.inner.lock();
        let Some(connection) = state.connections.get_mut(&self.id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        match connection.phase {
            Phase::Open => Poll::Ready(Ok(())),
            Phase::Failed(kind) => Poll::Ready(Err(kind.into())),
            Phase::Syn | Phase::SynReceived => {
                connection.connecting = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn into_stream(mut self) -> Stream {
        self.done = true;
        Stream::new(self.inner.clone(), self.id, End::Client, self.shown)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.done {
            self.inner.lock().abandon(self.id);
        }
    }
}
