//! What the replicas note down for whoever watches the client.
//!
//! Written when a tunnel comes or a session ends, read when somebody asks.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use anyproxy_transport::{LedgerFigures, OpensFigures, SessionId, Stats, Transport, Tunnel};
use tokio::time::Instant;

use crate::{failure::Failure, state::State};

/// A client at one moment; not a single one, since nothing is stopped for it.
#[derive(Debug, Clone)]
pub struct ClientFigures {
    /// What it is doing, with its forwards.
    pub state: State,
    /// Its sessions, by number.
    pub replicas: Vec<ReplicaFigures>,
    /// Tunnels, and what they moved.
    pub tunnels: LedgerFigures,
    /// What became of what the gateway opened.
    pub opens: OpensFigures,
    /// Why there was no session, by code: of the gateway, or `unreachable`.
    pub failures: Vec<(String, u64)>,
    /// The latest of these.
    pub last_failure: Option<LastFailure>,
    /// Live connections and flows.
    pub connections: usize,
    /// Live UDP flows.
    pub flows: usize,
    /// Datagrams of flows that were dropped.
    pub dropped_datagrams: u64,
    /// How often the target of a flow was not there.
    pub unreachable_targets: u64,
    /// Bytes that stalled connections may hold here, as an upper bound.
    pub stalled: u64,
}

/// One of a client's parallel sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaFigures {
    /// Which of them.
    pub number: u64,
    /// Sessions that it ever had.
    pub sessions: u64,
    /// How often a session moved to another tunnel.
    pub moves: u64,
    /// Its session, while there is one.
    pub live: Option<LiveFigures>,
}

/// A live session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFigures {
    /// As logs name it at both ends.
    pub id: SessionId,
    /// The gateway's address.
    pub gateway: SocketAddr,
    /// What carries new connections.
    pub transport: Transport,
    /// Why that one.
    pub why: &'static str,
    /// For how long.
    pub since: Duration,
    /// Figures of its tunnel.
    pub stats: Stats,
}

/// Why there was no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFailure {
    /// When.
    pub at: SystemTime,
    /// For people, with the fix where there is one.
    pub text: String,
    /// Of which replica.
    pub replica: u64,
}

/// Notes of all replicas.
#[derive(Debug)]
pub(crate) struct Notes(Mutex<Book>);

#[derive(Debug)]
struct Book {
    replicas: Vec<Note>,
    failures: BTreeMap<String, u64>,
    last: Option<LastFailure>,
}

#[derive(Debug, Default)]
struct Note {
    sessions: u64,
    moves: u64,
    live: Option<Live>,
}

#[derive(Debug)]
struct Live {
    tunnel: Tunnel,
    why: &'static str,
    since: Instant,
}

impl Notes {
    /// For so many replicas.
    pub(crate) fn new(replicas: usize) -> Arc<Self> {
        let replicas = std::iter::repeat_with(Note::default).take(replicas).collect();
        Arc::new(Self(Mutex::new(Book { replicas, failures: BTreeMap::new(), last: None })))
    }

    /// A session is up.
    pub(crate) fn up(&self, replica: u64, tunnel: &Tunnel, why: &'static str) {
        self.note(replica, |note| {
            note.sessions = note.sessions.saturating_add(1);
            note.live.replace(Live::new(tunnel, why))
        });
    }

    /// The session goes on over another tunnel.
    pub(crate) fn moved(&self, replica: u64, tunnel: &Tunnel, why: &'static str) {
        self.note(replica, |note| {
            note.moves = note.moves.saturating_add(1);
            note.live.replace(Live::new(tunnel, why))
        });
    }

    /// The session is over, or the gateway takes nothing more on it.
    pub(crate) fn down(&self, replica: u64) {
        self.note(replica, |note| note.live.take());
    }

    /// That is why there is none.
    pub(crate) fn failed(&self, replica: u64, failure: &Failure, text: &str) {
        let code = failure
            .code()
            .map_or_else(|| "unreachable".into(), |code| code.to_string().replace(' ', "_"));
        let mut book = self.book();
        let count = book.failures.entry(code).or_default();
        *count = count.saturating_add(1);
        book.last = Some(LastFailure { at: SystemTime::now(), text: text.into(), replica });
    }

    /// What was noted of the replicas.
    pub(crate) fn replicas(&self) -> Vec<ReplicaFigures> {
        let book = self.book();
        let of = |(number, note): (u64, &Note)| ReplicaFigures {
            number,
            sessions: note.sessions,
            moves: note.moves,
            live: note.live.as_ref().filter(|live| !live.tunnel.is_closed()).map(Live::figures),
        };
        (0..).zip(&book.replicas).map(of).collect()
    }

    /// What was noted of failures.
    pub(crate) fn failures(&self) -> (Vec<(String, u64)>, Option<LastFailure>) {
        let book = self.book();
        let failures = book.failures.iter().map(|(code, count)| (code.clone(), *count));
        (failures.collect(), book.last.clone())
    }

    /// What `change` takes out is dropped when nothing is locked: the last handle of a tunnel closes it.
    fn note(&self, replica: u64, change: impl FnOnce(&mut Note) -> Option<Live>) {
        let mut book = self.book();
        let note = usize::try_from(replica).ok().and_then(|index| book.replicas.get_mut(index));
        let out = note.and_then(change);
        drop(book);
        drop(out);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn new(tunnel: &Tunnel, why: &'static str) -> Self {
        Self { tunnel: tunnel.clone(), why, since: Instant::now() }
    }

    fn figures(&self) -> LiveFigures {
        LiveFigures {
            id: self.tunnel.session(),
            gateway: self.tunnel.peer(),
            transport: self.tunnel.transport(),
            why: self.why,
            since: self.since.elapsed(),
            stats: self.tunnel.stats(),
        }
    }
}
