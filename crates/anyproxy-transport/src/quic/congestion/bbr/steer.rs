//! From estimates to the window.

use std::time::Duration;

use super::{
    super::{cycle::Phase, units::Rate},
    Bbr, LEAST, MOST, Mode,
};

/// Growth limit of Startup, as a multiple of the path's volume.
const STARTUP_GAIN: f64 = 2.89;

/// Multiples of the path's volume in the phases.
const DOWN_GAIN: f64 = 0.9;
const UP_GAIN: f64 = 1.25;
const FIND_RTT_GAIN: f64 = 0.5;

/// What Up asks for beside a foreign queue, and what it asks for there after congestion. Less, and a
/// rival that does not heed losses takes it all; more, and one that does gets too little.
const SHARED_UP_GAIN: f64 = 1.1;
const HOLD_GAIN: f64 = 1.05;

/// What a host needs in flight to send without gaps: timers and scheduling.
const HOST: Duration = Duration::from_millis(1);

impl Bbr {
    /// Sets the window after `acked` bytes arrived.
    pub(super) fn set_window(&mut self, acked: u64) {
        let least = self.least_window();
        let Some(bw) = self.bw.get() else {
            self.window = self.window.saturating_add(acked).max(least);
            return;
        };
        let target = self.target(bw) as u64;
        self.window = match self.mode {
            // Few packets in flight show the peer's delayed acknowledgements, not the path's rate.
            Mode::Startup if self.window >= target.max(self.trusted_window()) => self.window,
            Mode::Startup => self.window.saturating_add(acked),
            Mode::Probing | Mode::FindRtt { .. } => target,
        }
        .max(least);
    }

    /// The window to steer to.
    fn target(&self, bw: Rate) -> f64 {
        // What the path loses by itself takes its share of the volume, too.
        let bw = bw.times(1.0 / (1.0 - self.loss.own()));
        let volume = bw.during(self.rtt.min());
        match self.mode {
            Mode::Startup => volume * STARTUP_GAIN + self.slack(bw, volume),
            Mode::FindRtt { .. } => volume * FIND_RTT_GAIN,
            Mode::Probing if self.is_calm() => volume * DOWN_GAIN + self.host(bw),
            Mode::Probing if self.contended => self.beside_others(bw, volume),
            Mode::Probing => {
                let gain = if self.cycle.phase() == Phase::Up { UP_GAIN } else { 1.0 };
                volume * gain.min(self.ceiling) + self.slack(bw, volume)
            }
        }
    }

    /// A foreign queue delays us as well: to keep our rate, more has to be in flight. Such a queue
    /// keeps the path busy, so there is no need for slack on top.
    fn beside_others(&self, bw: Rate, volume: f64) -> f64 {
        let share = bw.during(self.rtt.usual());
        let gain = match self.cycle.phase() {
            Phase::Down => DOWN_GAIN,
            Phase::Cruise => 1.0,
            Phase::Up => self.ceiling.clamp(HOLD_GAIN, SHARED_UP_GAIN),
        };
        let held = (share * gain).min(volume * MOST) + self.packets_of(2);
        // What looked like a foreign queue may be jitter: then the usual window serves better.
        held.max(volume * gain.min(1.0) + self.slack(bw, volume))
    }

    /// What it takes to send without gaps: time for the host, and the lumps in which
    /// acknowledgements come. It shrinks when losses say that there is no room for it.
    fn slack(&self, bw: Rate, volume: f64) -> f64 {
        self.host(bw) + self.aggregation.extra().min(volume) * (1.0 + self.room()) / 2.0
    }

    fn host(&self, bw: Rate) -> f64 {
        bw.during(HOST) * self.room() + self.packets_of(2)
    }

    /// From 0 at the least ceiling to 1 at the greatest.
    fn room(&self) -> f64 {
        (self.ceiling - LEAST) / (MOST - LEAST)
    }

    fn packets_of(&self, count: u64) -> f64 {
        self.mtu.saturating_mul(count) as f64
    }
}
