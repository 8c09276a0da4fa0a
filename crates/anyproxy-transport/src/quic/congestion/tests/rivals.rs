//! What else is on the Internet: cubic (RFC 9438), and BBR version 1 as in Linux.

use std::time::{Duration, Instant};

use super::{
    super::{
        max_filter::MaxFilter,
        sampler::{Sampler, Sent, Supply},
        units::Rate,
    },
    flow::{Brain, PACKET, Persistent},
};

/// TCP cubic, in packets.
#[derive(Debug)]
pub(super) struct Cubic {
    window: f64,
    threshold: f64,
    most: f64,
    epoch: Option<Instant>,
    recovery: Option<Instant>,
    rtt: Duration,
}

impl Cubic {
    pub(super) fn new() -> Self {
        let rtt = Duration::from_millis(100);
        Self { window: 10.0, threshold: f64::MAX, most: 0.0, epoch: None, recovery: None, rtt }
    }
}

impl Brain for Cubic {
    fn on_sent(&mut self, _now: Instant, _bytes: u64) {}

    fn on_ack(&mut self, now: Instant, sent: Instant, _bytes: u64) {
        self.rtt = now - sent;
        if self.window < self.threshold {
            self.window += 1.0;
            return;
        }
        let epoch = *self.epoch.get_or_insert(now);
        let since = (now - epoch + self.rtt).as_secs_f64();
        let back = (self.most * 0.3 / 0.4).cbrt();
        let cubic = 0.4 * (since - back).powi(3) + self.most;
        let reno = self.most * 0.7 + 0.53 * since / self.rtt.as_secs_f64();
        let target = cubic.max(reno).min(self.window * 1.5);
        if target > self.window {
            self.window += (target - self.window) / self.window;
        }
    }

    fn on_end_acks(&mut self, _now: Instant, _in_flight: u64, _supply: Supply) {}

    fn on_lost(&mut self, now: Instant, sent: Instant, _bytes: u64, _persistent: Persistent) {
        if self.recovery.is_some_and(|at| sent <= at) {
            return;
        }
        self.recovery = Some(now);
        self.most = if self.window < self.most { self.window * 0.85 } else { self.window };
        self.window = (self.window * 0.7).max(2.0);
        self.threshold = self.window;
        self.epoch = None;
    }

    fn window(&self) -> u64 {
        (self.window * PACKET as f64) as u64
    }
}

/// BBR version 1: paces at what it measured, caps what is in flight at twice the path's volume.
#[derive(Debug)]
pub(super) struct BbrV1 {
    sampler: Sampler,
    bw: MaxFilter<Rate>,
    round: u64,
    min: Duration,
    min_at: Instant,
    best: Rate,
    flat: u32,
    full: bool,
    phase: usize,
    phase_at: Instant,
    probing: Option<Instant>,
    in_flight: u64,
}

const GAINS: [f64; 8] = [1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];

impl BbrV1 {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            sampler: Sampler::new(now),
            bw: MaxFilter::new(10),
            round: 0,
            min: Duration::from_secs(1),
            min_at: now,
            best: Rate::default(),
            flat: 0,
            full: false,
            phase: 2,
            phase_at: now,
            probing: None,
            in_flight: 0,
        }
    }

    fn volume(&self) -> f64 {
        self.bw.get().map_or(10.0 * PACKET as f64, |bw| bw.during(self.min))
    }
}

impl Brain for BbrV1 {
    fn on_sent(&mut self, now: Instant, bytes: u64) {
        self.sampler.on_sent(now, bytes, self.min, Sent::Busy);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64) {
        let rtt = now - sent;
        let stale = now - self.min_at > Duration::from_secs(10);
        if rtt <= self.min || stale {
            self.min = rtt;
            self.min_at = now;
        }
        if stale && self.probing.is_none() {
            self.probing = Some(now);
        }
        let _ = self.sampler.on_ack(now, sent, bytes);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, supply: Supply) {
        self.in_flight = in_flight;
        let sample = self.sampler.end_acks(now, in_flight, supply, self.min);
        if let Some(rate) = sample.rate {
            self.bw.update(self.round, rate);
        }
        if sample.round_start {
            self.round += 1;
            let bw = self.bw.get().unwrap_or_default();
            if bw >= self.best.times(1.25) {
                self.best = bw;
                self.flat = 0;
            } else {
                self.flat += 1;
                self.full |= self.flat >= 3;
            }
        }
        if self.probing.is_some_and(|at| now - at > Duration::from_millis(250)) {
            self.probing = None;
            self.min_at = now;
        }
        let gain = GAINS[self.phase];
        let over = now - self.phase_at > self.min;
        let next = match gain {
            up if up > 1.0 => over && in_flight as f64 >= 1.2 * self.volume(),
            down if down < 1.0 => over || in_flight as f64 <= self.volume(),
            _ => over,
        };
        if next {
            self.phase = (self.phase + 1) % GAINS.len();
            self.phase_at = now;
        }
    }

    fn on_lost(&mut self, _now: Instant, sent: Instant, bytes: u64, _persistent: Persistent) {
        let _ = self.sampler.on_lost(sent, bytes);
    }

    fn window(&self) -> u64 {
        match (self.probing, self.full) {
            (Some(_), _) => 4 * PACKET,
            (None, true) => (2.0 * self.volume()) as u64 + 4 * PACKET,
            (None, false) => (2.89 * self.volume()) as u64 + 4 * PACKET,
        }
    }

    fn pace(&self) -> Option<f64> {
        let bw = self.bw.get()?.during(Duration::from_secs(1));
        Some(bw * if self.full { GAINS[self.phase] } else { 2.89 })
    }
}
