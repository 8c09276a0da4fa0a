//! Listeners.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use anyproxy_transport::net::{BoxFuture, VirtualConn, VirtualListener};

use super::{
    connection::End,
    stream::{Close, Stream},
};
use crate::net::{address::shown, state::Inner};

/// Connections that wait to be accepted; with more, SYN is dropped and comes again.
pub(super) const BACKLOG: usize = 4_096;

#[derive(Debug)]
pub(in crate::net) struct ListenerState {
    pub(in crate::net) host: usize,
    pub(in crate::net) bound: SocketAddr,
    pub(super) backlog: VecDeque<u64>,
    pub(super) acceptors: Vec<Waker>,
}

/// A listening socket; it owns its port until dropped.
pub(in crate::net) struct Accepting {
    inner: Arc<Inner>,
    id: u64,
    bound: SocketAddr,
}

impl Accepting {
    pub(in crate::net) fn bind(
        inner: &Arc<Inner>,
        host: usize,
        addr: SocketAddr,
    ) -> io::Result<Self> {
        let mut state = inner.lock();
        let taken: Vec<SocketAddr> =
            state.listeners.values().filter(|l| l.host == host).map(|l| l.bound).collect();
        let bound = state.bind(host, addr, &taken)?;
        let id = state.number();
        let listener =
            ListenerState { host, bound, backlog: VecDeque::new(), acceptors: Vec::new() };
        state.listeners.insert(id, listener);
        Ok(Self { inner: inner.clone(), id, bound })
    }

    fn poll_accept(&self, cx: &Context<'_>) -> Poll<Stream> {
        let mut state = self.inner.lock();
        let Some(listener) = state.listeners.get_mut(&self.id) else { return Poll::Pending };
        let Some(id) = listener.backlog.pop_front() else {
            if !listener.acceptors.iter().any(|waker| waker.will_wake(cx.waker())) {
                listener.acceptors.push(cx.waker().clone());
            }
            return Poll::Pending;
        };
        let ends = state.connections.get(&id).map(|c| (c.server.addr, c.client.addr));
        let (local, peer) = ends.unwrap_or((self.bound, self.bound));
        drop(state);
        let (local, peer) = (shown(self.bound.ip(), local), shown(self.bound.ip(), peer));
        Poll::Ready(Stream::new(self.inner.clone(), id, End::Server, (local, peer)))
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        let Some(listener) = state.listeners.remove(&self.id) else { return };
        for id in listener.backlog {
            state.close(id, End::Server, Close::Reset);
        }
        for waker in listener.acceptors {
            state.wake(Some(waker));
        }
    }
}

impl VirtualListener for Accepting {
    fn accept(&self) -> BoxFuture<'_, io::Result<Box<dyn VirtualConn>>> {
        Box::pin(async {
            let stream = poll_fn(|cx| self.poll_accept(cx)).await;
            Ok(Box::new(stream) as Box<dyn VirtualConn>)
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.bound
    }
}
