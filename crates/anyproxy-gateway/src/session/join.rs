//! One more tunnel for a live session.

use std::{sync::Arc, time::Duration};

use anyproxy_transport::{Challenged, TunnelError};

use super::{Placed, Sessions, refused, tunnel_limits};
use crate::{
    credentials::Admitted,
    registry::{JoinClaim, Joining, Role},
};

impl Sessions {
    /// Lets a client that proved the group's secret into `session`, if it holds its key too.
    pub(super) async fn join(
        &self,
        client: Challenged,
        admitted: Admitted,
        (session, role): ([u8; 16], Role),
    ) -> Result<Placed, TunnelError> {
        let claim = JoinClaim {
            hello: client.hello(),
            session,
            role,
            proof: client.auth().join_proof,
            gateway_nonce: client.nonce(),
        };
        match self.registry.join(&admitted, &claim, self.limits.max_beside) {
            Ok(joining) => self.welcome_again(client, joining, admitted.proof).await,
            Err(error) => {
                tracing::debug!(peer = %client.peer(), group = ?client.hello().principal,
                    reason = error.reason(), "a tunnel was refused");
                client.refuse(error.code(), error.reason(), Duration::ZERO).await;
                Err(refused(error.code()))
            }
        }
    }

    async fn welcome_again(
        &self,
        client: Challenged,
        joining: Joining,
        proof: Option<[u8; 32]>,
    ) -> Result<Placed, TunnelError> {
        let session = Arc::clone(&joining.session);
        let keys = &session.keys;
        let welcome = self.consent(keys, (joining.tunnel, proof), session.generation());
        let tunnel = client.welcome(welcome, tunnel_limits(keys), &self.scope).await?;
        let lane = joining.enter(tunnel).map_err(|error| refused(error.code()))?;
        let (client, peer) = (&session.client.id, lane.tunnel.peer());
        let (id, transport) = (lane.tunnel.session(), lane.tunnel.transport());
        match lane.role {
            Role::Main => tracing::info!(group = %session.group, %client, %peer, %transport,
                session = session.number, %id, "session moves to another tunnel"),
            Role::Beside(_) => tracing::debug!(group = %session.group, %client, %peer, %transport,
                session = session.number, %id, "session has one more tunnel"),
        }
        Ok(Placed::Further(session, lane))
    }
}
