//! The heartbeat of a WebSocket tunnel.
//!
//! TCP's acknowledgements are not to be seen from here, so only a Pong answers for what was sent. While bytes move, a
//! Ping goes along once a second, which measures the round trip as well; and one follows within that time
//! whatever was sent without any. Ping and Pong themselves ask for none, or two ends that rest would
//! never come to rest.

use std::time::{Duration, Instant};

use anyproxy_wire::heartbeat::{Beat, Heartbeat};

use crate::tunnel::Settings;

/// How often the peer is asked while bytes move.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// More bytes than a Ping and a Pong have, with all that is around them. Who asked whenever anything came would ask for
/// ever where a round trip takes as long as [`ASK_EVERY`].
const DATA: u64 = 256;

#[derive(Debug)]
pub(super) struct Pulse {
    heartbeat: Heartbeat,
    heard: u64,
    /// Of these, before the last Ping.
    heard_before: u64,
    /// No sooner than then comes the next Ping for what is sent or received.
    ask_from: Instant,
    sent: Sent,
}

/// What went out since the last Ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    Something,
}

impl Pulse {
    pub(super) fn new(now: Instant, settings: &Settings) -> Self {
        let heartbeat = Heartbeat::new(now, settings.ping_interval, settings.dead_after);
        Self { heartbeat, heard: 0, heard_before: 0, ask_from: now, sent: Sent::Nothing }
    }

    pub(super) fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }

    /// See [`Heartbeat::doubt`]. What came before says nothing.
    pub(super) fn doubt(&mut self, now: Instant, heard: u64, silence: Duration) {
        self.hear(now, heard);
        self.heartbeat.doubt(now, silence);
    }

    /// Something is on its way that is more than a Ping or a Pong.
    pub(super) fn sent(&mut self) {
        self.sent = Sent::Something;
    }

    /// What is due, after `heard` bytes in all; to be called whenever bytes may have moved.
    pub(super) fn beat(&mut self, now: Instant, heard: u64, rtt: Duration) -> Beat {
        self.hear(now, heard);
        self.heartbeat.set_rtt(rtt);
        let beat = self.heartbeat.poll(now);
        if beat == Beat::Dead {
            return beat;
        }
        let moved = self.sent == Sent::Something || heard.saturating_sub(self.heard_before) > DATA;
        let due = moved && self.ask_from <= now;
        if due {
            self.heartbeat.asked(now);
        }
        if due || beat == Beat::Ping {
            (self.ask_from, self.sent) = (now.checked_add(ASK_EVERY).unwrap_or(now), Sent::Nothing);
            self.heard_before = heard;
            return Beat::Ping;
        }
        Beat::Idle
    }

    fn hear(&mut self, now: Instant, heard: u64) {
        if heard != self.heard {
            self.heard = heard;
            self.heartbeat.received(now);
        }
    }

    /// When to call [`beat`](Self::beat) again at the latest.
    pub(super) fn next(&self) -> Instant {
        let deadline = self.heartbeat.deadline();
        match self.sent {
            Sent::Nothing => deadline,
            Sent::Something => deadline.min(self.ask_from),
        }
    }
}

#[cfg(test)]
mod tests;
