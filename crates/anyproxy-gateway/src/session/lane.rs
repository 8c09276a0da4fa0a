//! One tunnel of a session, from Welcome to its end.

use std::sync::Arc;

use anyproxy_transport::{ClosedBy, TunnelError};
use anyproxy_wire::codes::CloseCode;

use super::Sessions;
use crate::registry::{Lane, Role, Session};

impl Sessions {
    /// Hands the client's control messages to the session until the tunnel is over. Not dropped at
    /// cancel: it closes the tunnel with a code.
    pub(super) async fn attend(&self, session: &Session, lane: Arc<Lane>) {
        let place = Place { session, lane: &lane };
        let tunnel = &lane.tunnel;
        let entry = self.tally.ledger.enter(&session.group, tunnel);
        let error = loop {
            tokio::select! {
                biased;
                error = tunnel.closed() => break error,
                () = self.scope.cancelled() => {
                    tunnel.close(CloseCode::Shutdown, "the gateway is shutting down");
                }
                why = session.spent(&lane) => tunnel.close(CloseCode::Shutdown, why),
                frame = tunnel.recv_control() => match frame {
                    // The session outlives its tunnels.
                    Ok(frame) => drop(session.control.send((Arc::clone(&lane), frame)).await),
                    Err(error) => break error,
                },
            }
        };
        drop(place);
        entry.over(&error);
        if matches!(error, TunnelError::Closed { by: ClosedBy::Us, .. }) {
            tunnel.farewell().await;
        }
        let (client, peer, transport) = (&session.client.id, tunnel.peer(), tunnel.transport());
        match lane.role {
            Role::Main => tracing::info!(group = %session.group, %client, %peer, %transport,
                session = session.number, reason = %error, "tunnel down"),
            Role::Beside(_) => tracing::debug!(group = %session.group, %client, %peer, %transport,
                session = session.number, reason = %error, "tunnel down"),
        }
    }
}

/// A tunnel that somebody attends to. Dropping it takes the tunnel out of its session, whatever became of
/// who attended.
struct Place<'a> {
    session: &'a Session,
    lane: &'a Lane,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // What is closed already stays closed as it was.
        self.lane.tunnel.close(CloseCode::Internal, "nobody attends to it");
        self.session.lose(self.lane);
    }
}
