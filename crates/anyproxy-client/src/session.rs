//! A live session at the client.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use anyproxy_runtime::Scope;
use anyproxy_transport::{Tunnel, TunnelError};
use anyproxy_wire::{
    codes::{CloseCode, ForwardCode},
    frame::Frame,
    message::{ForwardReply, ForwardRequest, Goaway},
};
use tokio::time::Instant;

use crate::{
    connection::Exit,
    state::{ForwardState, Reporter, State},
};

/// Ports asked for and not yet answered, at most.
const REQUESTS: usize = 32;

pub(crate) struct Session<'a> {
    pub(crate) tunnel: Tunnel,
    pub(crate) exit: &'a Arc<Exit>,
    pub(crate) reporter: &'a Reporter,
    /// Connections run here; it outlives the tunnel, so that what has arrived is delivered.
    pub(crate) scope: Scope,
    /// What the gateway is told about our own shutdown.
    pub(crate) drain: Duration,
    asked: usize,
    due: VecDeque<(Instant, usize)>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        tunnel: Tunnel,
        exit: &'a Arc<Exit>,
        reporter: &'a Reporter,
        scope: Scope,
        drain: Duration,
    ) -> Self {
        let now = Instant::now();
        let due = (0..exit.forwards.len()).map(|index| (now, index)).collect();
        Self { tunnel, exit, reporter, scope, drain, asked: 0, due }
    }

    /// Serves until the tunnel is over and says why. Not cancel safe.
    pub(crate) async fn run(mut self) -> TunnelError {
        self.reporter.set(State::Connected {
            transport: self.tunnel.transport(),
            forwards: vec![ForwardState::Requested; self.exit.forwards.len()],
        });
        let mut leaving = false;
        loop {
            let ask_at = self.next_request();
            tokio::select! {
                biased;
                error = self.tunnel.closed() => return error,
                () = self.exit.scope.cancelled() => {
                    self.tunnel.close(CloseCode::Shutdown, "the client is shutting down");
                }
                () = self.exit.scope.draining(), if !leaving => {
                    leaving = true;
                    self.say_goodbye().await;
                }
                frame = self.tunnel.recv_control() => match frame {
                    Ok(frame) => self.handle(frame),
                    Err(error) => return error,
                },
                incoming = self.tunnel.accept() => match incoming {
                    Ok(incoming) => {
                        let serving = Arc::clone(self.exit).serve(self.tunnel.clone(), incoming);
                        self.scope.spawn("connection", serving);
                    }
                    Err(error) => return error,
                },
                () = tokio::time::sleep_until(ask_at.unwrap_or_else(Instant::now)),
                    if ask_at.is_some() => self.request().await,
            }
        }
    }

    /// When the next port is to be asked for; `None` while too many answers are outstanding.
    fn next_request(&self) -> Option<Instant> {
        self.due.front().map(|(at, _)| *at).filter(|_| self.asked < REQUESTS)
    }

    async fn request(&mut self) {
        let Some((_, index)) = self.due.pop_front() else { return };
        let Some(forward) = self.exit.forwards.get(index) else { return };
        let request = ForwardRequest {
            id: u64::try_from(index).unwrap_or(u64::MAX),
            protocol: forward.protocol,
            listen: forward.listen.clone(),
            name: forward.name.clone(),
        };
        self.asked = self.asked.saturating_add(1);
        // An error means that the tunnel is over, which the loop sees next.
        let _ = self.tunnel.send_control(Frame::ForwardRequest(request)).await;
    }

    async fn say_goodbye(&self) {
        let goaway = Goaway {
            code: CloseCode::Shutdown,
            reconnect_after: Duration::ZERO,
            drain: self.drain,
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
            Frame::Goaway(goaway) => {
                tracing::info!(reason = %goaway.reason, "the gateway takes no new connections");
            }
            other => {
                self.tunnel.close(CloseCode::Protocol, &format!("unexpected {}", other.name()));
            }
        }
    }

    fn answered(&mut self, reply: &ForwardReply) {
        self.asked = self.asked.saturating_sub(1);
        let Some(index) = usize::try_from(reply.id).ok() else { return };
        let Some(forward) = self.exit.forwards.get(index) else { return };
        let state = match (reply.code, reply.bound) {
            (ForwardCode::Bound, Some(bound)) => {
                tracing::info!(name = %forward.name, %bound, target = %forward.target, "forward open");
                ForwardState::Bound(bound)
            }
            (code, _) => {
                tracing::warn!(name = %forward.name, listen = %forward.listen, %code,
                    detail = %reply.detail, "forward refused; it is asked for again");
                self.due.push_back((Instant::now() + self.exit.limits.forward_pause, index));
                ForwardState::Refused(format!("{code}: {}", reply.detail))
            }
        };
        self.reporter.set_forward(index, state);
    }
}
