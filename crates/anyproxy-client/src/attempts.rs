//! Attempts to connect that are under way: at most one over each transport.

use std::{
    future::poll_fn,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::{Connected, Dialer, Gateways, Login, Transport, Tunnel};
use anyproxy_wire::message::Welcome;
use futures_util::future::BoxFuture;

use crate::failure::Failure;

/// A log-in has at least so long, however long it waited for its turn.
const LOGIN_TIME: Duration = Duration::from_secs(5);

/// How far an attempt came.
pub(crate) enum Step {
    /// It could log in.
    Dialled,
    /// The tunnel is up.
    LoggedIn(Tunnel, Box<Welcome>),
    /// It is over; with whom it was, if it came to a log-in.
    Failed(Failure, Option<SocketAddr>),
}

enum Done {
    Dialled(Box<Connected>, Deadline),
    LoggedIn(Tunnel, Box<Welcome>),
}

/// Dropping it gives them all up.
#[derive(Default)]
pub(crate) struct Attempts {
    quic: Slot,
    websocket: Slot,
}

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Running(BoxFuture<'static, Result<Done, (Failure, Option<SocketAddr>)>>),
    /// It waits until it may log in, and has so long, or [`LOGIN_TIME`].
    Waiting(Box<Connected>, Deadline),
}

impl Attempts {
    pub(crate) fn dial(
        &mut self,
        dialer: &Arc<Dialer>,
        (transport, gateways): (Transport, Gateways),
        deadline: Deadline,
    ) {
        let dialer = Arc::clone(dialer);
        let dialling = async move {
            let dialled = dialer.dial_to(transport, gateways, deadline).await;
            let connected = dialled.map_err(|error| (error.into(), None))?;
            Ok(Done::Dialled(Box::new(connected), deadline))
        };
        *self.slot(transport) = Slot::Running(Box::pin(dialling));
    }

    /// Goes on with one that was dialled; the tunnel's tasks run in `scope`.
    pub(crate) fn log_in(&mut self, transport: Transport, login: Login, scope: &Scope) {
        let scope = scope.clone();
        let slot = self.slot(transport);
        let Slot::Waiting(connected, deadline) = std::mem::take(slot) else { return };
        let deadline = Deadline::after(deadline.remaining().max(LOGIN_TIME));
        let logging_in = async move {
            let peer = connected.peer();
            let logged_in = connected.log_in(&login, deadline, &scope).await;
            let (tunnel, welcome) = logged_in.map_err(|error| (error.into(), Some(peer)))?;
            Ok(Done::LoggedIn(tunnel, Box::new(welcome)))
        };
        *slot = Slot::Running(Box::pin(logging_in));
    }

    pub(crate) fn give_up(&mut self, transport: Transport) {
        *self.slot(transport) = Slot::Empty;
    }

    /// Waits until one came a step further; for ever if there is none. Cancel safe.
    pub(crate) async fn next(&mut self) -> (Transport, Step) {
        poll_fn(|cx| {
            for transport in [Transport::Quic, Transport::WebSocket] {
                if let Poll::Ready(step) = self.slot(transport).poll(cx) {
                    return Poll::Ready((transport, step));
                }
            }
            Poll::Pending
        })
        .await
    }

    fn slot(&mut self, transport: Transport) -> &mut Slot {
        match transport {
            Transport::Quic => &mut self.quic,
            Transport::WebSocket => &mut self.websocket,
        }
    }
}

impl Slot {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let Self::Running(running) = self else { return Poll::Pending };
        let Poll::Ready(done) = running.as_mut().poll(cx) else { return Poll::Pending };
        *self = Self::Empty;
        Poll::Ready(match done {
            Ok(Done::Dialled(connected, deadline)) => {
                *self = Self::Waiting(connected, deadline);
                Step::Dialled
            }
            Ok(Done::LoggedIn(tunnel, welcome)) => Step::LoggedIn(tunnel, welcome),
            Err((failure, peer)) => Step::Failed(failure, peer),
        })
    }
}
