//! A client's session, from its first byte to its end.
//!
//! ```text
//! Arrival ─ greet ─ challenge ─ check ─┬─ refuse
//!                                      └─ welcome ─ join the registry ─ control loop ─ leave
//! ```

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::{
    Arrival, Challenged, ClosedBy, Side, StallBudget, StreamIds, Tunnel, TunnelError, TunnelLimits,
};
use anyproxy_wire::{
    codes::{CloseCode, ForwardCode},
    frame::Frame,
    message::{ForwardReply, ForwardRequest, Goaway, Intent, Welcome},
};

use crate::{
    config::Limits,
    credentials::{Admitted, Credentials},
    goodbyes::Goodbyes,
    handshakes,
    ingress::Denied,
    ports::{Hold, Ports},
    registry::{Admission, Joined, NotAdmitted, Registry},
};

/// How long a client that another one keeps out should wait.
const RETRY_SUPERSEDED: Duration = Duration::from_secs(30);
/// How long a client with a wrong group or secret should wait: what was changed a moment ago is known
/// by then. One that is refused again waits longer by itself.
const RETRY_REFUSED: Duration = Duration::from_secs(3);
/// How long a client should wait that met a limit.
const RETRY_BUSY: Duration = Duration::from_secs(5);

/// What all sessions of a gateway share.
pub(crate) struct Sessions {
    pub(crate) registry: Arc<Registry>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) ports: Arc<Ports>,
    pub(crate) limits: Limits,
    pub(crate) scope: Scope,
    /// How long live connections may go on at shutdown; what clients are told.
    pub(crate) drain: Duration,
    pub(crate) goodbyes: Arc<Goodbyes>,
}

impl Sessions {
    /// Serves one arrival until its tunnel is over. `place` is its place among the handshakes.
    pub(crate) async fn serve(self: Arc<Self>, arrival: Arrival, place: handshakes::Place) {
        let peer = arrival.peer();
        let deadline = Deadline::after(self.limits.proxy_timeout);
        let admitted = tokio::select! {
            biased;
            () = self.scope.cancelled() => return,
            () = place.given_up() => {
                return tracing::debug!(%peer, "no session: too many handshakes, this one was the oldest");
            }
            admitted = deadline.bound(self.admit(arrival, deadline)) => admitted,
        };
        drop(place);
        match admitted {
            Ok(Ok(joined)) => self.control(joined).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no session"),
            Err(_) => tracing::debug!(%peer, "no session: the handshake was too slow"),
        }
    }

    async fn admit(&self, arrival: Arrival, deadline: Deadline) -> Result<Joined, TunnelError> {
        let greeting = arrival.greet(deadline).await?;
        if self.scope.is_draining() {
            greeting.refuse(CloseCode::Shutdown, "the gateway is shutting down", RETRY_BUSY).await;
            return Err(refused(CloseCode::Shutdown));
        }
        if matches!(greeting.hello().intent, Intent::Join { .. }) {
            // No session here takes a second tunnel; a client then makes a new one.
            greeting.refuse(CloseCode::NoSuchSession, "no such session", Duration::ZERO).await;
            return Err(refused(CloseCode::NoSuchSession));
        }
        let client = greeting.challenge(Credentials::METHODS).await?;
        let (peer, group) = (client.peer(), client.hello().principal.clone());
        match self.credentials.check_client(&client).await {
            Ok(admitted) => self.place(client, admitted).await,
            Err(Denied::Wrong) => {
                // For the log of a flood there is one line for many.
                tracing::debug!(%peer, ?group, "a client was refused: wrong group or secret");
                client
                    .refuse(CloseCode::Unauthorised, "wrong group or secret", RETRY_REFUSED)
                    .await;
                Err(refused(CloseCode::Unauthorised))
            }
            Err(Denied::Busy) => {
                client.refuse(CloseCode::OverLimit, "too many attempts", RETRY_BUSY).await;
                Err(refused(CloseCode::OverLimit))
            }
        }
    }

    /// Reserves the client's place before it is welcomed, so that it is told why there is none.
    async fn place(&self, client: Challenged, admitted: Admitted) -> Result<Joined, TunnelError> {
        let proof = admitted.proof;
        match self.registry.admit(admitted, client.hello(), self.limits.max_sessions) {
            Ok(admission) => self.welcome(client, admission, proof).await,
            Err(error) => {
                tracing::warn!(peer = %client.peer(), group = ?client.hello().principal,
                    client = ?client.hello().client_id, %error, "a client was refused");
                let retry = match error {
                    NotAdmitted::Changed => Duration::ZERO,
                    NotAdmitted::Superseded => RETRY_SUPERSEDED,
                    NotAdmitted::Gateway(_) | NotAdmitted::Group(_) => RETRY_BUSY,
                };
                client.refuse(error.code(), &error.to_string(), retry).await;
                Err(refused(error.code()))
            }
        }
    }

    async fn welcome(
        &self,
        client: Challenged,
        admission: Admission,
        proof: Option<[u8; 32]>,
    ) -> Result<Joined, TunnelError> {
        let (session, join_key) = (random()?, random()?);
        let welcome = Welcome {
            session,
            tunnel: 0,
            proof,
            generation: admission.generation(),
            initial_credit: self.limits.initial_credit,
            max_streams: u64::try_from(self.limits.max_streams).unwrap_or(u64::MAX),
            ping_interval: self.limits.ping_interval,
            dead_after: self.limits.dead_after,
            join_key,
            software: concat!("anyproxy/", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let limits = TunnelLimits {
            max_streams: self.limits.max_streams,
            budget: StallBudget::new(self.limits.stall_budget),
            ids: StreamIds::new(Side::Gateway),
        };
        let tunnel = client.welcome(welcome, limits, &self.scope).await?;
        admission.join(tunnel).map_err(|error| refused(error.code()))
    }

    /// Serves the control stream until the tunnel is over, then leaves the registry and lets go of
    /// the ports. Not dropped at cancel: it closes the tunnel with a code.
    async fn control(&self, joined: Joined) {
        let session = Arc::clone(&joined.session);
        let tunnel = &session.tunnel;
        tracing::info!(group = %session.group, client = %session.client.id, peer = %tunnel.peer(),
            transport = %tunnel.transport(), session = session.number, "session up");
        let mut holds = HashMap::new();
        let mut goodbye = Some(self.goodbyes.expect());
        let error = loop {
            tokio::select! {
                biased;
                error = tunnel.closed() => break error,
                () = self.scope.cancelled() => {
                    tunnel.close(CloseCode::Shutdown, "the gateway is shutting down");
                }
                () = self.scope.draining(), if goodbye.is_some() => {
                    if !session.is_leaving() {
                        session.leave();
                        self.say_goodbye(tunnel).await;
                    }
                    goodbye = None;
                }
                frame = tunnel.recv_control() => match frame {
                    Ok(frame) => self.handle(&joined, frame, &mut holds).await,
                    Err(error) => break error,
                },
                () = session.ports_revoked() => give_up_ports(tunnel, &mut holds).await,
            }
        };
        drop((joined, holds, goodbye));
        if matches!(error, TunnelError::Closed { by: ClosedBy::Us, .. }) {
            tunnel.farewell().await;
        }
        tracing::info!(group = %session.group, client = %session.client.id,
            session = session.number, reason = %error, "session down");
    }

    async fn say_goodbye(&self, tunnel: &Tunnel) {
        let goaway = Goaway {
            code: CloseCode::Shutdown,
            reconnect_after: self.goodbyes.reconnect_after(),
            drain: self.drain,
            reason: "the gateway is shutting down".into(),
        };
        // An error means that the tunnel is over, which the loop sees next.
        let _ = tunnel.send_control(Frame::Goaway(goaway)).await;
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "only clients' messages are legal here, whatever else there is or will be"
    )]
    async fn handle(&self, joined: &Joined, frame: Frame, holds: &mut HashMap<u64, Hold>) {
        let session = &joined.session;
        match frame {
            Frame::Goaway(goaway) => {
                tracing::debug!(session = session.number, reason = %goaway.reason, "client leaves");
                session.leave();
            }
            Frame::ForwardRequest(request) => {
                let reply = self.forward(joined, &request, holds).await;
                tracing::debug!(session = session.number, listen = %request.listen,
                    code = %reply.code, detail = %reply.detail, "forward requested");
                let _ = session.tunnel.send_control(Frame::ForwardReply(reply)).await;
            }
            Frame::ForwardRelease(release) => drop(holds.remove(&release.id)),
            other => {
                session.tunnel.close(CloseCode::Protocol, &format!("unexpected {}", other.name()));
            }
        }
    }

    async fn forward(
        &self,
        joined: &Joined,
        request: &ForwardRequest,
        holds: &mut HashMap<u64, Hold>,
    ) -> ForwardReply {
        let refuse = |code, detail: &str| ForwardReply {
            id: request.id,
            code,
            bound: None,
            detail: detail.into(),
        };
        holds.retain(|_, hold| hold.is_live());
        if holds.contains_key(&request.id) {
            return refuse(ForwardCode::InvalidAddress, "this id is in use");
        }
        if holds.len() >= self.limits.max_forwards {
            return refuse(ForwardCode::Limit, "too many forwards in this session");
        }
        let (reply, hold) = self.ports.request(&joined.session, request).await;
        holds.extend(hold.map(|hold| (request.id, hold)));
        reply
    }
}

/// Tells a client which of its ports its group may not have any more.
async fn give_up_ports(tunnel: &Tunnel, holds: &mut HashMap<u64, Hold>) {
    let revoked = holds.extract_if(|_, hold| !hold.is_live()).map(|(id, _)| id).collect::<Vec<_>>();
    for id in revoked {
        let reply = ForwardReply {
            id,
            code: ForwardCode::NotAllowed,
            bound: None,
            detail: "the group may not have this port any more".into(),
        };
        // An error means that the tunnel is over, which the loop sees next.
        let _ = tunnel.send_control(Frame::ForwardReply(reply)).await;
    }
}

fn refused(code: CloseCode) -> TunnelError {
    TunnelError::Closed { by: ClosedBy::Us, code, reason: "the client was refused".into() }
}

fn random<const N: usize>() -> Result<[u8; N], TunnelError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| TunnelError::Transport(error.to_string()))?;
    Ok(bytes)
}
