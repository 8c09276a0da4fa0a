//! A session's way into the table and out of it.

use std::{collections::HashMap, sync::Arc};

use anyproxy_transport::Tunnel;
use anyproxy_wire::{
    codes::CloseCode,
    frame::Frame,
    message::{Hello, Intent},
};
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use super::{
    Group, Keys, Registry, Session,
    lanes::{Lane, Lanes},
    roster::{Claim, ClientKey, Identity, KeptOut},
};
use crate::{credentials::Admitted, enrolment::Proven};

/// Control messages of all tunnels of a session that may wait for it.
const CONTROL_QUEUE: usize = 16;

/// Sessions that a client may have in parallel, each with a replica's number of its own.
const REPLICAS: u64 = 64;

/// Why a client that proved itself gets no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAdmitted {
    /// The group, or its secret, changed a moment ago.
    #[error("the group was changed")]
    Changed,
    /// Another process with the same client id has taken over.
    #[error("another client with this client id has taken over")]
    Superseded,
    /// A client that has proven something else has that name.
    #[error(
        "this client id is in use by a client with another key or certificate, or with the group's secret \
         instead"
    )]
    Anothers,
    /// The name is that of a client with a key, which may come any time.
    #[error(
        "this client id belongs to a client that joined with a key of its own, though it may be away; choose \
         another client_id, or revoke that client at the gateway"
    )]
    Reserved,
    /// It would have more sessions than a client may.
    #[error("replica {0} is over the {REPLICAS} that a client may have")]
    Replica(u64),
    /// The gateway is full.
    #[error("the gateway has all the {0} sessions it may have (max_sessions)")]
    Gateway(usize),
    /// The group is full.
    #[error("the group has all the {0} sessions it may have (its max_sessions)")]
    Group(usize),
}

impl NotAdmitted {
    pub(crate) fn code(&self) -> CloseCode {
        match self {
            Self::Changed => CloseCode::Unauthorised,
            Self::Superseded | Self::Anothers | Self::Reserved => CloseCode::Superseded,
            Self::Replica(_) | Self::Gateway(_) | Self::Group(_) => CloseCode::OverLimit,
        }
    }
}

impl From<KeptOut> for NotAdmitted {
    fn from(kept_out: KeptOut) -> Self {
        match kept_out {
            KeptOut::Newer => Self::Superseded,
            KeptOut::Anothers => Self::Anothers,
        }
    }
}

/// A client's reserved place: it counts, but serves nobody yet. Dropping it gives the place up.
#[derive(Debug)]
pub(crate) struct Admission {
    registry: Arc<Registry>,
    group: Arc<str>,
    number: u64,
    identity: Identity,
}

impl Registry {
    /// Reserves a place for a client that proved itself. `number` was drawn when it said Hello: of two
    /// log-ins of one client the later one counts, however long its proof took.
    pub(crate) fn admit(
        self: &Arc<Self>,
        admitted: Admitted,
        (hello, number): (&Hello, u64),
        max_sessions: usize,
    ) -> Result<Admission, NotAdmitted> {
        if hello.replica >= REPLICAS {
            return Err(NotAdmitted::Replica(hello.replica));
        }
        let identity = Identity {
            client: ClientKey { id: hello.client_id.clone(), replica: hello.replica },
            proven: admitted.proven,
            instance: hello.instance,
            generation: self.first_generation.saturating_add(number),
            claim: match hello.intent {
                Intent::Supersede { generation } => Claim::UpTo(generation),
                Intent::New | Intent::Join { .. } | Intent::Beside { .. } => Claim::New,
            },
        };
        let mut groups = self.write();
        let everywhere = everywhere(&groups, max_sessions);
        let group = groups.get_mut(&admitted.group).ok_or(NotAdmitted::Changed)?;
        if !self.holds(group, (&admitted.group, &identity.proven)) {
            return Err(NotAdmitted::Changed);
        }
        self.check_name(&admitted.group, &identity)?;
        group.check_limits(&identity.client, everywhere, max_sessions)?;
        group.roster.announce(&identity)?;
        let registry = Arc::clone(self);
        Ok(Admission { registry, group: admitted.group, number, identity })
    }
}

impl Registry {
    /// A client's id is its own from the moment on in which its key is enrolled. Who has the group's secret, or
    /// a certificate of its CA, can say any id, and would keep the client out.
    fn check_name(&self, group: &str, comer: &Identity) -> Result<(), NotAdmitted> {
        match &comer.proven {
            // Its key is enrolled for this id, which was checked.
            Proven::Key(_) => Ok(()),
            Proven::Secret(_) | Proven::Certificate(_)
                if self.enrolments.has_client(group, &comer.client.id) =>
            {
                Err(NotAdmitted::Reserved)
            }
            Proven::Secret(_) | Proven::Certificate(_) => Ok(()),
        }
    }
}

/// Sessions that are expected over all groups; a bound of it where that is below `limit`.
fn everywhere(groups: &HashMap<Arc<str>, Group>, limit: usize) -> usize {
    let bound = groups.values().map(|group| group.roster.at_most()).sum();
    if bound < limit {
        return bound;
    }
    groups.values().map(|group| group.roster.expected(None)).sum()
}

impl Group {
    /// Whether there is room for `comer`. One that takes another's place needs none.
    fn check_limits(
        &self,
        comer: &ClientKey,
        everywhere: usize,
        max_sessions: usize,
    ) -> Result<(), NotAdmitted> {
        let own = self.max_sessions.unwrap_or(usize::MAX);
        if everywhere < max_sessions && self.roster.at_most() < own {
            return Ok(());
        }
        let after = self.roster.expected(Some(comer));
        if after == self.roster.expected(None) {
            return Ok(());
        }
        if everywhere >= max_sessions {
            return Err(NotAdmitted::Gateway(max_sessions));
        }
        if after > own { Err(NotAdmitted::Group(own)) } else { Ok(()) }
    }
}

impl Admission {
    /// What the client is told, and names when it comes back.
    pub(crate) fn generation(&self) -> u64 {
        self.identity.generation
    }

    /// Lets the session serve its group. One whose place it takes is out of the table before this
    /// returns, and its tunnel closes.
    pub(crate) fn join(
        self,
        tunnel: Tunnel,
        keys: Keys,
    ) -> Result<(Joined, Arc<Lane>), NotAdmitted> {
        let entered = self.enter(&tunnel, keys);
        if let Err(error) = &entered {
            tunnel.close(error.code(), &error.to_string());
        }
        entered
    }

    fn enter(&self, tunnel: &Tunnel, keys: Keys) -> Result<(Joined, Arc<Lane>), NotAdmitted> {
        let lane = Lane::first(self.registry.number(), tunnel.clone());
        let (frames, control) = mpsc::channel(CONTROL_QUEUE);
        let (session, superseded) = {
            let mut groups = self.registry.write();
            let group = groups.get_mut(&self.group).ok_or(NotAdmitted::Changed)?;
            if !self.registry.holds(group, (&self.group, &self.identity.proven)) {
                return Err(NotAdmitted::Changed);
            }
            self.registry.check_name(&self.group, &self.identity)?;
            let session = Arc::new(Session {
                number: self.number,
                group: Arc::clone(&self.group),
                client: self.identity.client.clone(),
                keys,
                lanes: Lanes::new(Arc::clone(&lane)),
                control: frames,
                identity: self.identity.clone(),
                share: Arc::clone(&group.share),
                flows: Arc::new(Semaphore::new(tunnel.max_flows().min(Semaphore::MAX_PERMITS))),
                kept: Arc::clone(&self.registry.kept),
                leaving: watch::Sender::new(false),
                ports_revoked: Notify::new(),
            });
            let superseded = group.roster.enter(&session);
            (session, superseded?)
        };
        for older in superseded {
            tracing::info!(group = %older.group, client = %older.client.id, session = older.number,
                by = session.number, "session superseded");
            older.close(CloseCode::Superseded, "the same client connected again");
        }
        self.registry.arrived();
        Ok((Joined { registry: Arc::clone(&self.registry), session, control }, lane))
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(group) = self.registry.write().get_mut(&self.group) {
            group.roster.forget(self.identity.generation);
        }
        self.registry.arrived();
    }
}

/// A session's place in the table; dropping it leaves, and closes what tunnels there still are.
#[derive(Debug)]
pub(crate) struct Joined {
    registry: Arc<Registry>,
    pub(crate) session: Arc<Session>,
    /// What its tunnels' clients say.
    pub(crate) control: mpsc::Receiver<(Arc<Lane>, Frame)>,
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.session.close(CloseCode::Internal, "the session is over");
        if let Some(group) = self.registry.write().get_mut(&self.session.group) {
            group.roster.leave(self.session.identity.generation);
        }
    }
}
