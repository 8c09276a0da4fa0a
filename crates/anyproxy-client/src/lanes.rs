//! The tunnels of one session at the client: one that carries what is new, and those that it moved
//! away from.
//!
//! Whatever the gateway opens is served, on every one of them. The gateway closes a tunnel that was
//! left as soon as nothing is on it.

use std::sync::Arc;

use anyproxy_runtime::Scope;
use anyproxy_transport::{ClosedBy, Incoming, Tunnel, TunnelError};
use anyproxy_wire::{codes::CloseCode, frame::Frame};
use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::{Semaphore, mpsc};

use crate::connection::Exit;

/// Control messages that may wait for the session.
const CONTROL_QUEUE: usize = 16;

/// What happens on the tunnels.
pub(crate) enum News {
    /// The gateway says something on one.
    Said(Tunnel, Frame),
    /// The tunnel for what is new is over, and what is new goes on over another one.
    FellBack(TunnelError),
    /// One that was left is over.
    Left(TunnelError),
    /// The last one is over.
    Over(TunnelError),
}

pub(crate) struct Lanes {
    exit: Arc<Exit>,
    connections: Scope,
    /// What is left of the session's streams for UDP flows, over all tunnels.
    flows: Arc<Semaphore>,
    /// In the order in which they came; never empty before the session is over.
    tunnels: Vec<(u64, Tunnel)>,
    next: u64,
    attended: FuturesUnordered<BoxFuture<'static, (u64, TunnelError)>>,
    /// One that is over, while what it said is told.
    ended: Option<(u64, TunnelError)>,
    said: mpsc::Receiver<(Tunnel, Frame)>,
    say: mpsc::Sender<(Tunnel, Frame)>,
}

impl Lanes {
    pub(crate) fn new(exit: Arc<Exit>, connections: Scope, first: Tunnel) -> Self {
        let (say, said) = mpsc::channel(CONTROL_QUEUE);
        let flows = Arc::new(Semaphore::new(first.max_flows().min(Semaphore::MAX_PERMITS)));
        let (tunnels, attended, ended) = (Vec::new(), FuturesUnordered::new(), None);
        let mut lanes =
            Self { exit, connections, flows, tunnels, next: 0, attended, ended, said, say };
        lanes.add(first);
        lanes
    }

    /// What is new goes to this one from now on.
    pub(crate) fn add(&mut self, tunnel: Tunnel) {
        let number = self.next;
        self.next = number.wrapping_add(1);
        let serving = Serving {
            exit: Arc::clone(&self.exit),
            flows: Arc::clone(&self.flows),
            connections: self.connections.clone(),
        };
        let attending = attend(tunnel.clone(), serving, self.say.clone());
        self.attended.push(Box::pin(async move { (number, attending.await) }));
        self.tunnels.push((number, tunnel));
    }

    /// The one for what is new.
    pub(crate) fn current(&self) -> Option<&Tunnel> {
        self.tunnels.last().map(|(_, tunnel)| tunnel)
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Tunnel> {
        self.tunnels.iter().map(|(_, tunnel)| tunnel)
    }

    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        for tunnel in self.all() {
            tunnel.close(code, reason);
        }
    }

    /// Serves until the last one is over, whatever the gateway says.
    pub(crate) async fn finish(&mut self) -> TunnelError {
        loop {
            if let News::Over(error) = self.next().await {
                return error;
            }
        }
    }

    /// Serves until something is to be told. Cancel safe.
    pub(crate) async fn next(&mut self) -> News {
        if self.ended.is_none() {
            tokio::select! {
                biased;
                Some((tunnel, frame)) = self.said.recv() => return News::Said(tunnel, frame),
                Some(over) = self.attended.next() => self.ended = Some(over),
                else => {}
            }
        }
        // A tunnel may say why it ends, and end at once: that comes first.
        if let Ok((tunnel, frame)) = self.said.try_recv() {
            return News::Said(tunnel, frame);
        }
        let Some((number, error)) = self.ended.take() else {
            return std::future::pending().await;
        };
        let was_current = self.tunnels.last().is_some_and(|(last, _)| *last == number);
        self.tunnels.retain(|(other, _)| *other != number);
        match (self.tunnels.is_empty(), was_current) {
            (true, _) => News::Over(error),
            (false, true) => News::FellBack(error),
            (false, false) => News::Left(error),
        }
    }
}

/// What streams of all tunnels share.
struct Serving {
    exit: Arc<Exit>,
    flows: Arc<Semaphore>,
    connections: Scope,
}

impl Serving {
    fn serve(&self, tunnel: &Tunnel, incoming: Incoming) {
        let (exit, flows) = (Arc::clone(&self.exit), Arc::clone(&self.flows));
        self.connections.spawn("connection", exit.serve(tunnel.clone(), flows, incoming));
    }
}

/// Serves what the gateway opens until the tunnel is over.
async fn attend(
    tunnel: Tunnel,
    serving: Serving,
    say: mpsc::Sender<(Tunnel, Frame)>,
) -> TunnelError {
    let entry = serving.exit.ledger.enter(&serving.exit.group, &tunnel);
    let error = loop {
        tokio::select! {
            biased;
            error = tunnel.closed() => break error,
            frame = tunnel.recv_control() => match frame {
                // The session takes it, or is over.
                Ok(frame) => drop(say.send((tunnel.clone(), frame)).await),
                Err(error) => break error,
            },
            incoming = tunnel.accept() => match incoming {
                Ok(incoming) => serving.serve(&tunnel, incoming),
                Err(error) => break error,
            },
        }
    };
    entry.over(&error);
    if matches!(error, TunnelError::Closed { by: ClosedBy::Us, .. }) {
        tunnel.farewell().await;
    }
    error
}
