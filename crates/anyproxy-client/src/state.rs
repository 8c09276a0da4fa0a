//! What a client tells whoever runs it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyproxy_transport::Transport;
use tokio::sync::watch;

/// What a client is doing, over all its replicas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    /// It tries to reach its gateway.
    #[default]
    Connecting,
    /// At least one session is up.
    Connected {
        /// What carries the tunnel; of the first replica that has a session.
        transport: Transport,
        /// The forwards, in the order of the configuration; each as far as any replica got.
        forwards: Vec<ForwardState>,
        /// How many replicas have a session.
        replicas: u32,
    },
    /// It pauses after a failure, which is told. Other replicas may be trying.
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

impl State {
    /// The state of all, given each replica's.
    fn of_all(replicas: &[Self]) -> Self {
        replicas.iter().fold(Self::Ended, |sum, replica| sum.with(replica))
    }

    /// What tells more: a session, then a reason, then an attempt.
    fn with(self, other: &Self) -> Self {
        match (self, other) {
            (
                Self::Connected { transport, forwards, replicas },
                Self::Connected { forwards: theirs, replicas: more, .. },
            ) => Self::Connected {
                transport,
                forwards: forwards.into_iter().zip(theirs).map(|(a, b)| a.or(b)).collect(),
                replicas: replicas.saturating_add(*more),
            },
            (mine, theirs) if theirs.telling() > mine.telling() => theirs.clone(),
            (mine, _) => mine,
        }
    }

    fn telling(&self) -> u8 {
        match self {
            Self::Ended => 0,
            Self::Connecting => 1,
            Self::Waiting(_) => 2,
            Self::Connected { .. } => 3,
        }
    }
}

impl ForwardState {
    /// A port that one replica holds is open, whatever the others were told.
    fn or(self, other: &Self) -> Self {
        match (&self, other) {
            (Self::Requested, _) | (Self::Refused(_), Self::Bound(_)) => other.clone(),
            (Self::Bound(_) | Self::Refused(_), _) => self,
        }
    }
}

/// The replicas' states, and what they come to.
#[derive(Debug)]
struct Board {
    replicas: Mutex<Vec<State>>,
    sum: watch::Sender<State>,
}

/// Tells state changes of one replica.
#[derive(Debug)]
pub(crate) struct Reporter {
    board: Arc<Board>,
    index: usize,
}

impl Reporter {
    /// One for each of `count` replicas, and where the sum of them is seen.
    pub(crate) fn for_replicas(count: usize) -> (Vec<Self>, watch::Receiver<State>) {
        let (sum, receiver) = watch::channel(State::default());
        let replicas = Mutex::new(vec![State::default(); count]);
        let board = Arc::new(Board { replicas, sum });
        let reporter = |index| Self { board: Arc::clone(&board), index };
        ((0..count).map(reporter).collect(), receiver)
    }

    /// The session is up, and no forward is answered yet.
    pub(crate) fn connected(&self, transport: Transport, forwards: usize) {
        let forwards = vec![ForwardState::Requested; forwards];
        self.set(State::Connected { transport, forwards, replicas: 1 });
    }

    /// The session moved to another tunnel.
    pub(crate) fn moved(&self, to: Transport) {
        self.change(|mine| {
            if let State::Connected { transport, .. } = mine {
                *transport = to;
            }
        });
    }

    pub(crate) fn set(&self, state: State) {
        self.change(|mine| *mine = state);
    }

    /// Whether that is news.
    pub(crate) fn set_forward(&self, index: usize, forward: ForwardState) -> bool {
        self.change(|mine| {
            if let State::Connected { forwards, .. } = mine
                && let Some(slot) = forwards.get_mut(index)
            {
                *slot = forward;
            }
        })
    }

    /// Whether it changed this replica's state. The sum follows under the lock, lest an older one
    /// overtakes it.
    fn change(&self, change: impl FnOnce(&mut State)) -> bool {
        let mut replicas = self.board.replicas.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mine) = replicas.get_mut(self.index) else { return false };
        let before = mine.clone();
        change(mine);
        let news = *mine != before;
        let now = State::of_all(&replicas);
        self.board.sum.send_if_modified(|sum| {
            let changed = *sum != now;
            *sum = now;
            changed
        });
        news
    }
}

#[cfg(test)]
mod tests;
