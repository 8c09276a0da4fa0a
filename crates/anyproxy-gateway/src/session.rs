//! A client's session, from its first byte to its end.
//!
//! ```text
//! Arrival ─ greet ─ challenge ─ check ─┬─ refuse
//!                                      ├─ welcome ─ enter the registry ─┬─ control loop ─ leave
//!                                      │                                └─ tunnel
//!                                      └─ welcome ─ join a session ────── tunnel
//! ```
//!
//! Each tunnel has a task that hands its control messages to the one control loop of its session.
//! What a client asks for (its ports) belongs to the session, and stays while it moves from one tunnel to
//! another.

mod enrol;
mod forwards;
mod join;
mod lane;

use std::{borrow::Cow, collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope, Trouble};
use anyproxy_transport::{
    Arrival, Challenged, ClosedBy, OfferedCertificate, Side, StallBudget, StreamIds, TunnelError,
    TunnelLimits,
};
use anyproxy_wire::{
    codes::CloseCode,
    frame::Frame,
    handshake::{METHOD_KEY, METHOD_TOKEN},
    message::{Goaway, Intent, Welcome},
};
use futures_util::future::join_all;

use crate::{
    config::Limits,
    credentials::{Admitted, Credentials, NotLetIn},
    enrolment::Enrolments,
    goodbyes::{Goodbyes, Unsaid},
    handshakes,
    ingress::Denied,
    ports::{Hold, Ports},
    registry::{Admission, Joined, Keys, Lane, NotAdmitted, Registry, Role, Session},
    tally::{NoSession, Tally},
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
    pub(crate) enrolments: Arc<dyn Enrolments>,
    pub(crate) ports: Arc<Ports>,
    pub(crate) limits: Limits,
    pub(crate) scope: Scope,
    /// How long live connections may go on at shutdown; what clients are told.
    pub(crate) drain: Duration,
    pub(crate) goodbyes: Arc<Goodbyes>,
    pub(crate) tally: Arc<Tally>,
    /// Clients that proved a token and yet were not enrolled.
    pub(crate) unenrolled: Trouble,
    /// Clients with which nothing is in common.
    pub(crate) unfit: Trouble,
}

/// Where an arrival has its place.
enum Placed {
    /// In a session of its own.
    First(Joined, Arc<Lane>),
    /// In a session that was there.
    Further(Arc<Session>, Arc<Lane>),
    /// It wanted none.
    Nowhere,
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
                self.tally.no_session(NoSession::GivenUp);
                return tracing::debug!(%peer, "no session: too many handshakes, this one was the oldest");
            }
            admitted = deadline.bound(self.admit(arrival, deadline)) => admitted,
        };
        drop(place);
        match admitted {
            Ok(Ok(Placed::First(joined, lane))) => {
                let session = Arc::clone(&joined.session);
                tracing::info!(group = %session.group, client = %session.client.id, %peer,
                    transport = %lane.tunnel.transport(), session = session.number,
                    id = %lane.tunnel.session(), certificate = session.certificate(), "session up");
                // Expected before its loop runs, or a shutdown might not wait for it.
                let control = Arc::clone(&self).control(joined, self.goodbyes.expect());
                self.scope.spawn_to_end("session control", control);
                self.attend(&session, lane).await;
            }
            Ok(Ok(Placed::Further(session, lane))) => self.attend(&session, lane).await,
            Ok(Ok(Placed::Nowhere)) => {}
            Ok(Err(error)) => self.note_none(peer, &error),
            Err(_) => {
                self.tally.no_session(NoSession::Slow);
                tracing::debug!(%peer, "no session: the handshake was too slow");
            }
        }
    }

    fn note_none(&self, peer: SocketAddr, error: &TunnelError) {
        let why = NoSession::of(error);
        self.tally.no_session(why);
        tracing::debug!(%peer, %error, "no session");
        if why == NoSession::Code(CloseCode::NoCommonVersion)
            && let Some(times) = self.unfit.happened()
        {
            tracing::warn!(%peer, %error, times, "a client of another version was refused");
        }
    }

    async fn admit(&self, arrival: Arrival, deadline: Deadline) -> Result<Placed, TunnelError> {
        let said_by = deadline.within(self.limits.handshake_timeout);
        let greeting = arrival.greet(said_by).await?;
        if self.scope.is_draining() {
            let retry = self.goodbyes.retry_after();
            greeting.refuse(CloseCode::Shutdown, "the gateway is shutting down", retry).await;
            return Err(refused(CloseCode::Shutdown));
        }
        let number = self.registry.number();
        let proving = greeting.challenge(Credentials::METHODS);
        let client = said_by.bound(proving).await.map_err(|_| too_slow())??;
        if client.method() == METHOD_TOKEN {
            return self.enrol(client).await;
        }
        let (peer, group) = (client.peer(), client.hello().principal.clone());
        match self.credentials.check_client(&client).await {
            Ok(admitted) => match client.hello().intent {
                Intent::Join { session } => {
                    self.join(client, admitted, (session, Role::Main)).await
                }
                Intent::Beside { session, main } => {
                    self.join(client, admitted, (session, Role::Beside(main))).await
                }
                Intent::New | Intent::Supersede { .. } => {
                    let placed = self.place(client, number, admitted).await;
                    placed.map(|(joined, lane)| Placed::First(joined, lane))
                }
            },
            Err(NotLetIn::Denied(Denied::Busy)) => {
                client.refuse(CloseCode::OverLimit, "too many attempts", RETRY_BUSY).await;
                Err(refused(CloseCode::OverLimit))
            }
            Err(error) => {
                // For the log of a flood there is one line for many.
                let certificate = client.certificate().map(OfferedCertificate::subject);
                tracing::debug!(%peer, ?group, certificate, ?error,
                    "a client was refused: wrong group, secret, key or certificate");
                let reason = wrong(&error, client.method());
                client.refuse(CloseCode::Unauthorised, &reason, RETRY_REFUSED).await;
                Err(refused(CloseCode::Unauthorised))
            }
        }
    }

    /// Reserves the client's place before it is welcomed, so that it is told why there is none.
    async fn place(
        &self,
        client: Challenged,
        number: u64,
        admitted: Admitted,
    ) -> Result<(Joined, Arc<Lane>), TunnelError> {
        let proof = admitted.proof;
        let hello = (client.hello(), number);
        match self.registry.admit(admitted, hello, self.limits.max_sessions) {
            Ok(admission) => self.welcome(client, admission, proof).await,
            Err(error) => {
                tracing::warn!(peer = %client.peer(), group = ?client.hello().principal,
                    client = ?client.hello().client_id, %error, "a client was refused");
                let retry = match error {
                    NotAdmitted::Changed => Duration::ZERO,
                    NotAdmitted::Superseded | NotAdmitted::Anothers | NotAdmitted::Reserved => {
                        RETRY_SUPERSEDED
                    }
                    NotAdmitted::Replica(_) | NotAdmitted::Gateway(_) | NotAdmitted::Group(_) => {
                        RETRY_BUSY
                    }
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
    ) -> Result<(Joined, Arc<Lane>), TunnelError> {
        let keys = Keys {
            session: random()?,
            join_key: random()?,
            budget: StallBudget::new(self.limits.stall_budget),
            ids: StreamIds::new(Side::Gateway),
            max_streams: self.limits.max_streams,
        };
        let welcome = self.consent(&keys, (0, proof), admission.generation());
        let tunnel = client.welcome(welcome, tunnel_limits(&keys), &self.scope).await?;
        admission.join(tunnel, keys).map_err(|error| refused(error.code()))
    }

    fn consent(
        &self,
        keys: &Keys,
        (tunnel, proof): (u64, Option<[u8; 32]>),
        generation: u64,
    ) -> Welcome {
        Welcome {
            session: keys.session,
            tunnel,
            proof,
            generation,
            initial_credit: self.limits.initial_credit,
            max_streams: u64::try_from(self.limits.max_streams).unwrap_or(u64::MAX),
            ping_interval: self.limits.ping_interval,
            dead_after: self.limits.dead_after,
            join_key: keys.join_key,
            software: concat!("anyproxy/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// Serves the session until its last tunnel is over, then leaves the registry and lets go of
    /// the ports. Not dropped at cancel, which its tunnels see to.
    async fn control(self: Arc<Self>, mut joined: Joined, goodbye: Unsaid) {
        let session = Arc::clone(&joined.session);
        let mut holds = HashMap::new();
        let mut goodbye = Some(goodbye);
        loop {
            tokio::select! {
                biased;
                () = session.over() => break,
                () = self.scope.draining(), if goodbye.is_some() => {
                    if !session.is_leaving() {
                        session.leave();
                        self.say_goodbye(&session).await;
                    }
                    goodbye = None;
                }
                Some((lane, frame)) = joined.control.recv() => {
                    self.handle((&session, &lane), frame, &mut holds).await;
                }
                () = session.ports_revoked() => forwards::give_up(&session, &mut holds).await,
            }
        }
        drop((joined, holds, goodbye));
        tracing::info!(group = %session.group, client = %session.client.id,
            session = session.number, "session down");
    }

    async fn say_goodbye(&self, session: &Session) {
        let goaway = Goaway {
            code: CloseCode::Shutdown,
            reconnect_after: self.goodbyes.reconnect_after(),
            drain: self.drain,
            reason: "the gateway is shutting down".into(),
        };
        let lanes = session.lanes();
        // A tunnel that takes nothing does not hold the others up; an error means that it is over.
        let saying = lanes.iter().map(|it| it.tunnel.send_control(Frame::Goaway(goaway.clone())));
        join_all(saying).await;
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "only clients' messages are legal here, whatever else there is or will be"
    )]
    async fn handle(
        &self,
        (session, lane): (&Arc<Session>, &Lane),
        frame: Frame,
        holds: &mut HashMap<u64, Hold>,
    ) {
        match frame {
            Frame::Goaway(goaway) => {
                tracing::debug!(session = session.number, reason = %goaway.reason, "client leaves");
                session.leave();
            }
            Frame::ForwardRequest(request) => {
                let reply = self.forward(session, &request, holds).await;
                tracing::debug!(session = session.number, listen = %request.listen,
                    code = %reply.code, detail = %reply.detail, "forward requested");
                // The tunnel that asked may have been left meanwhile, or be lost.
                forwards::answer(session, reply).await;
            }
            Frame::ForwardRelease(release) => drop(holds.remove(&release.id)),
            other => {
                lane.tunnel.close(CloseCode::Protocol, &format!("unexpected {}", other.name()));
            }
        }
    }
}

/// What each tunnel of a session shares with the others.
fn tunnel_limits(keys: &Keys) -> TunnelLimits {
    TunnelLimits {
        max_streams: keys.max_streams,
        budget: Arc::clone(&keys.budget),
        ids: Arc::clone(&keys.ids),
    }
}

/// What a client is told that did not prove itself; the method is of its own choice.
fn wrong(error: &NotLetIn, method: u64) -> Cow<'static, str> {
    match (error, method) {
        (NotLetIn::Certificate(error), _) => error.to_string().into(),
        (NotLetIn::Denied(_), METHOD_KEY) => "this client's key is not enrolled here".into(),
        (NotLetIn::Denied(_), _) => "wrong group or secret".into(),
    }
}

fn refused(code: CloseCode) -> TunnelError {
    TunnelError::Closed { by: ClosedBy::Us, code, reason: "the client was refused".into() }
}

fn too_slow() -> TunnelError {
    let reason = "the proof did not come in time".into();
    TunnelError::Closed { by: ClosedBy::Us, code: CloseCode::TooSlow, reason }
}

fn random<const N: usize>() -> Result<[u8; N], TunnelError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| TunnelError::Transport(error.to_string()))?;
    Ok(bytes)
}
