//! One authenticated client instance.

use std::sync::Arc;

use anyproxy_transport::{OpenError, Opening, Stream, TunnelError};
use anyproxy_wire::{codes::CloseCode, frame::Frame};
use tokio::sync::{Notify, mpsc, watch};

use super::{
    join::Keys,
    lanes::{Lane, Lanes},
    load::{Candidate, Health},
    roster::{ClientKey, Identity, Member},
    share::{Full, Share},
};
use crate::ingress::Departure;

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
    /// The tunnel takes no more, or is over.
    #[error(transparent)]
    Tunnel(#[from] OpenError),
}

impl Session {
    /// Opens a data stream. Every user's connection and flow comes through here: it counts among its
    /// group's, and takes part of its bandwidth, for as long as the stream lives.
    pub(crate) async fn open(&self, opening: &Opening) -> Result<Stream, Unopened> {
        let permit = self.share.permit(opening.protocol)?;
        if self.load() >= self.keys.max_streams {
            return Err(OpenError::Overloaded.into());
        }
        let lane = self.lanes.enter().ok_or(OpenError::Tunnel(TunnelError::PeerDead))?;
        let mut stream = lane.lane().tunnel.open(opening).await?;
        stream.keep(Box::new((permit, lane)));
        stream.set_meters(self.share.meters().clone());
        Ok(stream)
    }

    /// Waits until nothing at all has come from the client for long enough after now that it is
    /// taken for silent; for ever if something comes. Cancel safe.
    pub(crate) async fn silent(&self) {
        match self.lanes.current() {
            Some(lane) => lane.pulse.silent(&lane.tunnel).await,
            None => std::future::pending().await,
        }
    }

    /// Waits until something has come from the client. Cancel safe.
    pub(crate) async fn heard(&self) {
        match self.lanes.current() {
            Some(lane) => lane.pulse.heard(&lane.tunnel).await,
            None => std::future::pending().await,
        }
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

    /// Waits until the session has moved away from `lane`, and nothing is left there. Cancel safe.
    pub(crate) async fn spent(&self, lane: &Lane) {
        self.lanes.spent(lane).await;
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

    /// Where it would open a stream: another number once it has moved to another tunnel.
    pub(crate) fn way(&self) -> u64 {
        self.lanes.current().map_or(0, |lane| lane.number)
    }

    /// Takes no new connections from now on.
    pub(crate) fn leave(&self) {
        self.leaving.send_replace(true);
    }

    /// Whether it takes no new connections any more.
    pub(crate) fn is_leaving(&self) -> bool {
        *self.leaving.borrow()
    }

    /// Tells when it takes no new connections any more.
    pub(super) fn departure(&self) -> Departure {
        Departure::of(self.leaving.subscribe())
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

impl Member for Session {
    fn identity(&self) -> &Identity {
        &self.identity
    }
}

impl Candidate for Session {
    fn number(&self) -> u64 {
        self.way()
    }

    fn health(&self) -> Health {
        match self.lanes.current() {
            Some(lane) if !self.is_leaving() && !lane.tunnel.is_closed() => {
                let silent = lane.pulse.is_silent(&lane.tunnel);
                if silent { Health::Silent } else { Health::Good }
            }
            Some(_) | None => Health::Gone,
        }
    }

    fn load(&self) -> usize {
        self.lanes.all().iter().map(|lane| lane.tunnel.streams()).sum()
    }
}
