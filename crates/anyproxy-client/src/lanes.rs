//! The tunnels of one session at the client: one that carries what is new, those beside it that carry a part, and those
//! that it moved away from.
//!
//! Whatever the gateway opens is served, on every one of them. The gateway closes a tunnel that was
//! left as soon as nothing is on it.

use std::{sync::Arc, time::Instant};

use anyproxy_runtime::Scope;
use anyproxy_transport::{ClosedBy, Incoming, Transport, Tunnel, TunnelError};
use anyproxy_wire::{codes::CloseCode, frame::Frame};
use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::{Notify, Semaphore, mpsc};

use crate::{connection::Exit, place::Places, wake::Wake, ways::Fresh};

/// Control messages that may wait for the session.
const CONTROL_QUEUE: usize = 16;

/// What happens on the tunnels.
pub(crate) enum News {
    /// The gateway says something on one.
    Said(Tunnel, Frame),
    /// The tunnel for what is new is over, and what is new goes on over another one.
    FellBack(Lost),
    /// One that was left is over.
    Left(Lost),
    /// One beside the others is over.
    BesideOver(Lost),
    /// The last one is over.
    Over(Lost),
}

/// A tunnel that is over.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) transport: Transport,
    /// When it was dialled.
    pub(crate) born: Instant,
    pub(crate) error: TunnelError,
}

impl Lost {
    /// Whether something on the way ended it. Who is at an end of it says why, and who was killed
    /// is not killed again at the same age.
    pub(crate) fn was_cut(&self) -> bool {
        match &self.error {
            TunnelError::Transport(_) => true,
            TunnelError::Closed { by, code, .. } => {
                (*by, *code) == (ClosedBy::Peer, CloseCode::Abandoned)
            }
            TunnelError::PeerDead | TunnelError::Reset => false,
        }
    }
}

/// What a tunnel is to the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// What is new goes there from now on.
    Main,
    /// A part of what is new goes there.
    Beside,
    /// Nothing new goes there: when it came up, the session had moved.
    Left,
}

/// One of the session's tunnels.
struct Lane {
    number: u64,
    tunnel: Tunnel,
    /// Its number within the session, by the gateway.
    order: u64,
    born: Instant,
    role: Role,
}

pub(crate) struct Lanes {
    exit: Arc<Exit>,
    connections: Scope,
    /// What is left of the session's streams for UDP flows, over all tunnels.
    flows: Arc<Semaphore>,
    /// Told whenever the gateway opens something.
    opened: Arc<Notify>,
    /// In the order in which they came; never empty before the session is over.
    tunnels: Vec<Lane>,
    next: u64,
    attended: FuturesUnordered<BoxFuture<'static, (u64, TunnelError)>>,
    /// One that is over, while what it said is told.
    ended: Option<(u64, TunnelError)>,
    said: mpsc::Receiver<(Tunnel, Frame)>,
    say: mpsc::Sender<(Tunnel, Frame)>,
    wake: Wake,
    places: Places,
}

impl Lanes {
    pub(crate) fn new(exit: Arc<Exit>, connections: Scope, first: Fresh) -> Self {
        let (say, said) = mpsc::channel(CONTROL_QUEUE);
        let flows = Arc::new(Semaphore::new(first.tunnel.max_flows().min(Semaphore::MAX_PERMITS)));
        let (tunnels, attended, ended) = (Vec::new(), FuturesUnordered::new(), None);
        let wake = Wake::new(Arc::clone(&exit.net));
        let places = Places::new(Arc::clone(&exit.net));
        let mut lanes = Self {
            exit,
            connections,
            flows,
            opened: Arc::default(),
            tunnels,
            next: 0,
            attended,
            ended,
            said,
            say,
            wake,
            places,
        };
        lanes.add((first.tunnel, first.order), first.born, Role::Main);
        lanes
    }

    /// Serves what the gateway opens on this one too; it was dialled at `born`.
    pub(crate) fn add(&mut self, (tunnel, order): (Tunnel, u64), born: Instant, role: Role) {
        let number = self.next;
        self.next = number.wrapping_add(1);
        // All ports may be taken away at once.
        tunnel.expect_control(self.exit.forwards.len());
        let serving = Serving {
            exit: Arc::clone(&self.exit),
            flows: Arc::clone(&self.flows),
            opened: Arc::clone(&self.opened),
            connections: self.connections.clone(),
        };
        let attending = attend(tunnel.clone(), serving, self.say.clone());
        self.attended.push(Box::pin(async move { (number, attending.await) }));
        self.tunnels.push(Lane { number, tunnel, order, born, role });
        self.look_around();
    }

    fn look_around(&mut self) {
        self.places.look(self.tunnels.iter().map(|lane| (lane.number, &lane.tunnel)));
    }

    /// Told whenever the gateway opens something.
    pub(crate) fn opened(&self) -> Arc<Notify> {
        Arc::clone(&self.opened)
    }

    /// The one for what is new.
    pub(crate) fn current(&self) -> Option<&Tunnel> {
        self.current_at().and_then(|at| self.tunnels.get(at)).map(|lane| &lane.tunnel)
    }

    /// When that one was dialled.
    pub(crate) fn born(&self) -> Option<Instant> {
        self.current_at().and_then(|at| self.tunnels.get(at)).map(|lane| lane.born)
    }

    /// Its number within the session.
    pub(crate) fn order(&self) -> Option<u64> {
        self.current_at().and_then(|at| self.tunnels.get(at)).map(|lane| lane.order)
    }

    /// How many share what is new with it.
    pub(crate) fn beside(&self) -> usize {
        let Some(main) = self.main_at() else { return self.tunnels.len().saturating_sub(1) };
        self.tunnels.iter().skip(main).filter(|lane| lane.role == Role::Beside).count()
    }

    fn main_at(&self) -> Option<usize> {
        self.tunnels.iter().rposition(|lane| lane.role == Role::Main)
    }

    /// Where no main one is left, the first of the others takes its place: what comes later does not change that, and
    /// the gateway sees it alike.
    fn current_at(&self) -> Option<usize> {
        let orders = || self.tunnels.iter().map(|lane| lane.order);
        self.main_at()
            .or_else(|| orders().min().and_then(|least| orders().position(|it| it == least)))
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Tunnel> {
        self.tunnels.iter().map(|lane| &lane.tunnel)
    }

    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        for tunnel in self.all() {
            tunnel.close(code, reason);
        }
    }

    /// Serves until the last one is over, whatever the gateway says.
    pub(crate) async fn finish(&mut self) -> TunnelError {
        loop {
            if let News::Over(lost) = self.next().await {
                return lost.error;
            }
        }
    }

    /// Serves until something is to be told. Cancel safe.
    pub(crate) async fn next(&mut self) -> News {
        while self.ended.is_none() {
            tokio::select! {
                biased;
                Some((tunnel, frame)) = self.said.recv() => return News::Said(tunnel, frame),
                Some(over) = self.attended.next() => self.ended = Some(over),
                slept = self.wake.woke() => self.all().for_each(|tunnel| tunnel.doubt(slept)),
                () = self.places.due() => self.look_around(),
            }
        }
        // A tunnel may say why it ends, and end at once: that comes first.
        if let Ok((tunnel, frame)) = self.said.try_recv() {
            return News::Said(tunnel, frame);
        }
        let ended = self.ended.take();
        let Some((at, error)) = ended.and_then(|(number, error)| {
            let at = self.tunnels.iter().position(|lane| lane.number == number)?;
            Some((at, error))
        }) else {
            return std::future::pending().await;
        };
        let carried = self.current_at() == Some(at);
        let lane = self.tunnels.remove(at);
        let lost = Lost { transport: lane.tunnel.transport(), born: lane.born, error };
        match lane.role {
            _ if self.tunnels.is_empty() => News::Over(lost),
            _ if carried => News::FellBack(lost),
            Role::Main => News::Left(lost),
            Role::Beside | Role::Left => News::BesideOver(lost),
        }
    }
}

/// What streams of all tunnels share.
struct Serving {
    exit: Arc<Exit>,
    flows: Arc<Semaphore>,
    opened: Arc<Notify>,
    connections: Scope,
}

impl Serving {
    fn serve(&self, tunnel: &Tunnel, incoming: Incoming) {
        self.opened.notify_one();
        let (exit, flows) = (Arc::clone(&self.exit), Arc::clone(&self.flows));
        self.connections.spawn("connection", exit.serve(tunnel.clone(), flows, incoming));
    }
}

/// Serves what the gateway opens until the tunnel is over.
async fn attend(
    tunnel: Tunnel,
    serving: Serving,
    say: mpsc::Sender<(Tunnel, Frame)>,
) -> TunnelError {
    let entry = serving.exit.ledger.enter(&serving.exit.group, &tunnel);
    let error = loop {
        tokio::select! {
            biased;
            error = tunnel.closed() => break error,
            frame = tunnel.recv_control() => match frame {
                // The session takes it, or is over.
                Ok(frame) => drop(say.send((tunnel.clone(), frame)).await),
                Err(error) => break error,
            },
            incoming = tunnel.accept() => match incoming {
                Ok(incoming) => serving.serve(&tunnel, incoming),
                Err(error) => break error,
            },
        }
    };
    entry.over(&error);
    if matches!(error, TunnelError::Closed { by: ClosedBy::Us, .. }) {
        tunnel.farewell().await;
    }
    error
}
