//! The tunnels of one session at the client: one that carries what is new, and those that it moved
//! away from.
//!
//! Whatever the gateway opens is served, on every one of them. The gateway closes a tunnel that was
//! left as soon as nothing is on it.

use std::sync::Arc;

use anyproxy_runtime::Scope;
use anyproxy_transport::{ClosedBy, Tunnel, TunnelError};
use anyproxy_wire::{codes::CloseCode, frame::Frame};
use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::mpsc;

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
    /// In the order in which they came; never empty before the session is over.
    tunnels: Vec<(u64, Tunnel)>,
    next: u64,
    attended: FuturesUnordered<BoxFuture<'static, (u64, TunnelError)>>,
    said: mpsc::Receiver<(Tunnel, Frame)>,
    say: mpsc::Sender<(Tunnel, Frame)>,
}

impl Lanes {
    pub(crate) fn new(exit: Arc<Exit>, connections: Scope, first: Tunnel) -> Self {
        let (say, said) = mpsc::channel(CONTROL_QUEUE);
        let (tunnels, attended) = (Vec::new(), FuturesUnordered::new());
        let mut lanes = Self { exit, connections, tunnels, next: 0, attended, said, say };
        lanes.add(first);
        lanes
    }

    /// What is new goes to this one from now on.
    pub(crate) fn add(&mut self, tunnel: Tunnel) {
        let number = self.next;
        self.next = number.wrapping_add(1);
        let attending = attend(
            tunnel.clone(),
            Arc::clone(&self.exit),
            self.connections.clone(),
            self.say.clone(),
        );
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

    /// Serves until something is to be told. Cancel safe.
    pub(crate) async fn next(&mut self) -> News {
        let (number, error) = tokio::select! {
            biased;
            Some(over) = self.attended.next() => over,
            Some((tunnel, frame)) = self.said.recv() => return News::Said(tunnel, frame),
            else => return std::future::pending().await,
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

/// Serves what the gateway opens until the tunnel is over.
async fn attend(
    tunnel: Tunnel,
    exit: Arc<Exit>,
    connections: Scope,
    say: mpsc::Sender<(Tunnel, Frame)>,
) -> TunnelError {
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
                Ok(incoming) => {
                    let serving = Arc::clone(&exit).serve(tunnel.clone(), incoming);
                    connections.spawn("connection", serving);
                }
                Err(error) => break error,
            },
        }
    };
    if matches!(error, TunnelError::Closed { by: ClosedBy::Us, .. }) {
        tunnel.farewell().await;
    }
    error
}
