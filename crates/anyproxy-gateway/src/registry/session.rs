//! One authenticated client instance.

use std::sync::{Arc, Weak};

use anyproxy_transport::{OpenError, Opening, Stream};
use anyproxy_wire::{codes::CloseCode, frame::Frame, message::Protocol};
use futures_util::future::{BoxFuture, FutureExt as _, pending};
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use super::{
    GiveWay,
    join::Keys,
    lanes::{InUse, Lane, Lanes},
    load::{Candidate, Health},
    roster::{ClientKey, Identity, Member},
    share::{Full, Permit, Share},
};
use crate::{
    config::GroupConfig,
    enrolment::Proven,
    ingress::{self, Carrier},
};

/// A live session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Unique in this process, and ascending.
    pub(crate) number: u64,
    pub(crate) group: Arc<str>,
    pub(crate) client: ClientKey,
    pub(crate) keys: Keys,
    pub(super) lanes: Lanes,
    /// Where its tunnels' control messages go.
    pub(crate) control: mpsc::Sender<(Arc<Lane>, Frame)>,
    pub(super) identity: Identity,
    pub(super) share: Arc<Share>,
    /// What is left of its streams for UDP flows; connections need none of it.
    pub(super) flows: Arc<Semaphore>,
    pub(super) kept: Arc<dyn GiveWay>,
    /// Whether it takes no new connections any more.
    pub(super) leaving: watch::Sender<bool>,
    /// Told when a port that it holds was taken away.
    pub(super) ports_revoked: Notify,
}

/// Why a session opens no stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unopened {
    /// The group has all it may have.
    #[error(transparent)]
    Full(#[from] Full),
    /// The session has as many UDP flows as leave room for connections.
    #[error("this session has all the UDP flows it may have (half of max_streams)")]
    Flows,
    /// The tunnel takes no more, or is over.
    #[error(transparent)]
    Tunnel(#[from] OpenError),
}

impl Session {
    /// Opens a data stream in a lane that it has [entered](Self::enter). Every user's connection and flow comes
    /// through here: it counts among its group's, and takes part of its bandwidth, for as long as the stream
    /// lives. Where the group is full, connections that it only keeps for later give way. Cancel safe.
    pub(crate) async fn open_in_lane(
        &self,
        opening: &Opening,
        used: InUse,
    ) -> Result<Stream, Unopened> {
        let permit = self.permit(opening.protocol).await?;
        let flow = match opening.protocol {
            Protocol::Tcp => None,
            Protocol::Udp => {
                let flows = Arc::clone(&self.flows);
                Some(flows.try_acquire_owned().map_err(|_| Unopened::Flows)?)
            }
        };
        if self.load() >= self.keys.max_streams {
            return Err(OpenError::Overloaded.into());
        }
        let mut stream = used.lane().tunnel.open(opening).await?;
        stream.keep(Box::new((permit, flow, used)));
        stream.set_meters(self.share.meters().clone());
        Ok(stream)
    }

    /// Whether it opens no more flows.
    pub(crate) fn is_full_of_flows(&self) -> bool {
        self.flows.available_permits() == 0
    }

    async fn permit(&self, protocol: Protocol) -> Result<Permit, Full> {
        match self.share.permit(protocol) {
            Err(Full::Connections(_)) => {}
            other => return other,
        }
        // One after the other: whoever finds nothing left to give way gets what an earlier one freed.
        let _turn = self.share.turn().await;
        match self.share.permit(protocol) {
            Err(_) if self.kept.give_way(&self.group).await => self.share.permit(protocol),
            other => other,
        }
    }

    /// A tunnel for a new stream; none of those in `tried`.
    pub(crate) fn enter(&self, tried: &[u64]) -> Option<InUse> {
        self.lanes.enter(tried)
    }

    /// Whether what is new may go to `lane`.
    pub(crate) fn uses(&self, lane: &Lane) -> bool {
        self.lanes.uses(lane)
    }

    /// Whether another tunnel than `lane` would take what is new.
    pub(crate) fn has_other(&self, lane: &Lane) -> bool {
        self.lanes.has_other(lane.number)
    }

    /// Its tunnels, in the order in which they joined.
    pub(crate) fn lanes(&self) -> Vec<Arc<Lane>> {
        self.lanes.all()
    }

    /// The tunnel for whatever is new, while there is one.
    pub(crate) fn current(&self) -> Option<Arc<Lane>> {
        self.lanes.current()
    }

    /// A tunnel is over.
    pub(crate) fn lose(&self, lane: &Lane) {
        self.lanes.leave(lane.number);
    }

    /// Waits until the session needs `lane` no longer, and nothing is left there; says why. Cancel safe.
    pub(crate) async fn spent(&self, lane: &Lane) -> &'static str {
        self.lanes.spent(lane).await
    }

    /// Waits until its last tunnel is over. Cancel safe.
    pub(crate) async fn over(&self) {
        self.lanes.gone().await;
    }

    /// Closes all its tunnels; none joins any more.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        self.lanes.close(code, reason);
    }

    /// What its client was told, and names when it comes back.
    pub(crate) fn generation(&self) -> u64 {
        self.identity.generation
    }

    /// Bytes that stalled connections may hold, as an upper bound.
    pub(super) fn stalled(&self) -> u64 {
        self.keys.budget.charged()
    }

    /// The subject of the certificate that let it in, for people.
    pub(crate) fn certificate(&self) -> Option<&str> {
        self.identity.proven.subject()
    }

    /// Whether its certificate would not let it into the group any more.
    pub(super) fn lost(&self, group: &GroupConfig) -> bool {
        match &self.identity.proven {
            Proven::Certificate(certified) => !certified.holds_under(group.client_ca.as_ref()),
            Proven::Secret(_) | Proven::Key(_) => false,
        }
    }

    /// Takes no new connections from now on.
    pub(crate) fn leave(&self) {
        self.leaving.send_replace(true);
    }

    /// Whether it takes no new connections any more.
    pub(crate) fn is_leaving(&self) -> bool {
        *self.leaving.borrow()
    }

    /// What those whom it serves over `lane` may know of it. What is live there stays when the session
    /// moves to another tunnel, so that one's pulse says nothing of it.
    pub(super) fn carrier(&self, lane: &Arc<Lane>) -> Carrier {
        Carrier::new(self.leaving.subscribe(), Arc::new(Watched(Arc::downgrade(lane))))
    }

    /// What its client proved is not valid any more.
    pub(super) fn revoke(&self, reason: &str) {
        tracing::info!(group = %self.group, client = %self.client.id, session = self.number, reason,
            "session closed");
        self.leave();
        self.close(CloseCode::Unauthorised, reason);
    }

    /// Tells that a port which this session holds was taken away.
    pub(crate) fn revoke_ports(&self) {
        self.ports_revoked.notify_one();
    }

    /// Waits until a port that it holds was taken away. Cancel safe.
    pub(crate) async fn ports_revoked(&self) {
        self.ports_revoked.notified().await;
    }
}

/// A tunnel whose pulse is watched; that does not keep it alive.
#[derive(Debug)]
struct Watched(Weak<Lane>);

impl ingress::Pulse for Watched {
    fn is_silent(&self) -> bool {
        self.0.upgrade().is_some_and(|lane| lane.pulse.is_silent(&lane.tunnel))
    }

    fn silent(&self) -> BoxFuture<'_, ()> {
        match self.0.upgrade() {
            Some(lane) => async move { lane.pulse.silent(&lane.tunnel).await }.boxed(),
            // What it carried breaks by itself.
            None => pending().boxed(),
        }
    }
}

impl Member for Session {
    fn identity(&self) -> &Identity {
        &self.identity
    }
}

impl Candidate for Session {
    fn is_tried(&self, tried: &[u64]) -> bool {
        self.lanes.are_tried(tried)
    }

    fn health(&self) -> Health {
        match self.lanes.best() {
            Some(lane) if !self.is_leaving() && !lane.tunnel.is_closed() => {
                let silent = lane.tunnel.is_suspected() || lane.pulse.is_silent(&lane.tunnel);
                if silent { Health::Silent } else { Health::Good }
            }
            Some(_) | None => Health::Gone,
        }
    }

    fn load(&self) -> usize {
        self.lanes.streams()
    }
}
