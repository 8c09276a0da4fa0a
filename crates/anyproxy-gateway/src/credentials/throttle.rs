//! Back-off for failed passwords, before anything is hashed.
//!
//! ```text
//! account and address  5 failures free, then pauses of 1, 2, 4 … 60 s    told to come back
//! address              20 attempts free, then 4 a second                waits for its turn
//! ```
//!
//! An attempt counts as failed from its start until it turns out right, so that many at once do not
//! slip through together. Pauses are for one account from one address: a job with a stale password
//! holds up nobody else behind the same address. Who tries one name after the other is slowed down
//! by the address's pace, which turns nobody away: a right password behind it gets in a little
//! later. An IPv6 host has a whole /64 to itself.

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

/// What attempts from one address cost it: this long each, of which so many are free.
const PACE: Duration = Duration::from_millis(250);
const FREE_OF_ONE: u32 = 20;

/// Accounts remembered for one address. No pause is forgotten for want of room: at its pace an
/// address begins fewer than these in the time of the longest pause, with all that it may have
/// waiting.
const MAX_OF_ONE: usize = 384;
/// Accounts remembered for all addresses, and addresses: more than can be hashed in that time.
const MAX_KEPT: usize = 16_384;

/// Who tries: an account, named by its keyed hash, from an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Attempt {
    pub(super) peer: IpAddr,
    pub(super) account: [u8; 32],
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
}

/// Failures by address and account.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    addresses: HashMap<IpAddr, Address>,
    /// Accounts over all addresses.
    accounts: usize,
}

#[derive(Debug)]
struct Address {
    /// When all that is free will be free again.
    paid: Instant,
    accounts: HashMap<[u8; 32], Failures>,
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
    /// Whether this attempt may be made; if so it counts as failed until it
    /// [succeeded](Self::succeeded) or was [given up](Self::given_up).
    pub(super) fn begin(&mut self, attempt: Attempt, now: Instant) -> Turn {
        if !self.remembers(attempt) && self.make_room(attempt.peer, now) == Turn::Later {
            return Turn::Later;
        }
        let new = || Address { paid: now, accounts: HashMap::new() };
        let address = self.addresses.entry(attempt.peer).or_insert_with(new);
        let failures = address.accounts.entry(attempt.account).or_insert_with(|| {
            self.accounts = self.accounts.saturating_add(1);
            Failures { count: 0, last: now }
        });
        if now.duration_since(failures.last) > FORGET_AFTER {
            failures.count = 0;
        }
        if failures.pauses(now) {
            return Turn::Later;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        Turn::Now
    }

    /// When the address may have another password hashed, by its pace.
    pub(super) fn free_at(&self, peer: IpAddr, now: Instant) -> Instant {
        let free = PACE.saturating_mul(FREE_OF_ONE.saturating_sub(1));
        let paid = self.addresses.get(&peer).map_or(now, |address| address.paid);
        paid.checked_sub(free).unwrap_or(now).max(now)
    }

    /// A password from `peer` is hashed.
    pub(super) fn pay(&mut self, peer: IpAddr, now: Instant) {
        if let Some(address) = self.addresses.get_mut(&peer) {
            address.paid = address.paid.max(now) + PACE;
        }
    }

    /// What was [paid](Self::pay) was not for a failure.
    pub(super) fn pay_back(&mut self, peer: IpAddr) {
        if let Some(address) = self.addresses.get_mut(&peer) {
            address.paid = address.paid.checked_sub(PACE).unwrap_or(address.paid);
        }
    }

    pub(super) fn succeeded(&mut self, attempt: Attempt) {
        let Some(address) = self.addresses.get_mut(&attempt.peer) else { return };
        if address.accounts.remove(&attempt.account).is_some() {
            self.accounts = self.accounts.saturating_sub(1);
        }
    }

    /// Nothing was hashed for an attempt that had begun.
    pub(super) fn given_up(&mut self, attempt: Attempt) {
        let address = self.addresses.get_mut(&attempt.peer);
        if let Some(failures) = address.and_then(|it| it.accounts.get_mut(&attempt.account)) {
            failures.count = failures.count.saturating_sub(1);
        }
    }

    fn remembers(&self, attempt: Attempt) -> bool {
        let address = self.addresses.get(&attempt.peer);
        address.is_some_and(|address| address.accounts.contains_key(&attempt.account))
    }

    /// Makes room for one more account at `peer`, if need be and if somebody's pause is over.
    fn make_room(&mut self, peer: IpAddr, now: Instant) -> Turn {
        if self.addresses.get(&peer).is_some_and(|address| address.accounts.len() >= MAX_OF_ONE) {
            self.forget_one_of(peer, now);
        }
        if self.accounts >= MAX_KEPT {
            let most = self.addresses.iter().max_by_key(|(_, address)| address.resting(now));
            if let Some(most) = most.map(|(peer, _)| *peer) {
                self.forget_one_of(most, now);
            }
        }
        if self.addresses.len() >= MAX_KEPT {
            self.addresses.retain(|_, address| !address.accounts.is_empty() || address.paid > now);
        }
        let full = self.accounts >= MAX_KEPT
            || match self.addresses.get(&peer) {
                Some(address) => address.accounts.len() >= MAX_OF_ONE,
                None => self.addresses.len() >= MAX_KEPT,
            };
        if full { Turn::Later } else { Turn::Now }
    }

    /// Forgets the oldest failures from `peer` that serve no pause.
    fn forget_one_of(&mut self, peer: IpAddr, now: Instant) {
        let Some(address) = self.addresses.get_mut(&peer) else { return };
        let resting = address.accounts.iter().filter(|(_, failures)| !failures.pauses(now));
        let oldest = resting.min_by_key(|(_, failures)| failures.last).map(|(mark, _)| *mark);
        if oldest.and_then(|mark| address.accounts.remove(&mark)).is_some() {
            self.accounts = self.accounts.saturating_sub(1);
        }
    }
}

impl Address {
    /// Accounts that serve no pause.
    fn resting(&self, now: Instant) -> usize {
        self.accounts.values().filter(|failures| !failures.pauses(now)).count()
    }
}

impl Failures {
    fn pauses(self, now: Instant) -> bool {
        now < self.last + self.pause()
    }

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
mod tests;
