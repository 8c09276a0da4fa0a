//! What is to be done next.
//!
//! Beside a session there is an attempt for a reason only: QUIC is better (*probe*), the session's tunnel is in
//! trouble (*rescue*), or it is old (*renewal*). When the reason is gone, so is the attempt.

use std::time::{Duration, Instant};

use anyproxy_transport::Transport;

use super::{Carrier, Command, Path, RESCUE_PAUSE, attempt::Attempt, other};
use crate::config::Choice;

/// How long a log-in may take while another transport waits for its turn.
pub(super) const LOGIN_PATIENCE: Duration = Duration::from_secs(1);

/// The pause after a log-in that gave way while there is a session. It is what the other one has for its
/// own: where both are slow, they do not push each other out in turns.
pub(super) const HUNG_PAUSE: Duration = Duration::from_secs(5);

/// The pause before the WebSocket is tried again that came up and was no better than QUIC.
const RESCUE_AGAIN: Duration = Duration::from_secs(10);

/// How long the other transport has to take over from a dark tunnel before the same one is tried too.
pub(super) const LAST_RESORT: Duration = Duration::from_secs(1);

impl Path {
    /// What is to be done now; to be asked until there is nothing more.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Command> {
        if self.carrier.as_mut().is_some_and(|carrier| carrier.health.take_question()) {
            return Some(Command::Ping);
        }
        self.renew(now);
        for transport in [Transport::Quic, Transport::WebSocket] {
            match self.attempt(transport) {
                Attempt::Due(at) if at <= now => {
                    *self.attempt_mut(transport) = Attempt::Dialling { began: now };
                    return Some(Command::Dial(transport));
                }
                Attempt::Ready { began, .. } if self.may_log_in(now, transport) => {
                    *self.attempt_mut(transport) = Attempt::LoggingIn { began, since: now };
                    return Some(Command::LogIn(transport));
                }
                Attempt::Idle
                | Attempt::Due(_)
                | Attempt::Dialling { .. }
                | Attempt::Ready { .. }
                | Attempt::LoggingIn { .. } => {}
            }
        }
        if let Some((hung, _)) = self.stuck().filter(|(_, until)| *until <= now) {
            self.give_way(now, hung);
            return Some(Command::GiveUp(hung));
        }
        let spare = self.needless(now)?;
        *self.attempt_mut(spare) = Attempt::Idle;
        let carrier = self.carrier.as_ref();
        if carrier.is_some_and(|it| it.transport != spare && it.health.is_bad()) {
            self.pauses.no_better = Some(now + RESCUE_AGAIN);
        }
        Some(Command::GiveUp(spare))
    }

    /// When to ask again at the latest, if nothing happens.
    pub(crate) fn wait_until(&self) -> Option<Instant> {
        let due = [self.quic, self.websocket].into_iter().filter_map(Attempt::due);
        let stuck = self.stuck().map(|(_, until)| until);
        due.chain(stuck).chain(self.renewal()).min()
    }

    /// When a successor for an old tunnel is to be dialled.
    fn renewal(&self) -> Option<Instant> {
        let carrier = self.carrier.as_ref()?;
        let at = carrier.renew_at.filter(|_| self.attempt(carrier.transport) == Attempt::Idle)?;
        Some(self.pauses.same.map_or(at, |pause| pause.max(at)))
    }

    fn renew(&mut self, now: Instant) {
        if let Some(at) = self.renewal().filter(|at| *at <= now)
            && let Some(Carrier { transport, .. }) = self.carrier
        {
            *self.attempt_mut(transport) = Attempt::Due(at);
        }
    }

    /// Has another tunnel dialled where this one does not do its work.
    pub(super) fn rescue(&mut self, now: Instant) {
        let Some(carrier) = &self.carrier else { return };
        let past = |at: Option<Instant>| at.is_none_or(|at| at <= now);
        let health = &carrier.health;
        let (mut same, mut second) = (health.is_silent(), health.is_silent());
        match (self.choice, carrier.transport) {
            (Choice::Auto, Transport::Quic) => {
                let there =
                    matches!(self.websocket, Attempt::Ready { .. } | Attempt::LoggingIn { .. });
                same = health.is_dark_for(LAST_RESORT) && !there;
                second |= health.is_bad() && past(self.pauses.no_better);
            }
            (Choice::Auto, Transport::WebSocket) => {}
            (Choice::Quic | Choice::WebSocket, _) => second = false,
        }
        let carrier = carrier.transport;
        let (past_same, past_other) = (past(self.pauses.same), past(self.pauses.other));
        if same && past_same && self.attempt(carrier) == Attempt::Idle {
            *self.attempt_mut(carrier) = Attempt::Due(now);
        }
        if !second || !past_other {
            return;
        }
        let waits = match self.attempt(other(carrier)) {
            Attempt::Idle => true,
            // The next probe of QUIC, which does not wait then.
            Attempt::Due(at) => at > now,
            Attempt::Dialling { .. } | Attempt::Ready { .. } | Attempt::LoggingIn { .. } => false,
        };
        if waits {
            *self.attempt_mut(other(carrier)) = Attempt::Due(now);
            self.pauses.other = Some(now + RESCUE_PAUSE);
        }
    }

    /// With a session, only where the attempt would still be begun.
    fn may_log_in(&self, now: Instant, transport: Transport) -> bool {
        if self.attempt(other(transport)).is_logging_in() {
            return false;
        }
        let Some(carrier) = &self.carrier else { return true };
        self.does_better(carrier, transport)
            || carrier.transport == transport && carrier.is_old(now)
    }

    /// Whether what is ready over `transport` is to be had rather than the session's tunnel, whose age apart.
    fn does_better(&self, carrier: &Carrier, transport: Transport) -> bool {
        match (carrier.transport, transport) {
            (Transport::WebSocket, Transport::Quic) => true,
            (Transport::Quic, Transport::WebSocket) => match self.websocket {
                Attempt::Ready { took, .. } => carrier.is_worse_than(took),
                Attempt::Idle
                | Attempt::Due(_)
                | Attempt::Dialling { .. }
                | Attempt::LoggingIn { .. } => false,
            },
            (Transport::Quic, Transport::Quic) | (Transport::WebSocket, Transport::WebSocket) => {
                carrier.health.is_dark()
            }
        }
    }

    /// A log-in that another transport waits for, and until when it does. A handshake that passes says
    /// little: some middleboxes swallow only what comes after it.
    fn stuck(&self) -> Option<(Transport, Instant)> {
        let (hung, since) = match (self.quic, self.websocket) {
            (Attempt::LoggingIn { since, .. }, Attempt::Ready { .. }) => (Transport::Quic, since),
            (Attempt::Ready { .. }, Attempt::LoggingIn { since, .. }) => {
                (Transport::WebSocket, since)
            }
            (_, _) => return None,
        };
        match &self.carrier {
            None => Some((hung, since + LOGIN_PATIENCE)),
            Some(carrier) => {
                let wanted = carrier.health.is_silent() && self.does_better(carrier, other(hung));
                wanted.then(|| (hung, since + LOGIN_PATIENCE.max(carrier.health.brisk())))
            }
        }
    }

    /// The gateway may let it in all the same; of two tunnels it takes the one whose log-in began later.
    fn give_way(&mut self, now: Instant, hung: Transport) {
        *self.attempt_mut(hung) = Attempt::Idle;
        let Some(carrier) = self.carrier.as_ref().map(|carrier| carrier.transport) else { return };
        let until = Some(now + HUNG_PAUSE);
        match (carrier, hung) {
            (Transport::WebSocket, Transport::Quic) => {
                self.pauses.other = until;
                self.probe_after(now);
            }
            (Transport::Quic, Transport::WebSocket) => self.pauses.other = until,
            (Transport::Quic, Transport::Quic) | (Transport::WebSocket, Transport::WebSocket) => {
                self.pauses.same = until;
            }
        }
    }

    /// An attempt for which there is no reason any more. One that logs in already is let be: the
    /// gateway may have let it in.
    fn needless(&self, now: Instant) -> Option<Transport> {
        let carrier = self.carrier.as_ref()?;
        let (same, health) = (carrier.transport, &carrier.health);
        if self.attempt(same).is_under_way() && !health.is_silent() && !carrier.is_old(now) {
            return Some(same);
        }
        if same == Transport::WebSocket {
            return None;
        }
        let needless = match self.websocket {
            Attempt::Dialling { .. } => health.is_good(),
            Attempt::Ready { took, .. } => {
                health.is_good() || health.is_bad() && !carrier.is_worse_than(took)
            }
            Attempt::Idle | Attempt::Due(_) | Attempt::LoggingIn { .. } => false,
        };
        needless.then_some(Transport::WebSocket)
    }
}

impl Carrier {
    /// Whether a WebSocket that came up in `took` does better than this QUIC tunnel. Where QUIC is merely
    /// poor, the network may be; TCP would fare worse still, and shows it by how long it takes.
    fn is_worse_than(&self, took: Duration) -> bool {
        self.health.is_dark() || self.health.is_bad() && took <= self.health.brisk()
    }
}
