//! Which tunnel carries the session, and when to try for another. No I/O and no clock: the time is an
//! argument, what is to be done comes from [`Path::poll`].
//!
//! ```text
//! no session   first ─250 ms─▶ other           the first that is authenticated carries the session
//! WebSocket    5 s ─▶ QUIC ─▶ 10 s ─▶ QUIC ─▶ … 5 min, for ever;  authenticated: move to QUIC
//! QUIC         doubtful ─▶ dial the WebSocket;  dark or collapsed: log in there, move
//!              healthy again ─▶ give the WebSocket up
//! either       doubtful, or about as old as it may get ─▶ dial the same again;  log in, move
//! ```
//!
//! Only one attempt at a time may log in: two new sessions of one client would push each other out,
//! and of two tunnels that join both ends must take the same one for the later. Without a session, one
//! that takes too long gives way to one that waits. With a session, whatever logs in joins it.

mod age;
mod attempt;
mod carrier;
mod decide;
mod health;
mod jitter;

use std::time::{Duration, Instant};

use anyproxy_transport::Transport;

use crate::config::Choice;
use age::Ages;
use attempt::Attempt;
use carrier::Carrier;
pub(crate) use carrier::Life;
pub(crate) use health::{PING_WITHIN, Sample};
use jitter::Jitter;

/// How much later the second transport starts.
const HEAD_START: Duration = Duration::from_millis(250);

/// The pause before QUIC is tried again, at first and at most.
const FIRST_PROBE: Duration = Duration::from_secs(5);
const LAST_PROBE: Duration = Duration::from_secs(5 * 60);

/// The pause after an attempt that failed while the session's tunnel is in trouble.
const RESCUE_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause after an attempt that failed while the tunnel is merely old.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Ask the peer of the session's tunnel for a sign of life.
    Ping,
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

/// Until when nothing is tried again.
#[derive(Debug)]
struct Pauses {
    /// The transport that does not carry the session failed a moment ago.
    other: Option<Instant>,
    /// The same one did.
    same: Option<Instant>,
    /// How long the next pause of an old tunnel is.
    renewal: Duration,
    /// The WebSocket came up, and was no better than QUIC.
    no_better: Option<Instant>,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { other: None, same: None, renewal: RESCUE_PAUSE, no_better: None }
    }
}

/// The state of one replica's way to the gateway.
#[derive(Debug)]
pub(crate) struct Path {
    choice: Choice,
    quic: Attempt,
    websocket: Attempt,
    carrier: Option<Carrier>,
    next_probe: Duration,
    pauses: Pauses,
    /// What is learnt outlives the session.
    ages: Ages,
    jitter: Jitter,
}

impl Path {
    /// `max_age` is how old a tunnel may get; `seed` spreads what many clients do.
    pub(crate) fn new(choice: Choice, max_age: Option<Duration>, seed: u64) -> Self {
        Self {
            choice,
            quic: Attempt::Idle,
            websocket: Attempt::Idle,
            carrier: None,
            next_probe: FIRST_PROBE,
            pauses: Pauses::default(),
            ages: Ages::new(max_age),
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
        *self.attempt_mut(first) = Attempt::Due(now);
        if self.choice == Choice::Auto {
            *self.attempt_mut(other(first)) = Attempt::Due(now + HEAD_START);
        }
        self.next_probe = FIRST_PROBE;
    }

    /// The session is over, and all attempts are dropped.
    pub(crate) fn over(&mut self) {
        (self.quic, self.websocket) = (Attempt::Idle, Attempt::Idle);
        (self.carrier, self.pauses) = (None, Pauses::default());
    }

    /// Whether everything was tried, and there is no session. What may still run is to be dropped.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.carrier.is_none() && (self.quic, self.websocket) == (Attempt::Idle, Attempt::Idle)
    }

    /// The connection is made.
    pub(crate) fn dialled(&mut self, now: Instant, transport: Transport) {
        let Attempt::Dialling { began } = self.attempt(transport) else { return };
        let took = now.saturating_duration_since(began);
        *self.attempt_mut(transport) = Attempt::Ready { began, took };
    }

    /// The attempt failed.
    pub(crate) fn failed(&mut self, now: Instant, transport: Transport, why: Obstacle) {
        *self.attempt_mut(transport) = Attempt::Idle;
        let carrier = self.carrier.as_ref().map(|carrier| carrier.transport);
        let silent = self.is_silent();
        let second = self.attempt_mut(other(transport));
        match (carrier, why) {
            (None, Obstacle::Gateway) => {
                (self.quic, self.websocket) = (Attempt::Idle, Attempt::Idle);
            }
            // There is nothing to wait for.
            (None, Obstacle::Way) => {
                if second.due().is_some() {
                    *second = Attempt::Due(now);
                }
            }
            (Some(carrier), _) if carrier == transport && silent => {
                self.pauses.same = Some(now + RESCUE_PAUSE);
            }
            (Some(carrier), _) if carrier == transport => {
                let pause = self.pauses.renewal;
                self.pauses.same = Some(now + pause);
                self.pauses.renewal = pause.saturating_mul(2).min(RENEWAL_PAUSE);
            }
            // It was brought forward.
            (Some(Transport::WebSocket), _) if silent => self.probe_after(now),
            (Some(Transport::WebSocket), _) => self.probe_later(now),
            (Some(Transport::Quic), _) => self.pauses.other = Some(now + RESCUE_PAUSE),
        }
    }

    fn probe_later(&mut self, now: Instant) {
        self.probe_after(now);
        self.next_probe = self.next_probe.saturating_mul(2).min(LAST_PROBE);
    }

    fn probe_after(&mut self, now: Instant) {
        if self.choice == Choice::Auto {
            self.quic = Attempt::Due(now + self.jitter.around(self.next_probe));
        }
    }

    fn attempt(&self, transport: Transport) -> Attempt {
        match transport {
            Transport::Quic => self.quic,
            Transport::WebSocket => self.websocket,
        }
    }

    fn attempt_mut(&mut self, transport: Transport) -> &mut Attempt {
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
