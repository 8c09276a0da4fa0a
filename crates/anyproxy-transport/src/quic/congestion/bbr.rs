//! The state machine: estimates in, window out.
//!
//! ```text
//!            full                   every ~10 s without a sight of the path's own delay
//! Startup ─────────▶ Probing (cycle.rs) ─────────────────────▶ FindRtt ──▶ Probing
//!    ▲                  │
//!    └── persistent ────┘
//! ```
//!
//! No sockets and no clock: every event carries its time.

mod steer;

use std::time::{Duration, Instant};

use super::{
    aggregation::Aggregation,
    cycle::{self, Cycle, Phase},
    loss::{LossMeter, Queue, Verdict},
    max_filter::MaxFilter,
    rtt::RoundTrips,
    sampler::{Sampler, Sent, Supply},
    startup::{self, Startup},
    units::Rate,
};

/// Rounds that a rate counts.
const BW_ROUNDS: u64 = 10;

/// Packets of the first window (RFC 9002, 7.2), and its limit in bytes.
const INITIAL_PACKETS: u64 = 10;
const INITIAL_BYTES: u64 = 14_720;

/// Packets of the least window (draft-ietf-ccwg-bbr, 2.7).
const LEAST_PACKETS: u64 = 4;

/// Least time at the window of FindRtt.
const FIND_RTT: Duration = Duration::from_millis(200);

/// The ceiling: most that may be in flight, as a multiple of the path's volume; what congestion leaves
/// of it, the least it leaves, and what comes back with each second without.
const MOST: f64 = 2.0;
const BACK_OFF: f64 = 0.85;
const LEAST: f64 = 1.0;
const RECOVERY: f64 = 0.15;

/// Rounds that deliver less than this share of the known rate, with a queue before us, for this long,
/// show that the path has become slower. A rival's first flood does not last as long.
const SLOWER: f64 = 0.5;
const SLOW_FOR: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Startup,
    Probing,
    FindRtt { settled: Option<Instant> },
}

/// The controller of one path.
#[derive(Debug, Clone)]
pub(super) struct Bbr {
    mtu: u64,
    window: u64,
    mode: Mode,
    round: u64,
    round_bw: Rate,
    bw: MaxFilter<Rate>,
    sampler: Sampler,
    rtt: RoundTrips,
    loss: LossMeter,
    aggregation: Aggregation,
    startup: Startup,
    cycle: Cycle,
    /// Least delay of packets sent in calm, of this cycle.
    calm_rtt: Option<Duration>,
    /// Somebody else keeps a queue.
    contended: bool,
    ceiling: f64,
    slow_for: Duration,
    round_at: Instant,
}

impl Bbr {
    /// A path of which nothing is known. `seed` keeps flows out of step.
    pub(super) fn new(now: Instant, mtu: u16, seed: u64) -> Self {
        let mut bbr = Self {
            mtu: u64::from(mtu).max(1),
            window: 0,
            mode: Mode::Startup,
            round: 0,
            round_bw: Rate::default(),
            bw: MaxFilter::new(BW_ROUNDS),
            sampler: Sampler::new(now),
            rtt: RoundTrips::default(),
            loss: LossMeter::default(),
            aggregation: Aggregation::default(),
            startup: Startup::default(),
            cycle: Cycle::new(seed),
            calm_rtt: None,
            contended: false,
            ceiling: MOST,
            slow_for: Duration::ZERO,
            round_at: now,
        };
        bbr.window = bbr.initial_window();
        bbr
    }

    /// Bytes that may be in flight.
    pub(super) fn window(&self) -> u64 {
        self.window
    }

    /// The window of a new path.
    pub(super) fn initial_window(&self) -> u64 {
        INITIAL_PACKETS.saturating_mul(self.mtu).min(INITIAL_BYTES).max(self.least_window())
    }

    /// From this window on a round without growth means that the path is full.
    fn trusted_window(&self) -> u64 {
        self.initial_window().saturating_mul(2)
    }

    fn least_window(&self) -> u64 {
        LEAST_PACKETS.saturating_mul(self.mtu)
    }

    /// The path's rate as far as it is known.
    pub(super) fn bandwidth(&self) -> Option<Rate> {
        self.bw.get()
    }

    /// `bytes` left at `now`.
    pub(super) fn on_sent(&mut self, now: Instant, bytes: u64) {
        let kind = if self.is_calm() { Sent::Calm } else { Sent::Busy };
        self.sampler.on_sent(now, bytes, self.rtt.standing(), kind);
    }

    fn is_calm(&self) -> bool {
        match self.mode {
            Mode::Startup => false,
            Mode::Probing => self.cycle.phase() == Phase::Down && self.gives_way(),
            Mode::FindRtt { .. } => true,
        }
    }

    /// Down below the path's own volume, not only below our share of a queue.
    fn gives_way(&self) -> bool {
        !self.contended || self.cycle.is_deep()
    }

    /// One packet, sent at `sent`, arrived.
    pub(super) fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64) {
        let rtt = now.saturating_duration_since(sent);
        self.rtt.sample(now, rtt);
        let kind = self.sampler.on_ack(now, sent, bytes);
        if kind == Sent::Calm {
            self.calm_rtt = Some(self.calm_rtt.map_or(rtt, |least| least.min(rtt)));
        }
        if !self.contended || kind == Sent::Busy {
            self.loss.acked(self.packets(bytes), kind);
        }
    }

    /// Packets were lost, the last of which was sent at `sent`.
    pub(super) fn on_lost(&mut self, sent: Instant, bytes: u64) {
        let kind = self.sampler.on_lost(sent, bytes);
        if !self.contended || kind == Sent::Busy {
            self.loss.lost(self.packets(bytes), kind);
        }
    }

    fn packets(&self, bytes: u64) -> f64 {
        bytes as f64 / self.mtu as f64
    }

    /// A router marked packets instead of dropping them.
    pub(super) fn on_marked(&mut self) {
        self.loss.marked();
    }

    /// Nothing came through for long: all that was known is void but the delay.
    pub(super) fn on_persistent_congestion(&mut self) {
        self.bw = MaxFilter::new(BW_ROUNDS);
        self.startup = Startup::default();
        self.mode = Mode::Startup;
        self.contended = false;
        self.window = self.least_window();
    }

    /// The path takes packets of another size.
    pub(super) fn on_mtu(&mut self, mtu: u16) {
        self.mtu = u64::from(mtu).max(1);
        self.window = self.window.max(self.least_window());
    }

    /// A batch of acknowledgements is complete.
    pub(super) fn on_end_acks(&mut self, now: Instant, in_flight: u64, supply: Supply) {
        let sample = self.sampler.end_acks(now, in_flight, supply, self.rtt.min());
        if let Some(rate) = sample.rate {
            let known = self.bw.get().unwrap_or_default();
            if sample.supply == Supply::Ample || rate > known {
                self.bw.update(self.round, rate);
                self.round_bw = self.round_bw.max(rate);
            }
        }
        let bw = self.bw.get().unwrap_or_default();
        self.aggregation.update(now, sample.acked, bw, self.round);
        if sample.round_start {
            self.end_round(now, sample.supply);
        }
        self.advance(now, in_flight);
        self.set_window(sample.acked);
    }

    fn end_round(&mut self, now: Instant, supply: Supply) {
        self.round = self.round.saturating_add(1);
        self.rtt.end_round();
        let elapsed = now.saturating_duration_since(self.round_at);
        self.round_at = now;
        let lost = self.loss.round_share();
        let queued = self.rtt.is_queued();
        let verdict = self.loss.end_round(if queued { Queue::Standing } else { Queue::None });
        self.ceiling = match verdict {
            Verdict::Congestion => (self.ceiling * BACK_OFF).max(LEAST),
            Verdict::Usual => (self.ceiling + RECOVERY * elapsed.as_secs_f64()).min(MOST),
        };
        let round_bw = std::mem::take(&mut self.round_bw);
        if supply == Supply::Short {
            return;
        }
        self.judge_rate(elapsed, round_bw);
        let bw = self.bw.get().unwrap_or_default();
        match self.mode {
            Mode::Startup => {
                let full = self.startup.is_full(startup::Signs { bw, lost, queued });
                if full && self.window >= self.trusted_window() {
                    self.mode = Mode::Probing;
                    self.start_down();
                }
            }
            Mode::Probing if self.rtt.is_stale(now) => {
                self.mode = Mode::FindRtt { settled: None };
                self.calm_rtt = None;
            }
            Mode::Probing => {
                let pressed = verdict == Verdict::Congestion || (queued && !self.contended);
                match self.cycle.end_round(cycle::Signs { bw, pressed }) {
                    Some(Phase::Up) => self.judge_calm(),
                    Some(Phase::Down) => self.begin_calm(),
                    Some(Phase::Cruise) | None => {}
                }
            }
            Mode::FindRtt { .. } => {}
        }
    }

    fn judge_rate(&mut self, elapsed: Duration, round_bw: Rate) {
        let slow = self.bw.get().is_some_and(|bw| round_bw < bw.times(SLOWER));
        if !slow || !self.rtt.is_queued() || round_bw == Rate::default() {
            self.slow_for = Duration::ZERO;
            return;
        }
        self.slow_for = self.slow_for.saturating_add(elapsed);
        if self.slow_for >= SLOW_FOR {
            self.bw.reset(self.round, round_bw);
            self.slow_for = Duration::ZERO;
        }
    }

    fn start_down(&mut self) {
        self.cycle.go_down();
        self.begin_calm();
    }

    fn begin_calm(&mut self) {
        self.calm_rtt = None;
        self.loss.begin_calm();
    }

    /// Packets that were sent when we held back have been heard of: did they wait for others?
    fn judge_calm(&mut self) {
        if let Some(rtt) = self.calm_rtt.take() {
            self.contended = rtt > self.rtt.near();
        }
    }

    fn advance(&mut self, now: Instant, in_flight: u64) {
        let below = in_flight <= self.window;
        match self.mode {
            Mode::Startup => {}
            Mode::Probing => {
                if below {
                    self.cycle.settle(now);
                }
                self.cycle.on_acks(now, self.rtt.min());
            }
            Mode::FindRtt { settled: None } if below => {
                self.mode = Mode::FindRtt { settled: Some(now) };
            }
            Mode::FindRtt { settled: Some(at) }
                if now.saturating_duration_since(at) >= FIND_RTT.max(self.rtt.standing()) =>
            {
                self.rtt.settle(now);
                self.judge_calm();
                self.mode = Mode::Probing;
                self.cycle.cruise_on();
            }
            Mode::FindRtt { .. } => {}
        }
    }
}
