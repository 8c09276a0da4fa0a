//! Back-off for failed passwords, before anything is hashed.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use tokio::time::Instant;

/// Failures that cost nothing: people mistype.
const FREE: u32 = 5;
/// The pause after the first failure that costs, doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Failures are forgotten after this long without another.
const FORGET_AFTER: Duration = Duration::from_secs(600);
/// Addresses remembered; beyond it the oldest make room.
const MAX_PEERS: usize = 4096;

/// Failures by address.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    failures: HashMap<IpAddr, Failures>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

/// Whether an address may try now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    Later,
}

impl Throttle {
    pub(super) fn turn(&self, peer: IpAddr, now: Instant) -> Turn {
        match self.failures.get(&peer) {
            Some(failures) if now < failures.last + failures.pause() => Turn::Later,
            _ => Turn::Now,
        }
    }

    pub(super) fn failed(&mut self, peer: IpAddr, now: Instant) {
        if self.failures.len() >= MAX_PEERS && !self.failures.contains_key(&peer) {
            self.make_room(now);
        }
        let failures = self.failures.entry(peer).or_insert(Failures { count: 0, last: now });
        if now.duration_since(failures.last) > FORGET_AFTER {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
    }

    pub(super) fn succeeded(&mut self, peer: IpAddr) {
        self.failures.remove(&peer);
    }

    fn make_room(&mut self, now: Instant) {
        self.failures.retain(|_, failures| now.duration_since(failures.last) <= FORGET_AFTER);
        if self.failures.len() < MAX_PEERS {
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

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test(start_paused = true)]
    async fn the_sixth_failure_costs_a_second_and_each_further_one_twice_as_much() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..5 {
            throttle.failed(PEER, now);
            assert_eq!(throttle.turn(PEER, now), Turn::Now);
        }
        throttle.failed(PEER, now);
        assert_eq!(throttle.turn(PEER, now + Duration::from_millis(999)), Turn::Later);
        assert_eq!(throttle.turn(PEER, now + Duration::from_secs(1)), Turn::Now);
        (0..30).for_each(|_| throttle.failed(PEER, now));
        assert_eq!(throttle.turn(PEER, now + Duration::from_secs(59)), Turn::Later);
        assert_eq!(throttle.turn(PEER, now + Duration::from_secs(60)), Turn::Now);
        throttle.succeeded(PEER);
        assert_eq!(throttle.turn(PEER, now), Turn::Now);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_addresses_does_not_grow_the_table() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        for address in 0..2 * u32::try_from(MAX_PEERS).unwrap() {
            throttle.failed(IpAddr::V4(address.into()), now);
        }
        assert_eq!(throttle.failures.len(), MAX_PEERS);
    }
}
