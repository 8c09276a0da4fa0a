//! The tunnel that carries the session: how it comes, how it is, how old it is.

use std::time::{Duration, Instant};

use anyproxy_transport::Transport;

use super::{
    FIRST_PROBE, Path, Pauses,
    attempt::Attempt,
    health::{Asks, Health, Sample},
};
use crate::config::Choice;

/// QUIC that carried the session for so long was not up by chance: the next probe comes soon.
pub(super) const GOOD_QUIC: Duration = Duration::from_secs(60);

/// What became of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    GoesOn,
    /// Something on the way cut it: nobody said why.
    Cut,
    /// It ended in any other way.
    Ended,
}

/// The tunnel that carries the session.
#[derive(Debug)]
pub(super) struct Carrier {
    pub(super) transport: Transport,
    /// When it was dialled.
    pub(super) born: Instant,
    since: Instant,
    pub(super) health: Health,
    /// When it wants a successor because of its age.
    pub(super) renew_at: Option<Instant>,
}

impl Path {
    /// The tunnel is up: it carries the session from now on. Says when it was dialled.
    pub(crate) fn logged_in(&mut self, now: Instant, transport: Transport) -> Instant {
        let born = self.attempt(transport).began().unwrap_or(now);
        *self.attempt_mut(transport) = Attempt::Idle;
        if let Some(Carrier { transport: Transport::Quic, since, .. }) = self.carrier
            && now.saturating_duration_since(since) >= GOOD_QUIC
        {
            self.next_probe = FIRST_PROBE;
        }
        let former = self.carrier.as_ref();
        if former.is_some_and(|it| it.transport == Transport::WebSocket && it.is_old(now)) {
            self.ages.renewed();
        }
        self.carry(now, transport, born);
        born
    }

    /// The tunnel that carried the session is over, and another one, which was there before and was
    /// dialled at `born`, is not.
    pub(crate) fn fell_back(&mut self, now: Instant, transport: Transport, born: Instant) {
        self.carry(now, transport, born);
    }

    fn carry(&mut self, now: Instant, transport: Transport, born: Instant) {
        let asks = match (self.choice, transport) {
            (Choice::Auto, Transport::Quic) => Asks::Tunnel,
            (Choice::Auto | Choice::Quic | Choice::WebSocket, _) => Asks::Us,
        };
        let health = Health::new(now, asks);
        self.carrier = Some(Carrier { transport, born, since: now, health, renew_at: None });
        self.pauses = Pauses::default();
        self.plan_renewal();
        if self.attempt(transport).due().is_some() {
            *self.attempt_mut(transport) = Attempt::Idle;
        }
        match transport {
            Transport::Quic if self.websocket.due().is_some() => self.websocket = Attempt::Idle,
            Transport::WebSocket if self.quic == Attempt::Idle => self.probe_later(now),
            Transport::Quic | Transport::WebSocket => {}
        }
    }

    /// A tunnel of the session is over, or lives; it was dialled at `born`. Says what is learnt from that.
    pub(crate) fn lived(
        &mut self,
        now: Instant,
        (transport, born): (Transport, Instant),
        life: Life,
    ) -> Option<Duration> {
        if transport == Transport::Quic {
            return None;
        }
        let (age, known) = (now.saturating_duration_since(born), self.ages.learnt());
        match life {
            Life::Cut => self.ages.cut(now, age),
            Life::GoesOn | Life::Ended => self.ages.lived(age),
        }
        let learnt = self.ages.learnt();
        if learnt != known || life == Life::Cut {
            self.plan_renewal();
        }
        learnt.filter(|_| learnt != known)
    }

    fn plan_renewal(&mut self) {
        let Some(carrier) = &mut self.carrier else { return };
        let after = self.ages.renew_after(carrier.transport, self.jitter.unit());
        carrier.renew_at = after.map(|age| carrier.born + age);
    }

    /// How the session's tunnel is.
    pub(crate) fn sample(&mut self, now: Instant, sample: &Sample) {
        let Some(carrier) = &mut self.carrier else { return };
        carrier.health.sample(now, sample);
        let (transport, born) = (carrier.transport, carrier.born);
        self.lived(now, (transport, born), Life::GoesOn);
        self.rescue(now);
    }

    /// How long to wait until the session's tunnel is looked at again; `None`: there is none.
    pub(crate) fn look_every(&self) -> Option<Duration> {
        self.carrier.as_ref().map(|carrier| carrier.health.look_every())
    }

    /// Whether the session's tunnel is silent.
    pub(crate) fn is_silent(&self) -> bool {
        self.carrier.as_ref().is_some_and(|carrier| carrier.health.is_silent())
    }

    /// Whether it is so silent that it is to be left.
    pub(crate) fn is_dark(&self) -> bool {
        self.carrier.as_ref().is_some_and(|carrier| carrier.health.is_dark())
    }

    /// Why the session moves to a tunnel over `transport`, for people; `None`: it has none to move from.
    pub(crate) fn reason(&self, now: Instant, transport: Transport) -> Option<&'static str> {
        let carrier = self.carrier.as_ref()?;
        Some(match carrier.health.trouble() {
            Some(trouble) => trouble,
            None if carrier.is_old(now) => "the former one is about as old as it may get",
            None if transport == Transport::Quic => "QUIC passes again",
            None => "the former one was silent",
        })
    }
}

impl Carrier {
    pub(super) fn is_old(&self, now: Instant) -> bool {
        self.renew_at.is_some_and(|at| at <= now)
    }
}
