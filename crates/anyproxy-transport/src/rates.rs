//! The best rate that one of a session's tunnels got through in the last while, and the least round trip.
//!
//! The session keeps them, not the tunnel: one that is dialled while UDP is throttled never was fast itself, but the one
//! before it was, and the WebSocket between the two. Nor did it ever see the way without a queue.

use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::tunnel::Transport;

/// How long a rate counts: so long to twice so long.
const REMEMBERED: Duration = Duration::from_secs(5 * 60);

/// Over so long is a WebSocket's rate taken: what fills buffers on the way is soon little beside it.
const WINDOW: Duration = Duration::from_secs(5);

/// What the tunnels of a session know of the way to the peer.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    since: Option<Instant>,
    now: Best,
    before: Best,
    peers: Peers,
}

/// Where the last tunnel over each transport led. They may well differ from each other: a proxy, IPv4 and IPv6.
#[derive(Debug, Default, Clone, Copy)]
struct Peers {
    quic: Option<IpAddr>,
    websocket: Option<IpAddr>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Best {
    /// Bytes in a second.
    rate: u64,
    /// The least, of QUIC.
    rtt: Option<Duration>,
}

impl Rates {
    /// Bytes got through at `rate`, in bytes in a second. Says what the best is now.
    pub(crate) fn note(&self, now: Instant, rate: u64) -> u64 {
        let mut known = self.known(now);
        known.now.rate = known.now.rate.max(rate);
        known.now.rate.max(known.before.rate)
    }

    /// A round trip took `rtt`; zero is none. Says what the least is now.
    pub(crate) fn least_rtt(&self, now: Instant, rtt: Duration) -> Duration {
        let mut known = self.known(now);
        let measured = Some(rtt).filter(|rtt| !rtt.is_zero());
        known.now.rtt = known.now.rtt.into_iter().chain(measured).min();
        known.now.rtt.into_iter().chain(known.before.rtt).min().unwrap_or_default()
    }

    /// The way to the peer is another one.
    pub(crate) fn forget(&self) {
        self.lock().forget();
    }

    /// A tunnel over `transport` leads to `peer`, as of now. If the one before it led elsewhere, the way is another one.
    pub(crate) fn leads_to(&self, transport: Transport, peer: IpAddr) {
        let mut known = self.lock();
        let last = match transport {
            Transport::Quic => &mut known.peers.quic,
            Transport::WebSocket => &mut known.peers.websocket,
        };
        let peer = peer.to_canonical();
        if last.replace(peer).is_some_and(|last| last != peer) {
            known.forget();
        }
    }

    fn known(&self, now: Instant) -> MutexGuard<'_, Known> {
        let mut known = self.lock();
        let since = *known.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= REMEMBERED {
            (known.since, known.before, known.now) = (Some(now), known.now, Best::default());
        }
        known
    }

    /// A panic while holding the lock leaves numbers, so poisoning says nothing.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn forget(&mut self) {
        *self = Self { peers: self.peers, ..Self::default() };
    }
}

/// `bytes` in `time`, as bytes in a second.
pub(crate) fn rate(bytes: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(1000).checked_div(millis).unwrap_or(bytes)
}

/// Takes the rate of a tunnel whose acknowledgements cannot be seen.
#[derive(Debug)]
pub(crate) struct Gauge {
    began: Instant,
    from: u64,
}

impl Gauge {
    /// `sent` is what was sent in all by now.
    pub(crate) fn new(began: Instant, sent: u64) -> Self {
        Self { began, from: sent }
    }

    /// `sent` is what was sent in all. Notes the rate when it is time to.
    pub(crate) fn look(&mut self, now: Instant, sent: u64, rates: &Rates) {
        let time = now.saturating_duration_since(self.began);
        if time < WINDOW {
            return;
        }
        rates.note(now, rate(sent.saturating_sub(self.from), time));
        (self.began, self.from) = (now, sent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_best_is_forgotten_within_ten_minutes() {
        let (rates, start) = (Rates::default(), Instant::now());
        assert_eq!(rates.note(start, 1000), 1000);
        for minute in 1..6 {
            assert_eq!(rates.note(start + 60 * minute * SECOND, 10), 1000, "{minute}");
        }
        assert_eq!(rates.note(start + 600 * SECOND, 10), 10);
    }

    #[test]
    fn the_least_round_trip_is_forgotten_likewise() {
        let (rates, start) = (Rates::default(), Instant::now());
        assert_eq!(rates.least_rtt(start, Duration::ZERO), Duration::ZERO, "none yet");
        assert_eq!(rates.least_rtt(start, SECOND), SECOND);
        assert_eq!(rates.least_rtt(start + 300 * SECOND, 2 * SECOND), SECOND);
        assert_eq!(rates.least_rtt(start + 600 * SECOND, 3 * SECOND), 2 * SECOND);
    }

    #[test]
    fn another_way_starts_anew() {
        let (rates, start) = (Rates::default(), Instant::now());
        rates.note(start, 1000);
        rates.least_rtt(start, SECOND);
        rates.forget();
        assert_eq!(rates.note(start, 10), 10);
        assert_eq!(rates.least_rtt(start, 2 * SECOND), 2 * SECOND);
    }

    #[test]
    fn a_tunnel_that_joins_from_another_address_starts_anew() {
        let (rates, start) = (Rates::default(), Instant::now());
        let ip = |last| IpAddr::from([198, 18, 0, last]);
        rates.leads_to(Transport::Quic, ip(1));
        rates.note(start, 1000);
        rates.leads_to(Transport::Quic, ip(1));
        rates.leads_to(Transport::WebSocket, ip(9));
        assert_eq!(rates.note(start, 10), 1000, "each transport has its own");
        rates.leads_to(Transport::Quic, ip(2));
        assert_eq!(rates.note(start, 10), 10);
        rates.note(start, 1000);
        rates.forget();
        rates.note(start, 1000);
        rates.leads_to(Transport::WebSocket, ip(8));
        assert_eq!(rates.note(start, 10), 10, "where it led is not forgotten");
    }

    #[test]
    fn a_burst_into_buffers_is_spread() {
        let (rates, start) = (Rates::default(), Instant::now());
        let mut gauge = Gauge::new(start, 0);
        gauge.look(start + SECOND, 50_000, &rates);
        assert_eq!(rates.note(start, 0), 0);
        gauge.look(start + 5 * SECOND, 50_000, &rates);
        gauge.look(start + 10 * SECOND, 60_000, &rates);
        assert_eq!(rates.note(start, 0), 10_000);
    }
}
