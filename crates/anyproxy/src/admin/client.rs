//! A client, as it is asked about.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use anyproxy_admin::{
    Page, Process, Readiness, Recent, Status, Subject, catalogue,
    status::{self, Session},
};
use anyproxy_client::{
    Client, ClientFigures, Forward, ForwardState, LastFailure, LiveFigures, ReplicaFigures, State,
    Watched,
};
use anyproxy_transport::Transport;

use super::{
    Told,
    figures::{self, loss, rtt},
    gateway::protocol_name,
};

/// A client, as it is asked about, also before it runs: joining may take minutes.
#[derive(Debug)]
pub(crate) struct ClientSubject {
    process: Process,
    stage: Mutex<Stage>,
    group: String,
    client_id: String,
    forwards: Vec<Forward>,
    recent: Arc<Recent>,
}

/// How far a client is.
#[derive(Debug, Clone)]
enum Stage {
    Starting,
    /// Why it has not joined yet, once that is known.
    Joining(Option<status::Failure>),
    Running(Box<Watched>),
}

impl ClientSubject {
    /// Of a client that starts.
    pub(crate) fn new(
        (group, client_id): (String, String),
        forwards: Vec<Forward>,
        recent: Arc<Recent>,
    ) -> Self {
        let stage = Mutex::new(Stage::Starting);
        Self { process: Process::starts(), stage, group, client_id, forwards, recent }
    }

    /// It has a token to use first.
    pub(crate) fn joins(&self) {
        *self.stage() = Stage::Joining(None);
    }

    /// It has not joined yet, and that is why.
    pub(crate) fn not_joined(&self, why: &str) {
        let failure = status::Failure { at: since_1970(SystemTime::now()), text: why.to_owned() };
        *self.stage() = Stage::Joining(Some(failure));
    }

    /// It runs.
    pub(crate) fn runs(&self, client: &Client) {
        *self.stage() = Stage::Running(Box::new(client.watched()));
    }

    /// Nothing can panic while it is held.
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> Option<Box<Watched>> {
        match &*self.stage() {
            Stage::Running(client) => Some(client.clone()),
            Stage::Starting | Stage::Joining(_) => None,
        }
    }

    fn base(&self) -> Status {
        figures::status(Self::NAME, &self.process, self.readiness(), &self.recent)
    }

    /// What there is to tell before it runs.
    fn early_status(&self) -> Status {
        let last_failure = match &*self.stage() {
            Stage::Joining(failure) => failure.clone(),
            Stage::Starting | Stage::Running(_) => None,
        };
        let forwards = self.forwards.iter().map(|it| self.forward(it, None)).collect();
        Status { forwards, last_failure, ..self.base() }
    }

    fn session(&self, replica: &ReplicaFigures, live: &LiveFigures) -> Session {
        Session {
            id: live.id.to_string(),
            group: self.group.clone(),
            client: self.client_id.clone(),
            replica: replica.number,
            peer: live.gateway.to_string(),
            transport: live.transport.to_string(),
            why: Some(live.why.into()),
            state: "up".into(),
            since_seconds: live.since.as_secs_f64(),
            rtt_seconds: rtt(&live.stats),
            loss_ratio: loss(&live.stats),
            sent_bytes: live.stats.sent,
            received_bytes: live.stats.received,
            sending_bytes_per_second: None,
            receiving_bytes_per_second: None,
            connections: live.stats.streams,
            moves: replica.moves,
            stalled_bytes: live.stats.stalled,
        }
    }

    fn forward(&self, forward: &Forward, state: Option<&ForwardState>) -> status::Forward {
        let (state, listen, error) = match state {
            None => ("waiting", None, None),
            Some(ForwardState::Requested) => ("requested", None, None),
            Some(ForwardState::Bound(addr)) => ("open", Some(addr.to_string()), None),
            Some(ForwardState::Refused(why)) => ("refused", None, Some(why.clone())),
        };
        status::Forward {
            name: Some(forward.name.clone()),
            group: self.group.clone(),
            protocol: protocol_name(forward.protocol).into(),
            listen: listen.unwrap_or_else(|| forward.listen.clone()),
            target: Some(forward.target.clone()),
            state: state.into(),
            error,
        }
    }
}

impl Told for ClientSubject {
    const NAME: &'static str = "client";
}

impl Subject for ClientSubject {
    fn readiness(&self) -> Readiness {
        let why = match &*self.stage() {
            Stage::Running(client) if client.is_draining() => "the client is shutting down".into(),
            Stage::Running(client) if client.is_connected() => return Readiness::Ready,
            Stage::Running(_) | Stage::Starting => "no session is up".into(),
            Stage::Joining(None) => "this client has not joined yet".into(),
            Stage::Joining(Some(last)) => format!("this client has not joined yet: {}", last.text),
        };
        Readiness::NotReady(why)
    }

    fn metrics(&self, page: &mut Page) {
        figures::build(page, Self::NAME, &self.readiness(), &self.recent);
        self.process.write(page);
        let Some(client) = self.running() else { return };
        let figures = client.figures();
        figures::tunnels(page, &figures.tunnels);
        figures::opens(page, &figures.opens);
        figures::quality(page, live(&figures).map(|it| (self.group.as_str(), it.stats)));
        let group = self.group.as_str();
        let tcp = figures.connections.saturating_sub(figures.flows);
        page.family(&catalogue::CONNECTIONS, [([group], tcp.into())]);
        page.family(&catalogue::FLOWS, [([group], figures.flows.into())]);
        page.family(&catalogue::STALLED, [([group], figures.stalled.into())]);
        let dropped = [(["no_room"], figures.dropped_datagrams.into())];
        page.family(&catalogue::DATAGRAMS_DROPPED, dropped);
        page.single(&catalogue::CLIENT_UNREACHABLE, figures.unreachable_targets);
        sessions(page, &figures);
        page.family(&catalogue::CLIENT_FORWARDS, forwards(&figures.state));
    }

    fn status(&self) -> Status {
        let Some(client) = self.running() else { return self.early_status() };
        let figures = client.figures();
        let of = |it: &ReplicaFigures| it.live.as_ref().map(|live| self.session(it, live));
        let states = match &figures.state {
            State::Connected { forwards, .. } => forwards.as_slice(),
            State::Connecting | State::Waiting(_) | State::Ended => &[],
        };
        let forwards = self.forwards.iter().enumerate();
        let forwards = forwards.map(|(index, it)| self.forward(it, states.get(index)));
        Status {
            sessions: figures.replicas.iter().filter_map(of).collect(),
            forwards: forwards.collect(),
            last_failure: figures.last_failure.as_ref().map(failure),
            ..self.base()
        }
    }
}

fn live(figures: &ClientFigures) -> impl Iterator<Item = &LiveFigures> + Clone {
    figures.replicas.iter().filter_map(|replica| replica.live.as_ref())
}

fn sessions(page: &mut Page, figures: &ClientFigures) {
    let up = [Transport::Quic, Transport::WebSocket].map(|transport| {
        let count = live(figures).filter(|it| it.transport == transport).count();
        ([transport.to_string()], count.into())
    });
    page.family(&catalogue::CLIENT_SESSIONS, up);
    let replicas = || figures.replicas.iter();
    let made = replicas().map(|it| it.sessions).sum::<u64>();
    page.single(&catalogue::CLIENT_SESSIONS_MADE, made);
    page.single(&catalogue::CLIENT_MOVES, replicas().map(|it| it.moves).sum::<u64>());
    let failures = figures.failures.iter().map(|(code, count)| ([code.as_str()], (*count).into()));
    page.family(&catalogue::CLIENT_FAILURES, failures);
}

fn forwards(state: &State) -> [([&'static str; 1], anyproxy_admin::Number); 3] {
    let forwards = match state {
        State::Connected { forwards, .. } => forwards.as_slice(),
        State::Connecting | State::Waiting(_) | State::Ended => &[],
    };
    let mut counts = [("requested", 0_usize), ("open", 0), ("refused", 0)];
    for forward in forwards {
        let name = match forward {
            ForwardState::Requested => "requested",
            ForwardState::Bound(_) => "open",
            ForwardState::Refused(_) => "refused",
        };
        for (_, count) in counts.iter_mut().filter(|(other, _)| *other == name) {
            *count = count.saturating_add(1);
        }
    }
    counts.map(|(name, count)| ([name], count.into()))
}

fn failure(last: &LastFailure) -> status::Failure {
    status::Failure { at: since_1970(last.at), text: last.text.clone() }
}

fn since_1970(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
