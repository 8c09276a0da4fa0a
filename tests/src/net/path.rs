//! One direction of a link: decides when, and whether, a packet arrives. No I/O, no clock.

use std::{net::IpAddr, time::Duration};

use tokio::time::Instant;

use super::{
    link::{Connects, LinkSettings, Longest, Switch},
    random::Random,
    tap::{Capture, Record, Stats},
};

/// A lost segment is sent again at most this often before it gets through, so that a loss of 1
/// still is a number and not an endless loop. Nine doublings of 200 ms are 102 s.
const RETRANSMISSIONS: u32 = 9;

#[derive(Debug)]
pub(super) struct Path {
    /// None: the world's settings for links that nobody described.
    pub(super) settings: Option<LinkSettings>,
    pub(super) udp_hole: Switch,
    pub(super) tcp_hole: Switch,
    /// Whether datagrams are answered with ICMP "port unreachable".
    pub(super) udp_refused: Switch,
    pub(super) connects: Connects,
    /// Bytes per second for datagrams alone.
    pub(super) udp_rate: Option<u64>,
    /// The age at which a middlebox cuts connections and flows.
    pub(super) longest: Longest,
    /// When the middlebox forgot all that there was.
    pub(super) forgot: Option<Instant>,
    pub(super) taps: Vec<Capture>,
    pub(super) stats: Stats,
    random: Random,
    /// When the last datagram will have left the sender.
    udp_busy: Option<Instant>,
    tcp_busy: Option<Instant>,
}

/// What happens to a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Dropped,
    Arrives(Instant),
    Twice(Instant, Instant),
}

impl Path {
    pub(super) fn new(seed: u64, from: IpAddr, to: IpAddr) -> Self {
        Self {
            settings: None,
            udp_hole: Switch::Off,
            tcp_hole: Switch::Off,
            udp_refused: Switch::Off,
            connects: Connects::Pass,
            udp_rate: None,
            longest: Longest::default(),
            forgot: None,
            taps: Vec::new(),
            stats: Stats::default(),
            random: Random::of_path(seed, from, to),
            udp_busy: None,
            tcp_busy: None,
        }
    }

    pub(super) fn record(&self, record: impl FnOnce() -> Record) {
        if self.taps.is_empty() {
            return;
        }
        let record = record();
        for tap in &self.taps {
            tap.record(record.clone());
        }
    }

    /// A datagram of `size` bytes enters.
    pub(super) fn datagram(&mut self, now: Instant, size: usize, settings: &LinkSettings) -> Fate {
        self.stats.datagrams += 1;
        self.stats.datagram_bytes += size as u64;
        if size > settings.mtu {
            self.stats.over_mtu += 1;
            return Fate::Dropped;
        }
        let settings = &LinkSettings { rate: self.udp_rate.or(settings.rate), ..*settings };
        let Some(departs) = queue(now, &mut self.udp_busy, size, settings, Some(settings.queue))
        else {
            self.stats.queue_full += 1;
            return Fate::Dropped;
        };
        if self.udp_hole == Switch::On {
            self.stats.black_holed += 1;
            return Fate::Dropped;
        }
        if self.random.happens(settings.loss) {
            self.stats.lost += 1;
            return Fate::Dropped;
        }
        let arrives = departs + settings.delay + self.jitter(settings);
        if self.random.happens(settings.duplicate) {
            self.stats.duplicated += 1;
            return Fate::Twice(arrives, departs + settings.delay + self.jitter(settings));
        }
        Fate::Arrives(arrives)
    }

    /// A packet of a TCP handshake enters; none: it is lost.
    pub(super) fn handshake(&mut self, now: Instant, settings: &LinkSettings) -> Option<Instant> {
        if self.random.happens(settings.loss) {
            return None;
        }
        Some(now + settings.delay + self.jitter(settings))
    }

    /// A segment of an open TCP connection enters, with `size` bytes of data. Each loss delays it
    /// by a retransmission time-out that doubles (RFC 6298 §5.5).
    pub(super) fn segment(
        &mut self,
        now: Instant,
        size: usize,
        settings: &LinkSettings,
        rto: Duration,
    ) -> Instant {
        if size > 0 {
            self.stats.segments += 1;
            self.stats.segment_bytes += size as u64;
        }
        let departs = queue(now, &mut self.tcp_busy, size, settings, None).unwrap_or(now);
        let mut arrives = departs + settings.delay + self.jitter(settings);
        for attempt in 0..RETRANSMISSIONS {
            if !self.random.happens(settings.loss) {
                break;
            }
            self.stats.retransmitted += 1;
            arrives += rto * 2_u32.pow(attempt);
        }
        arrives
    }

    fn jitter(&mut self, settings: &LinkSettings) -> Duration {
        if settings.jitter.is_zero() {
            Duration::ZERO
        } else {
            settings.jitter.mul_f64(self.random.unit())
        }
    }
}

/// Puts `size` bytes behind those that wait already; none: more than `room` bytes would wait.
fn queue(
    now: Instant,
    busy: &mut Option<Instant>,
    size: usize,
    settings: &LinkSettings,
    room: Option<usize>,
) -> Option<Instant> {
    let Some(rate) = settings.rate else { return Some(now) };
    let starts = busy.map_or(now, |until| until.max(now));
    let waiting = (starts - now).as_secs_f64() * rate as f64;
    if room.is_some_and(|room| waiting + size as f64 > room as f64) {
        return None;
    }
    let nanos = size as u128 * 1_000_000_000 / u128::from(rate.max(1));
    let departs = starts + Duration::from_nanos(nanos as u64);
    *busy = Some(departs);
    Some(departs)
}
