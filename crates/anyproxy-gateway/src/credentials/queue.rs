//! Who waits for a hash, and whose turn is next.
//!
//! ```text
//! pairs of account and address that got in before ─▶ first
//! address ─┬─ account ─ waiting …                 ─▶ addresses take turns; of each, its accounts do
//!          └─ account ─ waiting …
//! ```
//!
//! A flood takes its own share only: of one address one turn in a round, of one account one turn in
//! its address's rounds. What is full makes room at the cost of whoever has most places.

use std::{collections::VecDeque, net::IpAddr};

use tokio::sync::oneshot;

use super::{memory::Memory, throttle::Attempt};

/// Checks that may wait; at most so many pairs that got in before wait beside them.
const MAX_WAITING: usize = 512;
const MAX_KNOWN_WAITING: usize = 64;

/// Of those, from one address. At the pace of an address that failed often, the last of them has
/// its turn while its user still waits (see [`throttle`](super::throttle)).
pub(super) const MAX_WAITING_OF_ONE: usize = 64;

/// One that waits; dropping it turns it away.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) number: u64,
    pub(super) attempt: Attempt,
    pub(super) turn: oneshot::Sender<Memory>,
}

/// What is known of somebody who is to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The same account got in from the same address before.
    Known,
    Stranger,
}

/// There is no place.
#[derive(Debug)]
pub(super) struct Full;

#[derive(Debug, Default)]
pub(super) struct Queue {
    known: VecDeque<Waiter>,
    lanes: VecDeque<Lane>,
}

/// Those from one address; never empty.
#[derive(Debug)]
struct Lane {
    peer: IpAddr,
    accounts: VecDeque<Account>,
}

/// Those for one account from one address; never empty.
#[derive(Debug)]
struct Account {
    mark: [u8; 32],
    waiting: VecDeque<Waiter>,
}

impl Queue {
    pub(super) fn enter(&mut self, waiter: Waiter, standing: Standing) -> Result<(), Full> {
        if standing == Standing::Known && self.known.len() < MAX_KNOWN_WAITING {
            self.known.push_back(waiter);
            return Ok(());
        }
        let lane = self.lane(waiter.attempt.peer);
        let beside = lane.map_or(0, Lane::len);
        if beside >= MAX_WAITING_OF_ONE {
            let own = lane.and_then(|lane| lane.account(waiter.attempt.account));
            let own = own.map_or(0, |account| account.waiting.len());
            self.shed_account(waiter.attempt.peer, own)?;
        } else if self.lanes.iter().map(Lane::len).sum::<usize>() >= MAX_WAITING {
            self.shed_lane(beside)?;
        }
        self.push(waiter);
        Ok(())
    }

    /// Takes away who waits under `number`, if it still does.
    pub(super) fn leave(&mut self, number: u64) {
        self.known.retain(|waiter| waiter.number != number);
        for lane in &mut self.lanes {
            for account in &mut lane.accounts {
                account.waiting.retain(|waiter| waiter.number != number);
            }
        }
        self.tidy();
    }

    /// Takes whose turn is next, of addresses that may have one.
    pub(super) fn next(&mut self, may: impl Fn(IpAddr) -> bool) -> Option<(Waiter, Standing)> {
        if let Some(waiter) = self.known.pop_front() {
            return Some((waiter, Standing::Known));
        }
        let index = self.lanes.iter().position(|lane| may(lane.peer))?;
        let mut lane = self.lanes.remove(index)?;
        let mut account = lane.accounts.pop_front()?;
        let waiter = account.waiting.pop_front()?;
        lane.accounts.push_back(account);
        self.lanes.push_back(lane);
        self.tidy();
        Some((waiter, Standing::Stranger))
    }

    /// The addresses that wait.
    pub(super) fn peers(&self) -> impl Iterator<Item = IpAddr> {
        self.lanes.iter().map(|lane| lane.peer)
    }

    fn lane(&self, peer: IpAddr) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.peer == peer)
    }

    fn push(&mut self, waiter: Waiter) {
        let Attempt { peer, account: mark } = waiter.attempt;
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.peer == peer) {
            if let Some(account) = lane.accounts.iter_mut().find(|account| account.mark == mark) {
                account.waiting.push_back(waiter);
            } else {
                lane.accounts.push_back(Account { mark, waiting: [waiter].into() });
            }
        } else {
            let account = Account { mark, waiting: [waiter].into() };
            self.lanes.push_back(Lane { peer, accounts: [account].into() });
        }
    }

    /// Turns the newest of the address with most places away, for one that has only `beside`.
    fn shed_lane(&mut self, beside: usize) -> Result<(), Full> {
        let lane = self.lanes.iter().max_by_key(|lane| lane.len()).ok_or(Full)?;
        if lane.len() <= beside.saturating_add(1) {
            return Err(Full);
        }
        let peer = lane.peer;
        self.shed_account(peer, 0).or_else(|Full| self.shed_newest(peer))
    }

    /// Turns the newest of the account with most places at `peer` away, for one that has only `own`.
    fn shed_account(&mut self, peer: IpAddr, own: usize) -> Result<(), Full> {
        let lane = self.lanes.iter_mut().find(|lane| lane.peer == peer).ok_or(Full)?;
        let most = lane.accounts.iter_mut().max_by_key(|account| account.waiting.len());
        let most = most.ok_or(Full)?;
        if most.waiting.len() <= own.saturating_add(1) {
            return Err(Full);
        }
        most.waiting.pop_back();
        Ok(())
    }

    fn shed_newest(&mut self, peer: IpAddr) -> Result<(), Full> {
        let lane = self.lanes.iter_mut().find(|lane| lane.peer == peer).ok_or(Full)?;
        lane.accounts.pop_back();
        self.tidy();
        Ok(())
    }

    fn tidy(&mut self) {
        for lane in &mut self.lanes {
            lane.accounts.retain(|account| !account.waiting.is_empty());
        }
        self.lanes.retain(|lane| !lane.accounts.is_empty());
    }
}

impl Lane {
    fn len(&self) -> usize {
        self.accounts.iter().map(|account| account.waiting.len()).sum()
    }

    fn account(&self, mark: [u8; 32]) -> Option<&Account> {
        self.accounts.iter().find(|account| account.mark == mark)
    }
}

#[cfg(test)]
mod tests;
