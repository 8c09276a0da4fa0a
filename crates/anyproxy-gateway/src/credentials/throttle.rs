//! Back-off for failed passwords, before anything is hashed.
//!
//! An attempt counts as failed from its start until it turns out right, so that many at once do not
//! slip through together. Failures are counted for one account from one address: a job with a stale
//! password holds up nobody else behind the same address. An IPv6 host has a whole /64 to itself.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use tokio::time::Instant;

/// Failures that cost nothing: people mistype.
const FREE: u32 = 5;
/// The pause after the first failure that costs, doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Failures are forgotten after this long without another.
const FORGET_AFTER: Duration = Duration::from_secs(600);
/// Failing accounts and addresses remembered; beyond it the oldest make room.
const MAX_KEPT: usize = 4096;

/// Who tries: an account, named by its keyed hash, from an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Attempt {
    peer: IpAddr,
    account: [u8; 32],
}

impl Attempt {
    pub(super) fn new(peer: IpAddr, account: [u8; 32]) -> Self {
        let peer = match peer {
            IpAddr::V6(ip) if ip.to_ipv4_mapped().is_none() => {
                Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into()
            }
            IpAddr::V4(_) | IpAddr::V6(_) => peer.to_canonical(),
        };
        Self { peer, account }
    }

    /// Whether both come from the same address.
    pub(super) fn is_by(&self, other: Self) -> bool {
        self.peer == other.peer
    }
}

/// Failures by account and address.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    failures: HashMap<Attempt, Failures>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

/// Whether an attempt may be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    Later,
}

impl Throttle {
    /// Whether this attempt may be made; if so it counts as failed until it [succeeded](Self::succeeded).
    pub(super) fn begin(&mut self, attempt: Attempt, now: Instant) -> Turn {
        if self.failures.len() >= MAX_KEPT && !self.failures.contains_key(&attempt) {
            self.make_room(now);
        }
        let failures = self.failures.entry(attempt).or_insert(Failures { count: 0, last: now });
        if now.duration_since(failures.last) > FORGET_AFTER {
            failures.count = 0;
        }
        if now < failures.last + failures.pause() {
            return Turn::Later;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        Turn::Now
    }

    pub(super) fn succeeded(&mut self, attempt: Attempt) {
        self.failures.remove(&attempt);
    }

    fn make_room(&mut self, now: Instant) {
        self.failures.retain(|_, failures| now.duration_since(failures.last) <= FORGET_AFTER);
        if self.failures.len() < MAX_KEPT {
            return;
        }
        let oldest = self.failures.iter().min_by_key(|(_, failures)| failures.last);
        if let Some(peer) = oldest.map(|(peer, _)| *peer) {
            self.failures.remove(&peer);
        }
    }
}

impl Failures {
    fn pause(self) -> Duration {
        match self.count.checked_sub(FREE) {
            None | Some(0) => Duration::ZERO,
            Some(costly) => {
                let doubled = 2_u32.saturating_pow(costly.saturating_sub(1));
                FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(peer: &str, account: u8) -> Attempt {
        Attempt::new(peer.parse().unwrap(), [account; 32])
    }

    #[tokio::test(start_paused = true)]
    async fn the_sixth_failure_costs_a_second_and_each_further_one_twice_as_much() {
        let mut throttle = Throttle::default();
        let (mut now, one) = (Instant::now(), attempt("192.0.2.1", 1));
        for _ in 0..6 {
            assert_eq!(throttle.begin(one, now), Turn::Now);
        }
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            let pause = Duration::from_secs(pause);
            assert_eq!(throttle.begin(one, now + pause - Duration::from_millis(1)), Turn::Later);
            now += pause;
            assert_eq!(throttle.begin(one, now), Turn::Now);
        }
        throttle.succeeded(one);
        assert_eq!(throttle.begin(one, now), Turn::Now);
    }

    #[tokio::test(start_paused = true)]
    async fn others_are_not_held_up_but_a_network_of_one_host_is_one() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        for last in 0..7 {
            throttle.begin(attempt(&format!("2001:db8::{last}"), 1), now);
        }
        assert_eq!(throttle.begin(attempt("2001:db8::ffff:1", 1), now), Turn::Later);
        assert_eq!(throttle.begin(attempt("2001:db8::1", 2), now), Turn::Now);
        assert_eq!(throttle.begin(attempt("2001:db8:0:1::1", 1), now), Turn::Now);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_addresses_does_not_grow_the_table() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        for address in 0..2 * u32::try_from(MAX_KEPT).unwrap() {
            throttle.begin(Attempt::new(IpAddr::V4(address.into()), [0; 32]), now);
        }
        assert_eq!(throttle.failures.len(), MAX_KEPT);
    }
}
