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
};

use anyproxy_runtime::Trouble;

/// Live connections by address, over all listeners that share it.
///
/// It knows only addresses that have a connection, so there are no more of them than permits.
#[derive(Debug)]
pub struct PerAddress {
    at_most: usize,
    state: Mutex<State>,
    trouble: Trouble,
}

#[derive(Debug, Default)]
struct State {
    live: HashMap<IpAddr, usize>,
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
        Arc::new(Self {
            at_most: at_most.max(1),
            state: Mutex::default(),
            trouble: Trouble::default(),
        })
    }

    /// How many connections were turned away so far.
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        self.state().turned_away
    }

    /// A place for a connection of `peer`, if it has not got all that it may have.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let key = counted(peer);
        if let Some(key) = key {
            let mut state = self.state();
            let live = state.live.entry(key).or_default();
            if *live >= self.at_most {
                state.turned_away = state.turned_away.saturating_add(1);
                drop(state);
                self.tell(peer);
                return None;
            }
            *live = live.saturating_add(1);
        }
        Some(Place { of: Arc::clone(self), key })
    }

    fn tell(&self, peer: IpAddr) {
        if let Some(turned_away) = self.trouble.happened() {
            tracing::warn!(%peer, at_most = self.at_most, turned_away,
                "an address has all the connections it may have; more are closed at once");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
pub(crate) fn counted(peer: IpAddr) -> Option<IpAddr> {
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
}
