//! A live session at the client.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyproxy_transport::{Tunnel, TunnelError};
use anyproxy_wire::{
    codes::{CloseCode, ForwardCode},
    frame::Frame,
    message::{ForwardReply, ForwardRequest, Goaway},
};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

use crate::{
    chosen::{Ask, Slot},
    replica::Replica,
    state::ForwardState,
};

/// Ports asked for and not yet answered, at most.
const REQUESTS: usize = 32;

/// How a session ends.
pub(crate) enum End {
    /// Its tunnel is over.
    Over(TunnelError),
    /// The gateway takes no new connections, while the tunnel and what runs through it go on.
    Leaving(Goaway),
}

pub(crate) struct Session<'a> {
    tunnel: Tunnel,
    /// What is left of its streams for UDP flows.
    flows: Arc<Semaphore>,
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
    pub(crate) fn new(tunnel: Tunnel, replica: &'a Replica) -> Self {
        let now = Instant::now();
        let due = (0..replica.exit.forwards.len()).map(|index| (now, index)).collect();
        let chosen = replica.ports.changes();
        let flows = Arc::new(Semaphore::new(tunnel.max_flows().min(Semaphore::MAX_PERMITS)));
        Self { tunnel, flows, replica, asked: BTreeSet::new(), due, later: BTreeSet::new(), chosen }
    }

    /// Serves until the tunnel is over, or takes no new connections any more, and says why. Not cancel safe.
    pub(crate) async fn run(mut self) -> End {
        let Replica { exit, scope, connections, reporter, .. } = self.replica;
        reporter.connected(self.tunnel.transport(), exit.forwards.len());
        let mut leaving = false;
        loop {
            let ask_at = self.next_request();
            tokio::select! {
                biased;
                error = self.tunnel.closed() => return End::Over(error),
                () = scope.cancelled() => {
                    self.tunnel.close(CloseCode::Shutdown, "the client is shutting down");
                }
                () = scope.draining(), if !leaving => {
                    leaving = true;
                    self.say_goodbye().await;
                }
                frame = self.tunnel.recv_control() => match frame {
                    Ok(Frame::Goaway(goaway)) if !leaving => return End::Leaving(goaway),
                    Ok(frame) => self.handle(frame),
                    Err(error) => return End::Over(error),
                },
                incoming = self.tunnel.accept() => match incoming {
                    Ok(incoming) => {
                        let flows = Arc::clone(&self.flows);
                        let serving = Arc::clone(exit).serve(self.tunnel.clone(), flows, incoming);
                        connections.spawn("connection", serving);
                    }
                    Err(error) => return End::Over(error),
                },
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
        let _ = self.tunnel.send_control(Frame::ForwardRequest(request)).await;
    }

    async fn say_goodbye(&self) {
        let goaway = Goaway {
            code: CloseCode::Shutdown,
            reconnect_after: Duration::ZERO,
            drain: self.replica.drain,
            reason: "the client is shutting down".into(),
        };
        let _ = self.tunnel.send_control(Frame::Goaway(goaway)).await;
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "only the gateway's messages are legal here, whatever else there is or will be"
    )]
    fn handle(&mut self, frame: Frame) {
        match frame {
            Frame::ForwardReply(reply) => self.answered(&reply),
            // Both sides leave.
            Frame::Goaway(_) => {}
            other => {
                self.tunnel.close(CloseCode::Protocol, &format!("unexpected {}", other.name()));
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
            let (code, detail) = (reply.code, &reply.detail);
            // One line, not one for each try.
            if reporter.set_forward(index, ForwardState::Refused(format!("{code}: {detail}"))) {
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
