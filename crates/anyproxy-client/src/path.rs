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

use std::time::{Duration, Instant};

use anyproxy_transport::Transport;

use crate::config::Choice;
use health::Health;
pub(crate) use health::{PING_WITHIN, Sample};

/// How much later the second transport starts.
const HEAD_START: Duration = Duration::from_millis(250);

/// How long a log-in may take while another transport waits for its turn.
const LOGIN_PATIENCE: Duration = Duration::from_secs(1);

/// The pause before QUIC is tried again, at first and at most.
const FIRST_PROBE: Duration = Duration::from_secs(5);
const LAST_PROBE: Duration = Duration::from_secs(5 * 60);

/// QUIC that carried the session for so long was not up by chance: the next probe comes soon.
const GOOD_QUIC: Duration = Duration::from_secs(60);

/// The pause before the WebSocket is tried again while QUIC is in trouble.
const RESCUE_PAUSE: Duration = Duration::from_secs(1);

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
    Dialling,
    /// It could log in.
    Ready,
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
    rescue_from: Option<Instant>,
    random: u64,
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
            random: seed,
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
        (self.session, self.health, self.rescue_from) = (None, None, None);
    }

    /// What is to be done now; to be asked until there is nothing more.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Command> {
        for transport in [Transport::Quic, Transport::WebSocket] {
            let may_log_in = self.may_log_in(transport);
            match *self.attempt(transport) {
                Attempt::Due(at) if at <= now => {
                    *self.attempt(transport) = Attempt::Dialling;
                    return Some(Command::Dial(transport));
                }
                Attempt::Ready if may_log_in => {
                    *self.attempt(transport) = Attempt::LoggingIn(now);
                    return Some(Command::LogIn(transport));
                }
                Attempt::Idle
                | Attempt::Due(_)
                | Attempt::Dialling
                | Attempt::Ready
                | Attempt::LoggingIn(_) => {}
            }
        }
        let spare = self.stuck().filter(|(_, until)| *until <= now).map(|(stuck, _)| stuck);
        let spare = spare.or_else(|| self.needless())?;
        *self.attempt(spare) = Attempt::Idle;
        Some(Command::GiveUp(spare))
    }

    /// When to ask again at the latest, if nothing happens.
    pub(crate) fn wait_until(&self) -> Option<Instant> {
        let due = [self.quic, self.websocket].into_iter().filter_map(|attempt| match attempt {
            Attempt::Due(at) => Some(at),
            Attempt::Idle | Attempt::Dialling | Attempt::Ready | Attempt::LoggingIn(_) => None,
        });
        due.chain(self.stuck().map(|(_, until)| until)).min()
    }

    /// Whether everything was tried, and there is no session.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.session.is_none() && (self.quic, self.websocket) == (Attempt::Idle, Attempt::Idle)
    }

    /// The connection is made.
    pub(crate) fn dialled(&mut self, transport: Transport) {
        *self.attempt(transport) = Attempt::Ready;
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
        self.rescue_from = None;
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
        let rested = self.rescue_from.is_none_or(|from| from <= now);
        if !health.is_good() && self.websocket == Attempt::Idle && rested {
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
                self.health.as_ref().is_some_and(Health::is_bad)
            }
            (Some(Transport::Quic), Transport::Quic)
            | (Some(Transport::WebSocket), Transport::WebSocket) => false,
        }
    }

    /// A log-in that another transport waits for, and until when it does.
    fn stuck(&self) -> Option<(Transport, Instant)> {
        match (self.session, self.quic, self.websocket) {
            (None, Attempt::LoggingIn(since), Attempt::Ready) => {
                Some((Transport::Quic, since + LOGIN_PATIENCE))
            }
            (None, Attempt::Ready, Attempt::LoggingIn(since)) => {
                Some((Transport::WebSocket, since + LOGIN_PATIENCE))
            }
            (Some(_) | None, _, _) => None,
        }
    }

    /// An attempt for which there is no reason any more. One that logs in already is let be: the
    /// gateway may have let it in.
    fn needless(&self) -> Option<Transport> {
        let begun = matches!(self.websocket, Attempt::Dialling | Attempt::Ready);
        let good = self.health.as_ref().is_some_and(Health::is_good);
        (begun && good).then_some(Transport::WebSocket)
    }

    fn probe_later(&mut self, now: Instant) {
        if self.choice != Choice::Auto {
            return;
        }
        // Between three and five quarters of the pause.
        let quarter = self.next_probe / 4;
        let jitter = quarter.mul_f64(2.0 * self.unit());
        self.quic = Attempt::Due(now + quarter * 3 + jitter);
        self.next_probe = self.next_probe.saturating_mul(2).min(LAST_PROBE);
    }

    /// Between 0 and 1 (SplitMix64).
    fn unit(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((bits ^ (bits >> 31)) >> 32).unwrap_or(u32::MAX))
            / f64::from(u32::MAX)
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
