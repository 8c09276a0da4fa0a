//! How many connections one address may have.
//!
//! Without such a bound, one stranger who opens connections and holds them takes the places of all
//! users: when those are taken, everybody waits. An address behind which many people are (a company's,
//! a mobile network's) has many connections too, so the bound is there to leave room for others, not
//! to be fair. Who is over it is turned away at once: waiting would hold up whoever is next in the
//! listener's queue.
//!
//! An IPv6 host has a whole /64 to itself (RFC 4291 section 2.5.1), so there the prefix counts. Loopback is
//! not counted: all programs of this host share it, a reverse proxy in front among them.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How often the log says that connections are turned away.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Live connections by address, over all listeners that share it.
///
/// It knows only addresses that have a connection, so there are no more of them than permits.
#[derive(Debug)]
pub struct PerAddress {
    at_most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    live: HashMap<IpAddr, usize>,
    turned_away: u64,
    told: Option<Told>,
}

/// What the log said last.
#[derive(Debug, Clone, Copy)]
struct Told {
    at: Instant,
    turned_away: u64,
}

/// One connection's place; dropping it leaves.
#[derive(Debug)]
pub(super) struct Place {
    of: Arc<PerAddress>,
    /// `None`: not counted.
    key: Option<IpAddr>,
}

impl PerAddress {
    /// At most `at_most` connections of one address, at least one.
    #[must_use]
    pub fn new(at_most: usize) -> Arc<Self> {
        Arc::new(Self { at_most: at_most.max(1), state: Mutex::default() })
    }

    /// How many connections were turned away so far.
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        self.state().turned_away
    }

    /// A place for a connection of `peer`, if it has not got all that it may have.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let key = key(peer);
        if let Some(key) = key {
            let mut state = self.state();
            let live = state.live.entry(key).or_default();
            if *live >= self.at_most {
                state.turn_away(peer, self.at_most);
                return None;
            }
            *live = live.saturating_add(1);
        }
        Some(Place { of: Arc::clone(self), key })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn turn_away(&mut self, peer: IpAddr, at_most: usize) {
        self.turned_away = self.turned_away.saturating_add(1);
        if self.told.is_some_and(|told| told.at.elapsed() < TELL_EVERY) {
            return;
        }
        let before = self.told.map_or(0, |told| told.turned_away);
        tracing::warn!(%peer, at_most, turned_away = self.turned_away.saturating_sub(before),
            "an address has all the connections it may have; more are closed at once");
        self.told = Some(Told { at: Instant::now(), turned_away: self.turned_away });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let mut state = self.of.state();
        if let Some(live) = state.live.get_mut(&key) {
            *live = live.saturating_sub(1);
            if *live == 0 {
                state.live.remove(&key);
            }
        }
    }
}

/// What is counted for `peer`; `None`: nothing is.
fn key(peer: IpAddr) -> Option<IpAddr> {
    match peer.to_canonical() {
        ip if ip.is_loopback() => None,
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Some(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
        }
        ip @ IpAddr::V4(_) => Some(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_has_so_many_and_others_have_theirs() {
        let places = PerAddress::new(2);
        let (first, _second) = (places.enter(ip("192.0.2.1")), places.enter(ip("192.0.2.1")));
        assert!(places.enter(ip("192.0.2.1")).is_none());
        assert!(places.enter(ip("::ffff:192.0.2.1")).is_none(), "the same, written for IPv6");
        assert!(places.enter(ip("192.0.2.2")).is_some());
        assert_eq!(places.turned_away(), 2);
        drop(first);
        assert!(places.enter(ip("192.0.2.1")).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_ipv6_host_is_its_prefix() {
        let places = PerAddress::new(1);
        let _held = places.enter(ip("2001:db8:0:1::1")).unwrap();
        assert!(places.enter(ip("2001:db8:0:1:ffff::2")).is_none());
        assert!(places.enter(ip("2001:db8:0:2::1")).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn loopback_is_not_counted() {
        let places = PerAddress::new(1);
        let held = ["127.0.0.1", "127.0.0.1", "::1", "::1", "::ffff:127.0.0.1"]
            .map(|peer| places.enter(ip(peer)));
        assert!(held.iter().all(Option::is_some));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_who_has_left() {
        let places = PerAddress::new(1);
        for last in 0..=255 {
            drop(places.enter(IpAddr::from([192, 0, 2, last])));
        }
        assert_eq!(places.state().live.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_hears_of_it_once_a_minute() {
        let places = PerAddress::new(1);
        let _held = places.enter(ip("192.0.2.1"));
        let told = || places.state().told.unwrap().turned_away;
        for _ in 0..100 {
            assert!(places.enter(ip("192.0.2.1")).is_none());
        }
        assert_eq!(told(), 1);
        tokio::time::advance(TELL_EVERY).await;
        assert!(places.enter(ip("192.0.2.1")).is_none());
        assert_eq!(told(), 101);
    }
}
