//! Groups and their sessions: the only place where ingress and sessions meet.
//!
//! A session is in the table from Welcome to the end of its tunnel. It is taken out by its own
//! number, never by the client's name, so a late clean-up cannot remove its successor.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use anyproxy_runtime::Deadline;
use anyproxy_transport::{OpenError, Opening, Stream, StreamError, Tunnel};
use anyproxy_wire::codes::{CloseCode, OpenCode};

use crate::ingress::{OpenFailure, OpenRequest, Opened, Route};

/// All groups with their live sessions.
#[derive(Debug)]
pub struct Registry {
    groups: HashMap<Arc<str>, RwLock<Vec<Arc<Session>>>>,
    next: AtomicU64,
    turn: AtomicUsize,
}

/// One authenticated client instance.
#[derive(Debug)]
pub(crate) struct Session {
    /// Unique in this process, and ascending: the session's generation.
    pub(crate) number: u64,
    pub(crate) group: Arc<str>,
    pub(crate) client: ClientKey,
    pub(crate) tunnel: Tunnel,
    leaving: AtomicBool,
}

/// What a reconnecting client has in common with its former self.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientKey {
    pub(crate) id: String,
    pub(crate) replica: u64,
}

impl Session {
    /// Opens a data stream. Every user's connection and flow comes through here.
    pub(crate) async fn open(&self, opening: &Opening) -> Result<Stream, OpenError> {
        self.tunnel.open(opening).await
    }

    /// Takes no new connections from now on.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether it takes no new connections any more.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    fn takes_more(&self) -> bool {
        !self.is_leaving()
    }
}

impl Registry {
    pub(crate) fn new(groups: impl IntoIterator<Item = Arc<str>>) -> Self {
        let groups = groups.into_iter().map(|name| (name, RwLock::default())).collect();
        Self { groups, next: AtomicU64::new(1), turn: AtomicUsize::new(0) }
    }

    /// A number for a new session.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Lets a session serve its group. An older one of the same client is superseded: it is out of
    /// the table before this returns, and its tunnel closes.
    pub(crate) fn join(
        self: &Arc<Self>,
        client: ClientKey,
        tunnel: Tunnel,
        place: Place,
    ) -> Joined {
        let session = Arc::new(Session {
            number: place.number,
            group: place.group,
            client,
            tunnel,
            leaving: AtomicBool::new(false),
        });
        let mut superseded = Vec::new();
        if let Some(sessions) = self.groups.get(&session.group) {
            let mut sessions = write(sessions);
            sessions.retain(|older| {
                let same = older.client == session.client && older.number < session.number;
                if same {
                    superseded.push(Arc::clone(older));
                }
                !same
            });
            sessions.push(Arc::clone(&session));
        }
        for older in superseded {
            tracing::info!(group = %older.group, client = %older.client.id, session = older.number,
                by = session.number, "session superseded");
            older.tunnel.close(CloseCode::Superseded, "the same client connected again");
        }
        Joined { registry: Arc::clone(self), session }
    }

    /// Live sessions over all groups.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.groups.values().map(|sessions| read(sessions).len()).sum()
    }

    /// Bytes that stalled connections of all sessions may hold, as an upper bound.
    #[must_use]
    pub fn stalled(&self) -> u64 {
        let stalled = |sessions: &RwLock<Vec<Arc<Session>>>| -> u64 {
            read(sessions).iter().map(|session| session.tunnel.stats().stalled).sum()
        };
        self.groups.values().map(stalled).sum()
    }

    /// Closes every tunnel.
    pub(crate) fn close_all(&self, code: CloseCode, reason: &str) {
        for sessions in self.groups.values() {
            for session in read(sessions).iter() {
                session.tunnel.close(code, reason);
            }
        }
    }

    /// The session of `group` with the fewest live streams that was not tried; ties take turns.
    fn pick(&self, group: &str, tried: &[u64]) -> Option<Arc<Session>> {
        let sessions = read(self.groups.get(group)?);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        least_loaded(sessions.iter(), turn, tried)
    }
}

/// The least loaded of `sessions` that takes more and is not in `tried`; among equals, the
/// `turn`-th.
pub(crate) fn least_loaded<'a>(
    sessions: impl Iterator<Item = &'a Arc<Session>>,
    turn: usize,
    tried: &[u64],
) -> Option<Arc<Session>> {
    let mut best: Vec<&Arc<Session>> = Vec::new();
    let mut least = usize::MAX;
    for session in sessions.filter(|s| s.takes_more() && !tried.contains(&s.number)) {
        let load = session.tunnel.streams();
        if load < least {
            least = load;
            best.clear();
        }
        if load == least {
            best.push(session);
        }
    }
    let index = turn.checked_rem(best.len())?;
    best.get(index).map(|session| Arc::clone(session))
}

/// Where a new session goes.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) group: Arc<str>,
    pub(crate) number: u64,
}

/// A session's place in the table; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Joined {
    registry: Arc<Registry>,
    pub(crate) session: Arc<Session>,
}

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some(sessions) = self.registry.groups.get(&self.session.group) {
            write(sessions).retain(|other| other.number != self.session.number);
        }
    }
}

impl Route for Registry {
    async fn open(&self, request: &OpenRequest, deadline: Deadline) -> Result<Opened, OpenFailure> {
        let opening = self.open_somewhere(request);
        deadline.bound(opening).await.unwrap_or(Err(OpenFailure::TimedOut))
    }
}

impl Registry {
    /// Tries one session after the other, as long as it is the session that fails and not the
    /// target.
    async fn open_somewhere(&self, request: &OpenRequest) -> Result<Opened, OpenFailure> {
        let mut tried = Vec::new();
        let mut failure = OpenFailure::NoSession;
        while let Some(session) = self.pick(&request.group, &tried) {
            tried.push(session.number);
            match open_at(&session, request).await {
                Ok(opened) => return Ok(opened),
                Err(OpenFailure::Refused { code, detail }) => {
                    let overloaded = matches!(code, OpenCode::Draining | OpenCode::Overloaded);
                    failure = OpenFailure::Refused { code, detail };
                    if !overloaded {
                        return Err(failure);
                    }
                }
                Err(other) => failure = other,
            }
        }
        Err(failure)
    }
}

async fn open_at(session: &Session, request: &OpenRequest) -> Result<Opened, OpenFailure> {
    let mut stream = session.open(&request.opening).await.map_err(|error| match error {
        OpenError::Overloaded => OpenFailure::Refused {
            code: OpenCode::Overloaded,
            detail: "too many connections, or readers that rest, in this session".into(),
        },
        OpenError::Tunnel(_) => OpenFailure::Lost,
    })?;
    let reply = stream.reply().await.map_err(|error| {
        if matches!(error, StreamError::TunnelLost(_)) {
            return OpenFailure::Lost;
        }
        OpenFailure::Refused { code: OpenCode::Abandoned, detail: error.to_string() }
    })?;
    if reply.code == OpenCode::Connected {
        return Ok(Opened { stream, address: reply.address });
    }
    if reply.code == OpenCode::Draining {
        session.leave();
    }
    Err(OpenFailure::Refused { code: reply.code, detail: reply.detail })
}

/// The tables stay whole whatever panics, so poisoning says nothing.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
