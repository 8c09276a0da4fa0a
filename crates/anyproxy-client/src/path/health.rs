//! Whether the session's tunnel still does its work.
//!
//! ```text
//! last byte ─ 1 s, or 10 s of rest ─▶ Ping ─ … ─▶ doubtful ─ 1 s ─▶ dark      a Ping unanswered for max(2 s, 4 × RTO)
//! QUIC: 5 s with a quarter of the packets lost, a round trip far over the best, or strain, three times: collapsed
//! ```
//!
//! Bytes that wait for an acknowledgement are no better sign than a Ping (over TCP nobody tells whether
//! there are any), so in doubt the peer is asked. A tunnel that rests is asked less often: a person who
//! comes back to it may have to wait, a battery need not.
//!
//! Strain is found by the side that sends, from the rate that gets through: a controller that fits itself to a throttle
//! keeps losses and round trips low.

use std::time::{Duration, Instant};

/// Silence after which the peer is asked.
pub(crate) const PING_WITHIN: Duration = Duration::from_secs(1);

/// The same while the tunnel rests.
const PING_AT_REST: Duration = Duration::from_secs(10);

/// How long nothing is live on a tunnel before it rests.
const REST: Duration = Duration::from_secs(60);

/// How often a tunnel is looked at, and one that rests.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOK_AT_REST: Duration = Duration::from_secs(1);

/// The least time without an answer that counts as dark.
const DARK_AFTER: Duration = Duration::from_secs(2);

/// How much earlier another tunnel is dialled, so that it is ready when it is needed.
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

/// Who asks the peer in a silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// The tunnel by itself, within [`PING_WITHIN`].
    Tunnel,
    /// Whoever looks.
    Us,
}

/// Figures of the tunnel at one moment; the counters only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sample {
    /// Bytes that came.
    pub(crate) received: u64,
    /// Packets sent.
    pub(crate) sent: u64,
    /// Packets of these that were found lost.
    pub(crate) lost: u64,
    /// How often either end found that far less gets through than before.
    pub(crate) strains: u64,
    /// The round-trip time.
    pub(crate) rtt: Duration,
    /// Streams that are live on it or on those beside it.
    pub(crate) streams: usize,
}

#[derive(Debug)]
pub(super) struct Health {
    asks: Asks,
    last: Option<Sample>,
    sampled: Instant,
    heard: Instant,
    /// When the peer was first asked after it was heard.
    asked: Option<Instant>,
    /// It is to be asked now.
    question: bool,
    busy_until: Instant,
    unanswered: Duration,
    patience: Duration,
    window: Window,
    best_rtt: Option<Duration>,
    bad_windows: u32,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    sent: u64,
    lost: u64,
    strains: u64,
}

impl Window {
    fn new(began: Instant, sample: &Sample) -> Self {
        Self { began, sent: sample.sent, lost: sample.lost, strains: sample.strains }
    }
}

impl Health {
    pub(super) fn new(now: Instant, asks: Asks) -> Self {
        Self {
            asks,
            last: None,
            sampled: now,
            heard: now,
            asked: None,
            question: false,
            busy_until: now + REST,
            unanswered: Duration::ZERO,
            patience: DARK_AFTER,
            window: Window::new(now, &Sample::default()),
            best_rtt: None,
            bad_windows: 0,
        }
    }

    pub(super) fn sample(&mut self, now: Instant, sample: &Sample) {
        let slept = now.saturating_duration_since(self.sampled) > ASLEEP;
        if slept || self.last.is_none_or(|last| last.received != sample.received) {
            (self.heard, self.asked, self.question) = (now, None, false);
        }
        if slept || sample.streams > 0 {
            self.busy_until = now + REST;
        }
        if slept || self.last.is_none() {
            self.window = Window::new(now, sample);
        }
        (self.sampled, self.last) = (now, Some(*sample));
        self.ask(now);
        self.unanswered = self.asked.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let timeout = sample.rtt.saturating_mul(2).saturating_add(SLACK);
        self.patience = DARK_AFTER.max(timeout.saturating_mul(TIMEOUTS));
        // Only where there is another transport that may do better.
        if self.asks == Asks::Tunnel {
            self.judge(now, sample);
        }
    }

    /// A lost Ping is sent again by the transport, so one is enough.
    fn ask(&mut self, now: Instant) {
        if self.asked.is_some() {
            return;
        }
        let silence = now.saturating_duration_since(self.heard);
        match self.asks {
            Asks::Tunnel if silence >= PING_WITHIN => self.asked = Some(self.heard + PING_WITHIN),
            Asks::Us if silence >= self.ask_within() => {
                (self.asked, self.question) = (Some(now), true);
            }
            Asks::Tunnel | Asks::Us => {}
        }
    }

    fn ask_within(&self) -> Duration {
        if self.rests() { PING_AT_REST } else { PING_WITHIN }
    }

    fn rests(&self) -> bool {
        self.asks == Asks::Us && self.sampled >= self.busy_until
    }

    /// Whether the peer is to be asked for a sign of life; says so once.
    pub(super) fn take_question(&mut self) -> bool {
        std::mem::take(&mut self.question)
    }

    /// How long to wait until it is looked at again.
    pub(super) fn look_every(&self) -> Duration {
        if self.rests() && self.asked.is_none() { LOOK_AT_REST } else { LOOK_EVERY }
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
        let strained = sample.strains > self.window.strains;
        self.bad_windows =
            if lossy || slow || strained { self.bad_windows.saturating_add(1) } else { 0 };
        self.window = Window::new(now, sample);
    }

    /// Nothing speaks against it.
    pub(super) fn is_good(&self) -> bool {
        !self.is_silent() && !self.has_collapsed()
    }

    /// It has said nothing for so long that another tunnel should be at hand.
    pub(super) fn is_silent(&self) -> bool {
        self.asked.is_some() && self.unanswered >= self.patience.saturating_sub(STAND_BY)
    }

    /// It is time to leave it.
    pub(super) fn is_bad(&self) -> bool {
        self.trouble().is_some()
    }

    /// Nothing comes any more.
    pub(super) fn is_dark(&self) -> bool {
        self.unanswered >= self.patience
    }

    /// Nothing comes any more, and that since a while.
    pub(super) fn is_dark_for(&self, time: Duration) -> bool {
        self.unanswered >= self.patience.saturating_add(time)
    }

    /// In how long a connection over TCP comes up on a network that is not to blame.
    pub(super) fn brisk(&self) -> Duration {
        BRISK.max(self.best_rtt.unwrap_or_default().saturating_mul(BRISK_ROUND_TRIPS))
    }

    /// Why, for people.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        if self.is_dark() {
            return Some("the former one is silent");
        }
        self.has_collapsed().then_some("QUIC loses too much or is too slow")
    }

    fn has_collapsed(&self) -> bool {
        self.bad_windows >= BAD_WINDOWS
    }
}
