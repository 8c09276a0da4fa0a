//! Groups and their sessions: the only place where ingress and sessions meet.
//!
//! ```text
//! Hello ─ admit: limits, who supersedes whom ─▶ Admission ─ Welcome ─ join ─▶ Joined ─ leave
//! ```
//!
//! A session is in the table from Welcome to the end of its last tunnel. It is taken out by its own
//! number, never by the client's name, so a late clean-up cannot remove its successor.

mod admission;
mod figures;
mod give_way;
mod join;
mod lanes;
mod load;
mod pulse;
mod roster;
mod route;
mod session;
mod share;

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use anyproxy_runtime::Shaper;
use anyproxy_transport::ClientCa;
use anyproxy_wire::codes::CloseCode;
use tokio::sync::watch;

use crate::{
    config::{Credential, GroupConfig},
    enrolment::{Enrolments, Proven},
};
pub(crate) use admission::{Admission, Joined, NotAdmitted};
pub use figures::{GroupFigures, SessionFigures};
pub(crate) use give_way::{GiveWay, MAKE_ROOM};
pub(crate) use join::{JoinClaim, Joining, Keys};
pub(crate) use lanes::{InUse, Lane, Role};
pub(crate) use load::{Candidate, Health, least_loaded};
use roster::Roster;
pub(crate) use session::Session;
use share::Share;

/// Generations of one start of the gateway begin this far from those of a second before.
const GENERATIONS_EACH_SECOND: u64 = 1 << 24;

/// All groups with their live sessions.
#[derive(Debug)]
pub struct Registry {
    groups: RwLock<HashMap<Arc<str>, Group>>,
    bandwidth: Bandwidth,
    /// What gives way when a group is full.
    kept: Arc<dyn GiveWay>,
    enrolments: Arc<dyn Enrolments>,
    next: AtomicU64,
    first_generation: u64,
    turn: AtomicUsize,
    /// Tunnels beside the main ones of their sessions.
    beside: Arc<AtomicUsize>,
    /// Counts the tunnels that came, and the sessions that were awaited and did not.
    arrivals: watch::Sender<u64>,
}

#[derive(Debug)]
struct Group {
    /// What its sessions proved, but for those with a key of their own.
    tunnel: Credential,
    /// Whose certificates its other sessions have shown.
    client_ca: Option<ClientCa>,
    max_sessions: Option<usize>,
    roster: Roster<Session>,
    share: Arc<Share>,
}

/// What all groups share, in both directions of the tunnels.
#[derive(Debug, Clone)]
pub(crate) struct Bandwidth {
    pub(crate) to_targets: Arc<Shaper>,
    pub(crate) to_users: Arc<Shaper>,
}

impl Bandwidth {
    /// At most `total` bytes a second, each way.
    pub(crate) fn new(total: Option<u64>) -> Self {
        Self { to_targets: Shaper::new(total), to_users: Shaper::new(total) }
    }
}

impl Registry {
    pub(crate) fn new(
        groups: &[GroupConfig],
        bandwidth: Bandwidth,
        kept: Arc<dyn GiveWay>,
        enrolments: Arc<dyn Enrolments>,
    ) -> Self {
        // Clients keep generations over a restart of the gateway: new ones must be higher.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let registry = Self {
            groups: RwLock::default(),
            bandwidth,
            kept,
            enrolments,
            next: AtomicU64::new(1),
            first_generation: since.as_secs().saturating_mul(GENERATIONS_EACH_SECOND),
            turn: AtomicUsize::new(0),
            beside: Arc::default(),
            arrivals: watch::Sender::new(0),
        };
        registry.set_groups(groups);
        registry
    }

    /// Replaces all groups. Sessions of groups that are gone or have another tunnel credential are out
    /// of the table when this returns, and their tunnels close; gives their numbers.
    pub(crate) fn set_groups(&self, configs: &[GroupConfig]) -> Vec<u64> {
        let mut closed = Vec::new();
        {
            let mut groups = self.write();
            let mut former = std::mem::take(&mut *groups);
            for config in configs {
                let group = match former.remove(config.name.as_str()) {
                    Some(mut group) => {
                        if group.tunnel != config.tunnel {
                            let reason = "the group's secret was changed";
                            // A client's own key has nothing to do with it.
                            let by_secret = |session: &Session| {
                                matches!(session.identity.proven, Proven::Secret(_))
                            };
                            let gone = group.roster.take(by_secret).into_iter();
                            closed.extend(gone.map(|session| (session, reason)));
                        }
                        if group.client_ca != config.client_ca {
                            let reason =
                                "no CA of the group vouches for this client's certificate now";
                            let gone =
                                group.roster.take(|session| session.lost(config)).into_iter();
                            closed.extend(gone.map(|session| (session, reason)));
                        }
                        group.configure(config);
                        group
                    }
                    None => Group::new(config, &self.bandwidth),
                };
                groups.insert(config.name.as_str().into(), group);
            }
            for mut group in former.into_values() {
                group.share.lift();
                let reason = "the group was removed";
                closed.extend(group.roster.clear().map(|session| (session, reason)));
            }
        }
        let close = |(session, reason): (Arc<Session>, &str)| {
            session.revoke(reason);
            session.number
        };
        closed.into_iter().map(close).collect()
    }

    /// Closes the sessions that a key let in which is not enrolled any more; gives how many.
    pub(crate) fn check_enrolled(&self) -> usize {
        let mut closed = Vec::new();
        for (name, group) in &mut *self.write() {
            let revoked = |session: &Session| match &session.identity.proven {
                Proven::Key(key) => self.enrolments.client_of(name, key).is_none(),
                Proven::Secret(_) | Proven::Certificate(_) => false,
            };
            closed.extend(group.roster.take(revoked));
        }
        for session in &closed {
            session.revoke("the client was revoked");
        }
        closed.len()
    }

    /// Whether what a client proved lets it into the group of that name now.
    fn holds(&self, group: &Group, (name, proven): (&str, &Proven)) -> bool {
        match proven {
            Proven::Secret(secret) => group.tunnel == *secret,
            Proven::Key(key) => self.enrolments.client_of(name, key).is_some(),
            Proven::Certificate(certified) => certified.is_under(group.client_ca.as_ref()),
        }
    }

    /// Live sessions over all groups.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.read().values().map(|group| group.roster.members().len()).sum()
    }

    /// Bytes that stalled connections of all sessions may hold, as an upper bound.
    #[must_use]
    pub fn stalled(&self) -> u64 {
        let groups = self.read();
        let sessions = groups.values().flat_map(|group| group.roster.members());
        sessions.map(|session| session.stalled()).sum()
    }

    /// Closes every tunnel.
    pub(crate) fn close_all(&self, code: CloseCode, reason: &str) {
        for group in self.read().values() {
            for session in group.roster.members() {
                session.close(code, reason);
            }
        }
    }

    /// Whether `group` has a session besides the one of this number that was not tried.
    fn has_others(&self, group: &str, number: u64, tried: &[u64]) -> bool {
        let groups = self.read();
        let members = groups.get(group).map_or(&[][..], |group| group.roster.members());
        members.iter().any(|session| session.number != number && !session.is_tried(tried))
    }

    /// Whether a session of `group` is about to be in the table. Its client is told first, and what it
    /// believes its users may.
    fn awaits(&self, group: &str) -> bool {
        self.read().get(group).is_some_and(|group| group.roster.awaits())
    }

    /// The session of `group` with the fewest live streams that was not tried, and its tunnel that was not; ties take
    /// turns.
    fn pick(&self, group: &str, tried: &[u64]) -> Option<(Arc<Session>, InUse)> {
        let groups = self.read();
        let members = groups.get(group)?.roster.members();
        loop {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let session = least_loaded(members, |it| &**it, turn, tried)?;
            // Else its tunnel was lost just now, and it is not picked again.
            if let Some(used) = session.enter(tried) {
                return Some((Arc::clone(session), used));
            }
        }
    }

    /// A number for a session or a tunnel, ascending.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells those who wait for a better session than they had that a tunnel came, or that one does not.
    fn arrived(&self) {
        self.arrivals.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The tables stay whole whatever panics, so poisoning says nothing.
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Arc<str>, Group>> {
        self.groups.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Arc<str>, Group>> {
        self.groups.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    fn new(config: &GroupConfig, bandwidth: &Bandwidth) -> Self {
        Self {
            tunnel: config.tunnel.clone(),
            client_ca: config.client_ca.clone(),
            max_sessions: config.limits.max_sessions,
            roster: Roster::default(),
            share: Share::new(&config.limits, bandwidth),
        }
    }

    fn configure(&mut self, config: &GroupConfig) {
        self.tunnel = config.tunnel.clone();
        self.client_ca = config.client_ca.clone();
        self.max_sessions = config.limits.max_sessions;
        self.share.set_limits(&config.limits);
    }
}
