//! One sender, as quinn has it, and its receiver.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::super::{bbr::Bbr, sampler::Supply};

/// Bytes of a packet on the link.
pub(super) const PACKET: u64 = 1500;

/// How long a receiver holds a single acknowledgement back, in nanoseconds.
pub(super) const MAX_ACK_DELAY: u64 = 25_000_000;

/// A congestion controller under simulation.
pub(super) trait Brain {
    fn on_sent(&mut self, now: Instant, bytes: u64);
    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64);
    fn on_end_acks(&mut self, now: Instant, in_flight: u64, supply: Supply);
    fn on_lost(&mut self, now: Instant, sent: Instant, bytes: u64, persistent: Persistent);
    fn window(&self) -> u64;
    /// Bytes per second; without, as quinn's pacer makes it of the window.
    fn pace(&self) -> Option<f64> {
        None
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persistent {
    Yes,
    No,
}

impl Brain for Bbr {
    fn on_sent(&mut self, now: Instant, bytes: u64) {
        Self::on_sent(self, now, bytes);
    }
    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64) {
        Self::on_ack(self, now, sent, bytes);
    }
    fn on_end_acks(&mut self, now: Instant, in_flight: u64, supply: Supply) {
        Self::on_end_acks(self, now, in_flight, supply);
    }
    fn on_lost(&mut self, _now: Instant, sent: Instant, bytes: u64, persistent: Persistent) {
        Self::on_lost(self, sent, bytes);
        if persistent == Persistent::Yes {
            self.on_persistent_congestion();
        }
    }
    fn window(&self) -> u64 {
        Self::window(self)
    }
}

/// What a flow has to send.
#[derive(Debug, Clone, Copy)]
pub(super) enum App {
    /// As much as it may.
    Bulk,
    /// Bytes per second, at most.
    Paced(f64),
    /// Everything for the first span, then nothing for the second, and so on.
    OnOff(Duration, Duration),
}

/// A sender and its receiver.
pub(super) struct Flow {
    pub(super) brain: Box<dyn Brain>,
    pub(super) app: App,
    pub(super) starts: u64,
    pub(super) ends: u64,
    pub(super) next: u64,
    pub(super) sent: BTreeMap<u64, u64>,
    pub(super) srtt: u64,
    pub(super) latest: u64,
    pub(super) fresh: bool,
    pub(super) tokens: f64,
    pub(super) refilled: u64,
    pub(super) wake: Option<u64>,
    pub(super) heard: u64,
    pub(super) probes: u32,
    pub(super) supply: Supply,
    pub(super) used: f64,
    // receiver
    pub(super) pending: Vec<u64>,
    pub(super) expected: u64,
    /// Bytes that arrived, by tenths of a second.
    pub(super) arrived: Vec<u64>,
}

impl Flow {
    /// A flow from `starts` on.
    pub(super) fn new(brain: Box<dyn Brain>, app: App, starts: u64) -> Self {
        Self {
            brain,
            app,
            starts,
            ends: u64::MAX,
            next: 0,
            sent: BTreeMap::new(),
            srtt: 100_000_000,
            latest: 0,
            fresh: true,
            tokens: 0.0,
            refilled: starts,
            wake: None,
            heard: starts,
            probes: 0,
            supply: Supply::Ample,
            used: 0.0,
            pending: Vec::new(),
            expected: 0,
            arrived: Vec::new(),
        }
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.sent.len() as u64 * PACKET
    }

    pub(super) fn has_data(&self, now: u64) -> bool {
        let age = (now - self.starts) as f64 / 1e9;
        now < self.ends
            && match self.app {
                App::Bulk => true,
                App::Paced(rate) => self.used + PACKET as f64 <= age * rate,
                App::OnOff(on, off) => age % (on + off).as_secs_f64() < on.as_secs_f64(),
            }
    }

    /// When the next packet may leave: quinn's token bucket.
    pub(super) fn paced_until(&mut self, now: u64) -> Option<u64> {
        let window = self.brain.window() as f64;
        let rtt = self.srtt.max(1) as f64;
        let rate = self.brain.pace().map_or(window * 1.25 / rtt, |rate| rate / 1e9);
        let burst = match self.brain.pace() {
            Some(_) => PACKET as f64 * 2.0,
            None => (window * 2e6 / rtt).clamp(PACKET as f64 * 10.0, PACKET as f64 * 256.0),
        };
        self.tokens = (self.tokens + (now - self.refilled) as f64 * rate).min(burst);
        self.refilled = now;
        let lacking = if self.tokens >= PACKET as f64 { return None } else { burst - self.tokens };
        Some(now + (lacking / rate) as u64 + 1)
    }

    pub(super) fn pto(&self) -> u64 {
        (self.srtt * 3 + MAX_ACK_DELAY) << self.probes.min(6)
    }
}
