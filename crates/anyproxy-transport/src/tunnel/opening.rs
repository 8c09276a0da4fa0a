//! Opening a data stream: what for, under which id, and why not.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyproxy_wire::{
    codes::OpenCode,
    message::{Ingress, Open, Protocol, Target},
    mux::Side,
};

use crate::error::TunnelError;

/// Gives each data stream of a session its id; shared by all the session's tunnels.
#[derive(Debug)]
pub struct StreamIds(AtomicU64);

impl StreamIds {
    /// Ids of streams that `side` opens: the low bit is 1 for the gateway.
    #[must_use]
    pub fn new(side: Side) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(match side {
            Side::Gateway => 1,
            Side::Client => 2,
        })))
    }

    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(2, Ordering::Relaxed)
    }
}

/// What a data stream is opened for.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Where the connection came in.
    pub ingress: Ingress,
    /// Where it shall go.
    pub target: Target,
    /// The user's address.
    pub source: Option<SocketAddr>,
    /// The address of the gateway at which the user arrived.
    pub destination: Option<SocketAddr>,
    /// Who authenticated at the ingress; empty for none.
    pub user: String,
    /// A TCP connection, or a flow.
    pub protocol: Protocol,
}

impl Opening {
    pub(crate) fn with_id(&self, stream: u64) -> Open {
        Open {
            stream,
            ingress: self.ingress,
            target: self.target.clone(),
            source: self.source,
            destination: self.destination,
            user: self.user.clone(),
            protocol: self.protocol,
        }
    }
}

/// Why no stream could be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Stalled streams hold the session's whole budget, or it has too many streams.
    #[error("the session is overloaded")]
    Overloaded,
    /// The tunnel is over.
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
}

impl OpenError {
    /// The open code that says the same.
    #[must_use]
    pub fn code(&self) -> OpenCode {
        match self {
            Self::Overloaded => OpenCode::Overloaded,
            Self::Tunnel(_) => OpenCode::Abandoned,
        }
    }
}
