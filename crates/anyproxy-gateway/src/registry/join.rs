//! A further tunnel's way into a live session.
//!
//! Whoever joins has proven the group's secret like everybody else, and holds the join key of the
//! session besides. That the session is unknown, another client's or the proof wrong is all the same
//! answer.

use std::sync::Arc;

use anyproxy_transport::{StallBudget, StreamIds, Tunnel};
use anyproxy_wire::{
    codes::CloseCode,
    handshake::{ProofCheck, compare_proofs, join_proof},
    message::Hello,
};

use super::{
    Registry, Session,
    lanes::{BesidePlace, Lane, NotJoined, Role},
    roster::ClientKey,
};
use crate::credentials::Admitted;

/// What a session shares with all its tunnels, and proves that they belong to it.
pub(crate) struct Keys {
    /// Its id on the wire.
    pub(crate) session: [u8; 16],
    /// The secret of later tunnels.
    pub(crate) join_key: [u8; 32],
    pub(crate) budget: Arc<StallBudget>,
    pub(crate) ids: Arc<StreamIds>,
    /// Live data streams at most, over all tunnels.
    pub(crate) max_streams: usize,
}

/// The proof that a tunnel joins, with what it covers.
pub(crate) struct JoinClaim<'a> {
    pub(crate) hello: &'a Hello,
    pub(crate) session: [u8; 16],
    pub(crate) role: Role,
    pub(crate) proof: Option<[u8; 32]>,
    pub(crate) gateway_nonce: &'a [u8; 32],
}

/// A reserved place in a session; dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Joining {
    registry: Arc<Registry>,
    pub(crate) session: Arc<Session>,
    /// Counts the session's tunnels.
    pub(crate) tunnel: u64,
    role: Role,
    place: Option<BesidePlace>,
    state: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Reserved,
    Taken,
}

/// Hides the join key.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Keys {
    fn admit(&self, claim: &JoinClaim<'_>) -> ProofCheck {
        let (session, nonce) = (&self.session, &claim.hello.nonce);
        let expected = join_proof(&self.join_key, session, nonce, claim.gateway_nonce);
        compare_proofs(&expected, &claim.proof.unwrap_or_default())
    }
}

impl NotJoined {
    pub(crate) fn code(self) -> CloseCode {
        match self {
            Self::Over | Self::Late => CloseCode::NoSuchSession,
            Self::Full => CloseCode::OverLimit,
        }
    }

    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Over => "no such session",
            Self::Full => "the session, or the gateway, has all the tunnels it may have",
            Self::Late => "the session has moved to another tunnel",
        }
    }
}

impl Registry {
    /// Reserves a place in the session that `claim` names.
    pub(crate) fn join(
        self: &Arc<Self>,
        admitted: &Admitted,
        claim: &JoinClaim<'_>,
        max_beside: usize,
    ) -> Result<Joining, NotJoined> {
        let session = {
            let groups = self.read();
            let group = groups.get(&admitted.group).ok_or(NotJoined::Over)?;
            if !self.holds(group, (&admitted.group, &admitted.proven)) {
                return Err(NotJoined::Over);
            }
            let named = |session: &&Arc<Session>| session.keys.session == claim.session;
            group.roster.members().iter().find(named).cloned().ok_or(NotJoined::Over)?
        };
        let who = ClientKey { id: claim.hello.client_id.clone(), replica: claim.hello.replica };
        let same = session.client == who
            && session.identity.proven == admitted.proven
            && session.identity.instance == claim.hello.instance;
        if session.keys.admit(claim) == ProofCheck::Wrong || !same {
            return Err(NotJoined::Over);
        }
        let role = claim.role;
        let place = match role {
            Role::Main => None,
            Role::Beside(_) => {
                Some(BesidePlace::take(&self.beside, max_beside).ok_or(NotJoined::Full)?)
            }
        };
        let tunnel = session.lanes.expect(role)?;
        let registry = Arc::clone(self);
        Ok(Joining { registry, session, tunnel, role, place, state: Place::Reserved })
    }
}

impl Joining {
    /// Lets the tunnel carry the session's new streams from now on, all or a part of them.
    pub(crate) fn enter(mut self, tunnel: Tunnel) -> Result<Arc<Lane>, NotJoined> {
        self.state = Place::Taken;
        let numbers = (self.registry.number(), self.tunnel);
        let lane = Lane::new(numbers, tunnel, self.role, self.place.take());
        match self.session.lanes.join(Arc::clone(&lane)) {
            Ok(()) => {
                if lane.role == Role::Main {
                    self.registry.arrived();
                }
                Ok(lane)
            }
            Err(error) => {
                lane.tunnel.close(error.code(), error.reason());
                Err(error)
            }
        }
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        if self.state == Place::Reserved {
            self.session.lanes.give_up(self.role);
        }
    }
}
