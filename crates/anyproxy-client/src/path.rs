//! Which transport carries the session, and when to try which. No I/O and no clock: the time is an
//! argument, what is to be done comes from [`Path::poll`].
//!
//! ```text
//! no session   first ─250 ms─▶ other           the first that is authenticated carries the session
//! WebSocket    5 s ─▶ QUIC ─▶ 10 s ─▶ QUIC ─▶ … 5 min, for ever;  authenticated: move to QUIC
//! QUIC         doubtful ─▶ dial the WebSocket;  dark or collapsed: log in there, move
//!              healthy again ─▶ give the WebSocket up
//! ```
//!
//! Only one attempt at a time may log in while there is no session: two new sessions of one client would
//! push each other out. One that takes too long gives way to one that waits. With a session,
//! whatever logs in joins it.

mod health;
mod jitter;

use std::time::{Duration, Instant};

use anyproxy_transport::Transport;

use crate::config::Choice;
use health::Health;
pub(crate) use health::{PING_WITHIN, Sample};
use jitter::Jitter;

/// How much later the second transport starts.
const HEAD_START: Duration = Duration::from_millis(250);

/// How long a log-in may take while another transport waits for its turn.
const LOGIN_PATIENCE: Duration = Duration::from_secs(1);

/// The pause before QUIC is tried again, at first and at most.
const FIRST_PROBE: Duration = Duration::from_secs(5);
const LAST_PROBE: Duration = Duration::from_secs(5 * 60);

/// QUIC that carried the session for so long was not up by chance: the next probe comes soon.
const GOOD_QUIC: Duration = Duration::from_secs(60);

/// The pause before the WebSocket is tried again while QUIC is in trouble: after a failure, and when
/// it came up and was not taken.
const RESCUE_PAUSE: Duration = Duration::from_secs(1);
const RESCUE_AGAIN: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Connect, up to where a log-in may begin.
    Dial(Transport),
    /// Log in over the connection that was made.
    LogIn(Transport),
    /// Drop the attempt.
    GiveUp(Transport),
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The network, or the transport.
    Way,
    /// The gateway itself said no: it would over the other transport too.
    Gateway,
}

/// How far a transport is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Idle,
    Due(Instant),
    Dialling(Instant),
    /// It could log in, and took so long to get there.
    Ready(Duration),
    LoggingIn(Instant),
}

/// The state of one replica's way to the gateway.
#[derive(Debug)]
pub(crate) struct Path {
    choice: Choice,
    quic: Attempt,
    websocket: Attempt,
    /// What carries the session, and since when.
    session: Option<(Transport, Instant)>,
    health: Option<Health>,
    next_probe: Duration,
    /// The WebSocket failed a moment ago; and it came up, and was no better.
    rescue_from: Option<Instant>,
    no_better_until: Option<Instant>,
    jitter: Jitter,
}

impl Path {
    /// `seed` spreads the probes of many clients.
    pub(crate) fn new(choice: Choice, seed: u64) -> Self {
        Self {
            choice,
            quic: Attempt::Idle,
            websocket: Attempt::Idle,
            session: None,
            health: None,
            next_probe: FIRST_PROBE,
            rescue_from: None,
            no_better_until: None,
            jitter: Jitter::new(seed),
        }
    }

    /// There is no session and there shall be one; `winner` is what carried the last one.
    pub(crate) fn start(&mut self, now: Instant, winner: Option<Transport>) {
        self.over();
        let first = match self.choice {
            Choice::Quic => Transport::Quic,
            Choice::WebSocket => Transport::WebSocket,
            Choice::Auto => winner.unwrap_or(Transport::Quic),
        };
        *self.attempt(first) = Attempt::Due(now);
        if self.choice == Choice::Auto {
            *self.attempt(other(first)) = Attempt::Due(now + HEAD_START);
        }
        self.next_probe = FIRST_PROBE;
    }

    /// The session is over, and all attempts are dropped.
    pub(crate) fn over(&mut self) {
        (self.quic, self.websocket) = (Attempt::Idle, Attempt::Idle);
        (self.session, self.health) = (None, None);
        (self.rescue_from, self.no_better_until) = (None, None);
    }

    /// What is to be done now; to be asked until there is nothing more.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Command> {
        for transport in [Transport::Quic, Transport::WebSocket] {
            let may_log_in = self.may_log_in(transport);
            match *self.attempt(transport) {
                Attempt::Due(at) if at <= now => {
                    *self.attempt(transport) = Attempt::Dialling(now);
                    return Some(Command::Dial(transport));
                }
                Attempt::Ready(_) if may_log_in => {
                    *self.attempt(transport) = Attempt::LoggingIn(now);
                    return Some(Command::LogIn(transport));
                }
                Attempt::Idle
                | Attempt::Due(_)
                | Attempt::Dialling(_)
                | Attempt::Ready(_)
                | Attempt::LoggingIn(_) => {}
            }
        }
        let spare = self.stuck().filter(|(_, until)| *until <= now).map(|(stuck, _)| stuck);
        let spare = spare.or_else(|| self.needless())?;
        *self.attempt(spare) = Attempt::Idle;
        if self.health.as_ref().is_some_and(Health::is_bad) {
            self.no_better_until = Some(now + RESCUE_AGAIN);
        }
        Some(Command::GiveUp(spare))
    }

    /// When to ask again at the latest, if nothing happens.
    pub(crate) fn wait_until(&self) -> Option<Instant> {
        let due = [self.quic, self.websocket].into_iter().filter_map(|attempt| match attempt {
            Attempt::Due(at) => Some(at),
            Attempt::Idle | Attempt::Dialling(_) | Attempt::Ready(_) | Attempt::LoggingIn(_) => {
                None
            }
        });
        due.chain(self.stuck().map(|(_, until)| until)).min()
    }

    /// Whether everything was tried, and there is no session. What may still run is to be dropped.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.session.is_none() && (self.quic, self.websocket) == (Attempt::Idle, Attempt::Idle)
    }

    /// The connection is made.
    pub(crate) fn dialled(&mut self, now: Instant, transport: Transport) {
        let Attempt::Dialling(since) = *self.attempt(transport) else { return };
        *self.attempt(transport) = Attempt::Ready(now.saturating_duration_since(since));
    }

    /// The attempt failed.
    pub(crate) fn failed(&mut self, now: Instant, transport: Transport, why: Obstacle) {
        *self.attempt(transport) = Attempt::Idle;
        let carrier = self.session.map(|(carrier, _)| carrier);
        let second = self.attempt(other(transport));
        match (carrier, why) {
            (None, Obstacle::Gateway) => {
                (self.quic, self.websocket) = (Attempt::Idle, Attempt::Idle);
            }
            // There is nothing to wait for.
            (None, Obstacle::Way) => {
                if matches!(second, Attempt::Due(_)) {
                    *second = Attempt::Due(now);
                }
            }
            (Some(Transport::WebSocket), _) => self.probe_later(now),
            (Some(Transport::Quic), _) => self.rescue_from = Some(now + RESCUE_PAUSE),
        }
    }

    /// The tunnel is up: it carries the session from now on.
    pub(crate) fn logged_in(&mut self, now: Instant, transport: Transport) {
        *self.attempt(transport) = Attempt::Idle;
        if let Some((Transport::Quic, since)) = self.session
            && now.saturating_duration_since(since) >= GOOD_QUIC
        {
            self.next_probe = FIRST_PROBE;
        }
        self.carry(now, transport);
    }

    /// The tunnel that carried the session is over, and the other one, which was there before, is
    /// not.
    pub(crate) fn fell_back(&mut self, now: Instant, transport: Transport) {
        self.carry(now, transport);
    }

    fn carry(&mut self, now: Instant, transport: Transport) {
        self.session = Some((transport, now));
        (self.rescue_from, self.no_better_until) = (None, None);
        if matches!(self.attempt(transport), Attempt::Due(_)) {
            *self.attempt(transport) = Attempt::Idle;
        }
        match transport {
            Transport::Quic => {
                self.health = Some(Health::new(now));
                if matches!(self.websocket, Attempt::Due(_)) {
                    self.websocket = Attempt::Idle;
                }
            }
            Transport::WebSocket => {
                self.health = None;
                if self.quic == Attempt::Idle {
                    self.probe_later(now);
                }
            }
        }
    }

    /// Whether it wants to know how the session's tunnel is.
    pub(crate) fn watches(&self) -> bool {
        self.choice == Choice::Auto && self.health.is_some()
    }

    /// How the session's tunnel is.
    pub(crate) fn sample(&mut self, now: Instant, sample: &Sample) {
        if !self.watches() {
            return;
        }
        let Some(health) = &mut self.health else { return };
        health.sample(now, sample);
        let past = |at: Option<Instant>| at.is_none_or(|at| at <= now);
        let wanted = health.is_silent() || health.is_bad() && past(self.no_better_until);
        if wanted && self.websocket == Attempt::Idle && past(self.rescue_from) {
            self.websocket = Attempt::Due(now);
        }
    }

    /// What is wrong with QUIC, for people.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        self.health.as_ref().and_then(Health::trouble)
    }

    fn may_log_in(&self, transport: Transport) -> bool {
        match (self.session.map(|(carrier, _)| carrier), transport) {
            (None, Transport::Quic) => !matches!(self.websocket, Attempt::LoggingIn(_)),
            (None, Transport::WebSocket) => !matches!(self.quic, Attempt::LoggingIn(_)),
            (Some(Transport::WebSocket), Transport::Quic) => true,
            (Some(Transport::Quic), Transport::WebSocket) => {
                matches!(self.websocket, Attempt::Ready(took) if self.is_better(took))
            }
            (Some(Transport::Quic), Transport::Quic)
            | (Some(Transport::WebSocket), Transport::WebSocket) => false,
        }
    }

    /// A log-in that another transport waits for, and until when it does.
    fn stuck(&self) -> Option<(Transport, Instant)> {
        match (self.session, self.quic, self.websocket) {
            (None, Attempt::LoggingIn(since), Attempt::Ready(_)) => {
                Some((Transport::Quic, since + LOGIN_PATIENCE))
            }
            (None, Attempt::Ready(_), Attempt::LoggingIn(since)) => {
                Some((Transport::WebSocket, since + LOGIN_PATIENCE))
            }
            (Some(_) | None, _, _) => None,
        }
    }

    /// An attempt for which there is no reason any more. One that logs in already is let be: the
    /// gateway may have let it in.
    fn needless(&self) -> Option<Transport> {
        let (carrier, _) = self.session?;
        let own = if carrier == Transport::Quic { self.quic } else { self.websocket };
        if matches!(own, Attempt::Dialling(_) | Attempt::Ready(_)) {
            return Some(carrier);
        }
        let health = self.health.as_ref()?;
        let needless = match self.websocket {
            Attempt::Dialling(_) => health.is_good(),
            Attempt::Ready(took) => health.is_good() || health.is_bad() && !self.is_better(took),
            Attempt::Idle | Attempt::Due(_) | Attempt::LoggingIn(_) => false,
        };
        needless.then_some(Transport::WebSocket)
    }

    /// Whether a WebSocket that came up in `took` does better than QUIC. Where QUIC is merely poor, the
    /// network may be; TCP would fare worse still, and shows it by how long it takes.
    fn is_better(&self, took: Duration) -> bool {
        self.health
            .as_ref()
            .is_some_and(|health| health.is_dark() || health.is_bad() && took <= health.brisk())
    }

    fn probe_later(&mut self, now: Instant) {
        if self.choice != Choice::Auto {
            return;
        }
        self.quic = Attempt::Due(now + self.jitter.around(self.next_probe));
        self.next_probe = self.next_probe.saturating_mul(2).min(LAST_PROBE);
    }

    fn attempt(&mut self, transport: Transport) -> &mut Attempt {
        match transport {
            Transport::Quic => &mut self.quic,
            Transport::WebSocket => &mut self.websocket,
        }
    }
}

fn other(transport: Transport) -> Transport {
    match transport {
        Transport::Quic => Transport::WebSocket,
        Transport::WebSocket => Transport::Quic,
    }
}

#[cfg(test)]
mod tests;
