//! A live session at the client.

use std::{collections::BTreeSet, time::Duration};

use anyproxy_transport::{Tunnel, TunnelError};
use anyproxy_wire::{
    codes::{CloseCode, ForwardCode},
    frame::Frame,
    message::{ForwardReply, ForwardRequest, Goaway},
};
use futures_util::future::join_all;
use tokio::{sync::watch, time::Instant};

use crate::{
    beside::{Beside, Further, Step},
    chosen::{Ask, Slot},
    lanes::{Lanes, Lost, News, Role},
    replica::Replica,
    state::ForwardState,
    ways::{Event, Fresh, Ways},
};

/// Ports asked for and not yet answered, at most.
const REQUESTS: usize = 32;

/// How a session ends.
pub(crate) enum End {
    /// Its last tunnel is over.
    Over(TunnelError),
    /// The gateway takes no new connections, while the tunnels and what runs through them go on.
    Leaving(Goaway),
}

/// How far the session's end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    /// It takes no new connections.
    Leaving,
    Closing,
}

pub(crate) struct Session<'a> {
    lanes: &'a mut Lanes,
    ways: &'a mut Ways,
    beside: Beside,
    replica: &'a Replica,
    /// Forwards that were asked for and are not answered yet.
    asked: BTreeSet<usize>,
    /// Forwards to be asked for, and when.
    due: BTreeSet<(Instant, usize)>,
    /// Forwards that wait for the port that another replica is given.
    later: BTreeSet<usize>,
    chosen: watch::Receiver<Vec<Slot>>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(lanes: &'a mut Lanes, ways: &'a mut Ways, replica: &'a Replica) -> Self {
        let now = Instant::now();
        let due = (0..replica.exit.forwards.len()).map(|index| (now, index)).collect();
        let chosen = replica.ports.changes();
        let most = replica.exit.limits.websocket_connections;
        let mut beside = Beside::new(most, lanes.opened(), replica.connections.clone());
        if let Some(tunnel) = lanes.current() {
            replica.reporter.connected(tunnel.transport(), replica.exit.forwards.len());
            beside.moved(Some(tunnel.transport()), lanes.beside());
        }
        let (asked, later) = (BTreeSet::new(), BTreeSet::new());
        Self { lanes, ways, beside, replica, asked, due, later, chosen }
    }

    /// Serves until the last tunnel is over, or takes no new connections any more, and says why. Not cancel safe.
    pub(crate) async fn run(mut self) -> End {
        let scope = &self.replica.scope;
        let mut stage = Stage::Serving;
        loop {
            let ask_at = self.next_request();
            tokio::select! {
                biased;
                () = scope.cancelled(), if stage != Stage::Closing => {
                    stage = Stage::Closing;
                    self.stop();
                    self.lanes.close(CloseCode::Shutdown, "the client is shutting down");
                }
                news = self.lanes.next() => match news {
                    News::Said(_, Frame::Goaway(goaway)) if stage == Stage::Serving => {
                        return End::Leaving(goaway);
                    }
                    News::Said(tunnel, frame) => self.handle(&tunnel, frame),
                    News::FellBack(lost) if stage == Stage::Serving => self.fall_back(&lost),
                    News::BesideOver(lost) => {
                        self.beside.lost(lost.born, &lost.error, self.lanes.beside());
                        tracing::debug!(replica = self.replica.number, reason = %lost.error,
                            "a further tunnel is over");
                    }
                    News::FellBack(lost) | News::Left(lost) => {
                        self.ways.lost(&lost);
                        tracing::debug!(replica = self.replica.number, reason = %lost.error,
                            "the tunnel that was left is over");
                    }
                    News::Over(lost) => {
                        self.ways.lost(&lost);
                        return End::Over(lost.error);
                    }
                },
                () = scope.draining(), if stage == Stage::Serving => {
                    stage = Stage::Leaving;
                    self.stop();
                    self.say_goodbye().await;
                }
                event = self.ways.next(), if stage == Stage::Serving => match event {
                    Event::Up(fresh) => self.move_to(fresh),
                    Event::Disowned => {
                        stage = Stage::Closing;
                        self.stop();
                        self.lanes.close(CloseCode::NoSuchSession, "the gateway knows nothing of it");
                    }
                    Event::Exhausted(_) => {}
                },
                step = self.beside.next(), if stage != Stage::Closing => self.add(step),
                Ok(()) = self.chosen.changed() => {
                    let now = Instant::now();
                    let later = std::mem::take(&mut self.later);
                    self.due.extend(later.into_iter().map(|index| (now, index)));
                }
                () = tokio::time::sleep_until(ask_at.unwrap_or_else(Instant::now)),
                    if ask_at.is_some() => self.request().await,
            }
        }
    }

    /// What is new goes there from now on; what is live stays where it is.
    fn move_to(&mut self, Fresh { tunnel, order, born, why }: Fresh) {
        let transport = tunnel.transport();
        let why = why.unwrap_or_default();
        self.replica.notes.moved(self.replica.number, &tunnel, why);
        tracing::info!(gateway = %tunnel.peer(), %transport, reason = why,
            replica = self.replica.number, "moved to another tunnel");
        self.lanes.add((tunnel, order), born, Role::Main);
        self.moved();
    }

    fn add(&mut self, step: Step) {
        match step {
            Step::Wanted => {
                let attempt = self.lanes.order().and_then(|main| self.ways.beside(main));
                attempt.into_iter().for_each(|attempt| self.beside.attempt(attempt));
            }
            Step::Up(Further { tunnel, order, main, born }) => {
                tracing::debug!(gateway = %tunnel.peer(), replica = self.replica.number,
                    "one more tunnel to the gateway");
                // It may have streams even if the session has moved meanwhile.
                let is_beside = self.lanes.order() == Some(main);
                let role = if is_beside { Role::Beside } else { Role::Left };
                self.lanes.add((tunnel, order), born, role);
                self.beside.came(self.lanes.beside());
            }
        }
    }

    /// Nothing is dialled any more.
    fn stop(&mut self) {
        self.ways.stop();
        self.beside.moved(None, 0);
    }

    /// The tunnel that carried the session is over; one that was left before is not.
    fn fall_back(&mut self, lost: &Lost) {
        self.ways.lost(lost);
        let (Some(tunnel), Some(born)) = (self.lanes.current(), self.lanes.born()) else { return };
        tracing::warn!(transport = %tunnel.transport(), reason = %lost.error,
            replica = self.replica.number, "a tunnel was lost; the session goes on over another of its own");
        self.replica.notes.moved(self.replica.number, tunnel, "another tunnel was lost");
        self.ways.fell_back(tunnel, born);
        self.moved();
    }

    /// Whether the gateway heard what was asked over the former tunnel is not known.
    fn moved(&mut self) {
        let Some(tunnel) = self.lanes.current() else { return };
        self.replica.reporter.moved(tunnel.transport());
        self.beside.moved(Some(tunnel.transport()), self.lanes.beside());
        let now = Instant::now();
        let asked = std::mem::take(&mut self.asked);
        self.due.extend(asked.into_iter().map(|index| (now, index)));
    }

    /// When the next port is to be asked for; `None` while too many answers are outstanding.
    fn next_request(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at).filter(|_| self.asked.len() < REQUESTS)
    }

    async fn request(&mut self) {
        let Some((_, index)) = self.due.pop_first() else { return };
        let Some(forward) = self.replica.exit.forwards.get(index) else { return };
        let listen = match self.replica.ports.ask(index, forward, self.replica.number) {
            Ask::Listen(listen) => listen,
            Ask::Later => {
                self.later.insert(index);
                return;
            }
        };
        let request = ForwardRequest {
            id: u64::try_from(index).unwrap_or(u64::MAX),
            protocol: forward.protocol,
            listen,
            name: forward.name.clone(),
        };
        self.asked.insert(index);
        // An error means that the tunnel is over, which the loop sees next.
        if let Some(tunnel) = self.lanes.current() {
            let _ = tunnel.send_control(Frame::ForwardRequest(request)).await;
        }
    }

    async fn say_goodbye(&mut self) {
        let goaway = Goaway {
            code: CloseCode::Shutdown,
            reconnect_after: Duration::ZERO,
            drain: self.replica.drain,
            reason: "the client is shutting down".into(),
        };
        // One that takes nothing does not hold the others up; an error means that it is over.
        let saying = self.lanes.all().map(|it| it.send_control(Frame::Goaway(goaway.clone())));
        join_all(saying).await;
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "only the gateway's messages are legal here, whatever else there is or will be"
    )]
    fn handle(&mut self, tunnel: &Tunnel, frame: Frame) {
        match frame {
            Frame::ForwardReply(reply) => self.answered(&reply),
            // Both sides leave.
            Frame::Goaway(_) => {}
            other => {
                tunnel.close(CloseCode::Protocol, &format!("unexpected {}", other.name()));
            }
        }
    }

    fn answered(&mut self, reply: &ForwardReply) {
        let Replica { exit, ports, reporter, number: replica, .. } = self.replica;
        let Some(index) = usize::try_from(reply.id).ok() else { return };
        let Some(forward) = exit.forwards.get(index) else { return };
        // Nothing was asked when the gateway takes a port back.
        self.asked.remove(&index);
        let bound = reply.bound.filter(|_| reply.code == ForwardCode::Bound);
        ports.answered(index, *replica, bound);
        let Some(bound) = bound else {
            self.due.retain(|(_, other)| *other != index);
            self.due.insert((Instant::now() + exit.limits.forward_pause, index));
            let code = reply.code;
            let detail = Some(reply.detail.as_str()).filter(|detail| !detail.is_empty());
            let why = detail.map_or_else(|| code.to_string(), |detail| format!("{code}: {detail}"));
            // One line, not one for each try.
            if reporter.set_forward(index, ForwardState::Refused(why)) {
                tracing::warn!(name = %forward.name, listen = %forward.listen, %code, detail,
                    replica, "forward refused; it is asked for until it is free");
            }
            return;
        };
        reporter.set_forward(index, ForwardState::Bound(bound));
        tracing::info!(name = %forward.name, %bound, to = %forward.target, replica,
            "forward open");
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.replica.ports.left(self.replica.number);
    }
}
