//! Whether the session's QUIC tunnel still does its work.
//!
//! ```text
//! last byte ─ 1 s ─▶ Ping ─ … ─▶ doubtful ─ 1 s ─▶ dark      dark after max(3 s, 1 s + 4 × RTO)
//! 5 s with a quarter of the packets lost, or a round trip far over the best, three times: collapsed
//! ```
//!
//! The tunnel pings when nothing has come for a second ([`PING_WITHIN`]), so in a longer silence
//! something is unanswered.

use std::time::{Duration, Instant};

/// Silence after which the tunnel has to ping.
pub(crate) const PING_WITHIN: Duration = Duration::from_secs(1);

/// The least silence that counts as dark.
const DARK_AFTER: Duration = Duration::from_secs(3);

/// How much earlier the other transport is dialled, so that it is ready when it is needed.
const STAND_BY: Duration = Duration::from_secs(1);

/// Retransmission time-outs without an answer.
const TIMEOUTS: u32 = 4;

/// What quinn adds to a round trip before it sends again, and then some.
const SLACK: Duration = Duration::from_millis(50);

/// Samples that are further apart come from a machine that slept: nobody listened meanwhile.
const ASLEEP: Duration = Duration::from_secs(2);

/// How long losses are counted before they are judged.
const WINDOW: Duration = Duration::from_secs(5);

/// Fewer packets in a window say nothing.
const LEAST_PACKETS: u64 = 20;

/// One lost packet of so many is too many.
const LOST_OF: u64 = 4;

/// Round trips of a tunnel that is of use.
const SLOW: Duration = Duration::from_secs(2);
const SLOWER_THAN_BEST: u32 = 8;

/// TCP, TLS and the upgrade take four round trips.
const BRISK: Duration = Duration::from_secs(1);
const BRISK_ROUND_TRIPS: u32 = 6;

/// Bad windows in a row that make a collapse.
const BAD_WINDOWS: u32 = 3;

/// Figures of the tunnel at one moment; the counters only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sample {
    /// Bytes that came.
    pub(crate) received: u64,
    /// Packets sent.
    pub(crate) sent: u64,
    /// Packets of these that were found lost.
    pub(crate) lost: u64,
    /// The round-trip time.
    pub(crate) rtt: Duration,
}

#[derive(Debug)]
pub(super) struct Health {
    last: Option<Sample>,
    sampled: Instant,
    heard: Instant,
    silence: Duration,
    dark_after: Duration,
    window: Window,
    best_rtt: Option<Duration>,
    bad_windows: u32,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    sent: u64,
    lost: u64,
}

impl Health {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            last: None,
            sampled: now,
            heard: now,
            silence: Duration::ZERO,
            dark_after: DARK_AFTER,
            window: Window { began: now, sent: 0, lost: 0 },
            best_rtt: None,
            bad_windows: 0,
        }
    }

    pub(super) fn sample(&mut self, now: Instant, sample: &Sample) {
        let slept = now.saturating_duration_since(self.sampled) > ASLEEP;
        if slept || self.last.is_none_or(|last| last.received != sample.received) {
            self.heard = now;
        }
        if slept || self.last.is_none() {
            self.window = Window { began: now, sent: sample.sent, lost: sample.lost };
        }
        (self.sampled, self.last) = (now, Some(*sample));
        self.silence = now.saturating_duration_since(self.heard);
        let timeout = sample.rtt.saturating_mul(2).saturating_add(SLACK);
        let unanswered = PING_WITHIN.saturating_add(timeout.saturating_mul(TIMEOUTS));
        self.dark_after = DARK_AFTER.max(unanswered);
        self.judge(now, sample);
    }

    fn judge(&mut self, now: Instant, sample: &Sample) {
        if !sample.rtt.is_zero() {
            self.best_rtt = Some(self.best_rtt.map_or(sample.rtt, |best| best.min(sample.rtt)));
        }
        if now.saturating_duration_since(self.window.began) < WINDOW {
            return;
        }
        let sent = sample.sent.saturating_sub(self.window.sent);
        let lost = sample.lost.saturating_sub(self.window.lost);
        let lossy = sent >= LEAST_PACKETS && lost.saturating_mul(LOST_OF) >= sent;
        let usual = self.best_rtt.unwrap_or_default().saturating_mul(SLOWER_THAN_BEST);
        let slow = sample.rtt > SLOW.max(usual);
        self.bad_windows = if lossy || slow { self.bad_windows.saturating_add(1) } else { 0 };
        self.window = Window { began: now, sent: sample.sent, lost: sample.lost };
    }

    /// Nothing speaks against it.
    pub(super) fn is_good(&self) -> bool {
        !self.is_silent() && !self.has_collapsed()
    }

    /// It has said nothing for so long that the other transport should be at hand.
    pub(super) fn is_silent(&self) -> bool {
        self.silence >= self.dark_after.saturating_sub(STAND_BY)
    }

    /// It is time to leave it.
    pub(super) fn is_bad(&self) -> bool {
        self.trouble().is_some()
    }

    /// Nothing comes any more.
    pub(super) fn is_dark(&self) -> bool {
        self.silence >= self.dark_after
    }

    /// In how long a connection over TCP comes up on a network that is not to blame.
    pub(super) fn brisk(&self) -> Duration {
        BRISK.max(self.best_rtt.unwrap_or_default().saturating_mul(BRISK_ROUND_TRIPS))
    }

    /// Why, for people.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        if self.is_dark() {
            return Some("QUIC is silent");
        }
        self.has_collapsed().then_some("QUIC loses too much or is too slow")
    }

    fn has_collapsed(&self) -> bool {
        self.bad_windows >= BAD_WINDOWS
    }
}
