//! What a client tells whoever runs it.

use std::net::SocketAddr;

use anyproxy_transport::Transport;
use tokio::sync::watch;

/// What a client is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    /// It tries to reach its gateway.
    #[default]
    Connecting,
    /// Its session is up.
    Connected {
        /// What carries the tunnel.
        transport: Transport,
        /// The forwards, in the order of the configuration.
        forwards: Vec<ForwardState>,
    },
    /// It pauses after a failure, which is told.
    Waiting(String),
    /// It was shut down.
    Ended,
}

/// How far a forward is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardState {
    /// Asked for.
    Requested,
    /// The gateway listens there.
    Bound(SocketAddr),
    /// The gateway said no; it is asked again later.
    Refused(String),
}

/// Tells state changes.
#[derive(Debug)]
pub(crate) struct Reporter(watch::Sender<State>);

impl Reporter {
    pub(crate) fn new() -> (Self, watch::Receiver<State>) {
        let (sender, receiver) = watch::channel(State::default());
        (Self(sender), receiver)
    }

    pub(crate) fn set(&self, state: State) {
        self.0.send_replace(state);
    }

    pub(crate) fn set_forward(&self, index: usize, forward: ForwardState) {
        self.0.send_modify(|state| {
            if let State::Connected { forwards, .. } = state
                && let Some(slot) = forwards.get_mut(index)
            {
                *slot = forward;
            }
        });
    }
}
