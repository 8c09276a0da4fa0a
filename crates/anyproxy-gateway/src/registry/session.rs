//! One authenticated client instance.

use std::sync::{Arc, Weak};

use anyproxy_transport::{OpenError, Opening, Stream, Tunnel};
use anyproxy_wire::{codes::CloseCode, message::Protocol};
use futures_util::future::{BoxFuture, FutureExt as _, pending};
use tokio::sync::{Notify, Semaphore, watch};

use super::{
    GiveWay,
    load::{Candidate, Health},
    pulse::{LEAST_OF_FLOWS, Pulse},
    roster::{ClientKey, Identity, Member},
    share::{Full, Permit, Share},
};
use crate::ingress::{self, Carrier};

/// A live session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Unique in this process, and ascending.
    pub(crate) number: u64,
    pub(crate) group: Arc<str>,
    pub(crate) client: ClientKey,
    pub(crate) tunnel: Tunnel,
    pub(super) identity: Identity,
    pub(super) share: Arc<Share>,
    /// What is left of its streams for UDP flows; connections need none of it.
    pub(super) flows: Arc<Semaphore>,
    pub(super) kept: Arc<dyn GiveWay>,
    /// Whether it takes no new connections any more.
    pub(super) leaving: watch::Sender<bool>,
    pub(super) pulse: Pulse,
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
    /// Opens a data stream. Every user's connection and flow comes through here: it counts among its
    /// group's, and takes part of its bandwidth, for as long as the stream lives. Where the group is
    /// full, connections that it only keeps for later give way. Cancel safe.
    pub(crate) async fn open(&self, opening: &Opening) -> Result<Stream, Unopened> {
        let permit = self.permit(opening.protocol).await?;
        let flow = match opening.protocol {
            Protocol::Tcp => None,
            Protocol::Udp => {
                let flows = Arc::clone(&self.flows);
                Some(flows.try_acquire_owned().map_err(|_| Unopened::Flows)?)
            }
        };
        let mut stream = self.tunnel.open(opening).await?;
        stream.keep(Box::new((permit, flow)));
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

    /// Waits until nothing at all has come from the client for long enough after now that it is
    /// taken for silent; for ever if something comes. Cancel safe.
    pub(crate) async fn silent(&self) {
        self.pulse.silent(&self.tunnel).await;
    }

    /// Whether nothing at all comes from the client for a while from now, within which something just
    /// sent to it would have been acknowledged. Looks only once, at the end. Cancel safe.
    pub(crate) async fn stays_silent(&self) -> bool {
        self.pulse.stays_silent(&self.tunnel, LEAST_OF_FLOWS).await
    }

    /// Waits until something has come from the client. Cancel safe.
    pub(crate) async fn heard(&self) {
        self.pulse.heard(&self.tunnel).await;
    }

    /// Takes no new connections from now on.
    pub(crate) fn leave(&self) {
        self.leaving.send_replace(true);
    }

    /// Whether it takes no new connections any more.
    pub(crate) fn is_leaving(&self) -> bool {
        *self.leaving.borrow()
    }

    /// What those whom it serves may know of it.
    pub(super) fn carrier(self: &Arc<Self>) -> Carrier {
        Carrier::new(self.leaving.subscribe(), Arc::new(Watched(Arc::downgrade(self))))
    }

    /// What its client proved is not valid any more.
    pub(super) fn revoke(&self, reason: &str) {
        tracing::info!(group = %self.group, client = %self.client.id, session = self.number, reason,
            "session closed");
        self.leave();
        self.tunnel.close(CloseCode::Unauthorised, reason);
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

/// A session whose pulse is watched; that does not keep it alive.
#[derive(Debug)]
struct Watched(Weak<Session>);

impl ingress::Pulse for Watched {
    fn is_silent(&self) -> bool {
        self.0.upgrade().is_some_and(|session| session.pulse.is_silent(&session.tunnel))
    }

    fn silent(&self) -> BoxFuture<'_, ()> {
        match self.0.upgrade() {
            Some(session) => async move { session.silent().await }.boxed(),
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
    fn number(&self) -> u64 {
        self.number
    }

    fn health(&self) -> Health {
        if self.is_leaving() || self.tunnel.is_closed() {
            return Health::Gone;
        }
        if self.pulse.is_silent(&self.tunnel) { Health::Silent } else { Health::Good }
    }

    fn load(&self) -> usize {
        self.tunnel.streams()
    }
}
