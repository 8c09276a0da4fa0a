//! The ways to the gateway: does what [`Path`] decides.
//!
//! ```text
//! Path ── Dial, LogIn, GiveUp ──▶ Attempts ── dialled, tunnel, failure ──▶ Path
//!   ▲                                 └──▶ the session: a tunnel is up
//!   └── how the session's tunnel is, up to four times a second
//! ```

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::{
    Dialer, Gateways, JoinKey, Login, LoginError, Method, Transport, Tunnel, TunnelError,
};
use anyproxy_wire::{
    codes::CloseCode,
    message::{Intent, Welcome},
};
use tokio::time::Instant;

use crate::{
    attempts::{Attempts, Step},
    beside::{Attempt, Further},
    config::{Choice, Limits},
    failure::Failure,
    lanes::Lost,
    path::{Command, Life, Obstacle, PING_WITHIN, Path, Sample},
};

/// Why a tunnel is closed that was to join a session.
const STRANGE: &str = "that is another session";

/// How long an attempt may take beside a session.
const ASIDE: Duration = Duration::from_secs(10);

/// What carried the last session to the gateway, for all replicas. A client has one gateway, so this holds
/// for its address as long as the client lives.
#[derive(Debug, Default)]
pub(crate) struct Winner(Mutex<Option<Transport>>);

impl Winner {
    fn get(&self) -> Option<Transport> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, transport: Transport) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(transport);
    }
}

/// What came of it.
pub(crate) enum Event {
    /// A tunnel is up, which carries the session from now on.
    Up(Fresh),
    /// Nothing led to the gateway.
    Exhausted(Failure),
    /// The session's tunnel is dark, and its gateway knows nothing of the session.
    Disowned,
}

/// A new tunnel.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) tunnel: Tunnel,
    /// Its number within the session.
    pub(crate) order: u64,
    /// When it was dialled.
    pub(crate) born: std::time::Instant,
    /// Why there is another one, if there was one before.
    pub(crate) why: Option<&'static str>,
}

/// The ways of one replica.
pub(crate) struct Ways {
    dialer: Arc<Dialer>,
    choice: Choice,
    /// For a session of its own.
    login: Login,
    scope: Scope,
    /// What is live on any tunnel of the session.
    connections: Scope,
    /// How long an attempt without a session may take.
    patience: Duration,
    winner: Arc<Winner>,
    path: Path,
    attempts: Attempts,
    /// The session's id and key, and the tunnel that carries it.
    session: Option<([u8; 16], JoinKey, Tunnel)>,
    /// Another gateway behind the same name was asked to join the session.
    astray: bool,
    failure: Option<Failure>,
    look_at: Instant,
}

impl Ways {
    /// Tasks of tunnels run in `scope`.
    pub(crate) fn new(
        dialer: Arc<Dialer>,
        (choice, winner): (Choice, Arc<Winner>),
        login: Login,
        (scope, connections): (Scope, Scope),
        limits: &Limits,
    ) -> Self {
        let mut seed = [0; 8];
        // Without randomness the probes are merely not spread.
        let _ = getrandom::fill(&mut seed);
        Self {
            dialer,
            choice,
            login,
            scope,
            connections,
            patience: limits.proxy_timeout,
            winner,
            path: Path::new(choice, limits.max_tunnel_age, u64::from_le_bytes(seed)),
            attempts: Attempts::default(),
            session: None,
            astray: false,
            failure: None,
            look_at: Instant::now(),
        }
    }

    /// The group that it logs in to.
    pub(crate) fn group(&self) -> &str {
        &self.login.group
    }

    /// Why a session came up over `transport`, for people.
    pub(crate) fn reason(&self, transport: Transport) -> &'static str {
        match (self.choice, transport) {
            (Choice::Quic | Choice::WebSocket, _) => "the settings name it",
            (Choice::Auto, Transport::Quic) => "UDP passes",
            (Choice::Auto, Transport::WebSocket) => "QUIC was not up in time",
        }
    }

    /// How it proves who it is.
    pub(crate) fn method(&self) -> Method {
        self.login.method
    }

    /// Sets out for a session.
    pub(crate) fn start(&mut self) {
        self.stop();
        self.path.start(now(), self.winner.get());
    }

    /// The machine slept, and may have woken up in another network.
    pub(crate) fn woke(&self) {
        self.login.budget.new_way();
    }

    /// The session is over, or nobody waits for it any more.
    pub(crate) fn stop(&mut self) {
        self.path.over();
        (self.attempts, self.session, self.failure) = (Attempts::default(), None, None);
        self.astray = false;
    }

    /// The gateway knows nothing of an earlier session.
    pub(crate) fn forget(&mut self) {
        self.login.intent = Intent::New;
    }

    /// A tunnel of the session is over.
    pub(crate) fn lost(&mut self, lost: &Lost) {
        if matches!(lost.error, TunnelError::PeerDead) {
            self.login.budget.new_way();
        }
        let life = if lost.was_cut() { Life::Cut } else { Life::Ended };
        if let Some(age) = self.path.lived(now(), (lost.transport, lost.born), life) {
            tracing::info!(?age, "connections are cut at this age: tunnels are renewed before");
        }
    }

    /// The session goes on over a tunnel that was there before, and was dialled at `born`.
    pub(crate) fn fell_back(&mut self, tunnel: &Tunnel, born: std::time::Instant) {
        self.path.fell_back(now(), tunnel.transport(), born);
        if let Some((_, _, current)) = &mut self.session {
            *current = tunnel.clone();
        }
    }

    /// Waits for what comes of it. Cancel safe.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            while let Some(command) = self.path.poll(now()) {
                self.obey(command);
            }
            if self.path.is_exhausted()
                && let Some(failure) = self.failure.take()
            {
                return Event::Exhausted(failure);
            }
            let look_at = self.path.look_every().map(|_| self.look_at);
            let wake_at =
                self.path.wait_until().map(Instant::from).into_iter().chain(look_at).min();
            tokio::select! {
                biased;
                (transport, step) = self.attempts.next() => {
                    if let Some(event) = self.step(transport, step) {
                        return event;
                    }
                }
                () = tokio::time::sleep_until(wake_at.unwrap_or_else(Instant::now)),
                    if wake_at.is_some() => self.look(),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        tracing::trace!(?command, "way");
        match command {
            Command::Ping => {
                if let Some((_, _, tunnel)) = &self.session {
                    tunnel.ping();
                }
            }
            Command::Dial(transport) => {
                let patience =
                    if self.session.is_some() { ASIDE.min(self.patience) } else { self.patience };
                let deadline = Deadline::after(patience);
                self.attempts.dial(&self.dialer, (transport, self.gateways()), deadline);
            }
            Command::LogIn(transport) => {
                let login = self.login(transport);
                self.attempts.log_in(transport, login, &self.scope);
            }
            Command::GiveUp(transport) => {
                self.attempts.give_up(transport);
                if self.session.is_none() {
                    // It is remembered for the case that nothing else leads there either.
                    self.remember(LoginError::TimedOut.into());
                }
            }
        }
    }

    fn login(&self, transport: Transport) -> Login {
        let mut login = self.login.clone();
        if let Some((session, key, _)) = &self.session {
            (login.intent, login.join_key) = (Intent::Join { session: *session }, Some(*key));
        }
        if (self.choice, transport) == (Choice::Auto, Transport::Quic) {
            login.ping_within = Some(PING_WITHIN);
        }
        login
    }

    /// Makes one more tunnel for the session over the WebSocket, beside the one of this number; `None` without a
    /// session. It asks the gateway that has it: another one behind the same name knows nothing of it.
    pub(crate) fn beside(&self, main: u64) -> Option<Attempt> {
        let (session, key, tunnel) = self.session.as_ref()?;
        let session = *session;
        let mut login = self.login.clone();
        (login.intent, login.join_key) = (Intent::Beside { session, main }, Some(*key));
        let gateways = self.dialer.gateway_of(tunnel).map_or(Gateways::Any, Gateways::Only);
        let (dialer, scope) = (Arc::clone(&self.dialer), self.scope.clone());
        let deadline = Deadline::after(ASIDE.min(self.patience));
        let born = now();
        Some(Box::pin(async move {
            let connected = dialer.dial_to(Transport::WebSocket, gateways, deadline).await?;
            let (tunnel, welcome) = connected.log_in(&login, deadline, &scope).await?;
            if welcome.session != session {
                tunnel.close(CloseCode::Protocol, STRANGE);
                return Err(Failure::Over(tunnel.closed().await));
            }
            Ok(Further { tunnel, order: welcome.tunnel, main, born })
        }))
    }

    fn step(&mut self, transport: Transport, step: Step) -> Option<Event> {
        match step {
            Step::Dialled => {
                self.path.dialled(now(), transport);
                None
            }
            Step::LoggedIn(tunnel, welcome) if self.is_strange(&welcome) => {
                tunnel.close(CloseCode::Protocol, STRANGE);
                self.path.failed(now(), transport, Obstacle::Way);
                None
            }
            Step::LoggedIn(tunnel, welcome) => Some(self.up(tunnel, &welcome)),
            Step::Failed(failure, peer) => {
                tracing::debug!(%transport, reason = %failure, "no way to the gateway");
                let disowned = self.is_disowned(&failure, peer);
                self.path.failed(now(), transport, failure.obstacle());
                if self.session.is_none() {
                    self.remember(failure);
                }
                disowned.then_some(Event::Disowned)
            }
        }
    }

    /// Whom to dial. A gateway may have several addresses, so they are all tried until it shows that there are
    /// several gateways: then one that is nearer would win again and again.
    fn gateways(&self) -> Gateways {
        let tunnel = self.session.as_ref().map(|(_, _, tunnel)| tunnel);
        match tunnel.and_then(|tunnel| self.dialer.gateway_of(tunnel)) {
            None => Gateways::Any,
            Some(own) if self.astray => Gateways::Only(own),
            Some(own) => Gateways::First(own),
        }
    }

    /// Whether there is nothing to wait for. Another gateway behind the same name knows nothing of the session
    /// while the right one does, and may only pause.
    fn is_disowned(&mut self, failure: &Failure, peer: Option<SocketAddr>) -> bool {
        let (Some((_, _, tunnel)), Some(peer)) = (&self.session, peer) else { return false };
        if failure.code() != Some(CloseCode::NoSuchSession) {
            return false;
        }
        let own = peer.ip() == tunnel.peer().ip();
        self.astray |= !own;
        own && self.path.is_dark()
    }

    /// Whether a tunnel that was to join the session has joined another.
    fn is_strange(&self, welcome: &Welcome) -> bool {
        self.session.as_ref().is_some_and(|(session, ..)| *session != welcome.session)
    }

    fn remember(&mut self, failure: Failure) {
        self.failure = Some(failure.after(self.failure.take()));
    }

    fn up(&mut self, tunnel: Tunnel, welcome: &Welcome) -> Event {
        let transport = tunnel.transport();
        let why = self.path.reason(now(), transport);
        if self.path.is_dark() {
            // What does not answer any more may well be in a network that was left.
            self.login.budget.new_way();
        }
        let born = self.path.logged_in(now(), transport);
        self.winner.set(transport);
        self.login.intent = Intent::Supersede { generation: welcome.generation };
        self.session = Some((welcome.session, JoinKey::of(welcome), tunnel.clone()));
        (self.failure, self.look_at) = (None, Instant::now());
        Event::Up(Fresh { tunnel, order: welcome.tunnel, born, why })
    }

    fn look(&mut self) {
        let Some((_, _, tunnel)) = &self.session else { return };
        if self.look_at > Instant::now() {
            return;
        }
        let stats = tunnel.stats();
        let sample = Sample {
            received: stats.received,
            sent: stats.sent_packets,
            lost: stats.lost_packets,
            strains: stats.strains,
            rtt: stats.rtt,
            streams: stats.streams.max(self.connections.tasks()),
        };
        self.path.sample(now(), &sample);
        self.look_at = Instant::now() + self.path.look_every().unwrap_or_default();
    }
}

/// A session that was shut down before it was there.
pub(crate) fn shut_down() -> Failure {
    Failure::Over(TunnelError::Closed {
        by: anyproxy_transport::ClosedBy::Us,
        code: CloseCode::Shutdown,
        reason: String::new(),
    })
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
