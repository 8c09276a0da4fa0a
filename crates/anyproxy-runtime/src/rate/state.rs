//! Who waits, and whose turn it is.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    task::Waker,
};

use tokio::time::Instant;

use super::{bucket::Bucket, line::Slot};

#[derive(Debug)]
pub(super) struct State {
    total: Bucket,
    groups: HashMap<u64, Group>,
    /// Groups in which somebody waits, in the order of their turns.
    ring: VecDeque<u64>,
    next: u64,
}

#[derive(Debug)]
struct Group {
    own: Bucket,
    /// Who waits, in the order of their turns.
    queue: BTreeMap<u64, Waiter>,
    /// Bytes that the group may still be granted in its turn.
    deficit: u64,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Idle,
    InRing,
}

#[derive(Debug)]
struct Waiter {
    slot: Arc<Slot>,
    want: u64,
    /// Datagrams do not wait.
    waker: Option<Waker>,
}

/// Tokens that somebody wants.
pub(super) struct Request<'a> {
    pub(super) group: u64,
    pub(super) slot: &'a Arc<Slot>,
    pub(super) want: u64,
    pub(super) waker: Option<&'a Waker>,
}

/// What became of a [`Request`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Granted,
    /// It waits, as the first of its group: the next moment to serve may be another one now.
    First,
    Queued,
}

/// How a group's turn ended.
enum Turn {
    /// Nobody waits any more.
    Empty,
    /// It had its share.
    Over,
    /// Its own bucket is empty until then.
    Group(Instant),
    /// The total is used up until then; the turn goes on.
    Total(Instant),
}

impl State {
    pub(super) fn new(total: Option<u64>, now: Instant) -> Self {
        let total = Bucket::new(total, now);
        Self { total, groups: HashMap::new(), ring: VecDeque::new(), next: 1 }
    }

    pub(super) fn add_group(&mut self, rate: Option<u64>, now: Instant) -> u64 {
        let id = self.number();
        let own = Bucket::new(rate, now);
        let group = Group { own, queue: BTreeMap::new(), deficit: 0, place: Place::Idle };
        self.groups.insert(id, group);
        id
    }

    pub(super) fn remove_group(&mut self, id: u64) {
        self.groups.remove(&id);
    }

    pub(super) fn set_rate(&mut self, id: u64, rate: Option<u64>, now: Instant) {
        if let Some(group) = self.groups.get_mut(&id) {
            group.own.set_rate(rate, now);
        }
    }

    /// Grants what is asked for if nobody is before it, else queues it.
    pub(super) fn ask(&mut self, request: Request<'_>, now: Instant, millis: u64) -> Asked {
        let ticket = self.number();
        let Some(group) = self.groups.get_mut(&request.group) else { return Asked::Queued };
        let waker = request.waker.cloned();
        // Who asks for less than a turn's worth at a time would get less than the others.
        let least = group.own.quantum().min(self.total.quantum());
        let ahead = group.own.ahead().min(self.total.ahead());
        let want = request.want.max(least).max(ahead);
        if let Some(waiter) = request.slot.ticket().and_then(|held| group.queue.get_mut(&held)) {
            waiter.want = waiter.want.max(want);
            waiter.waker = waker;
            return Asked::Queued;
        }
        group.own.refill(now);
        self.total.refill(now);
        let nobody = group.queue.is_empty() && (self.ring.is_empty() || !self.total.is_limited());
        let there = want.min(group.own.available()).min(self.total.available());
        if nobody && there >= least {
            group.own.take(there);
            self.total.take(there);
            request.slot.grant(there, millis);
            return Asked::Granted;
        }
        let slot = Arc::clone(request.slot);
        slot.set_ticket(Some(ticket));
        group.queue.insert(ticket, Waiter { slot, want, waker });
        if group.place == Place::InRing {
            return Asked::Queued;
        }
        group.place = Place::InRing;
        self.ring.push_back(request.group);
        Asked::First
    }

    /// Takes back what `slot` was granted and its place in the queue.
    pub(super) fn release(&mut self, id: u64, slot: &Slot) {
        let unused = slot.revoke();
        self.total.give(unused);
        let ticket = slot.ticket();
        slot.set_ticket(None);
        if let Some(group) = self.groups.get_mut(&id) {
            group.own.give(unused);
            if let Some(ticket) = ticket {
                group.queue.remove(&ticket);
            }
        }
    }

    /// Grants what there is, and says when there is more for somebody who waits.
    pub(super) fn serve(
        &mut self,
        now: Instant,
        millis: u64,
        woken: &mut Vec<Waker>,
    ) -> Option<Instant> {
        self.total.refill(now);
        let mut next = None;
        // Groups in a row that could not be served.
        let mut passed = 0;
        while passed < self.ring.len() {
            let Some(id) = self.ring.pop_front() else { break };
            let Some(group) = self.groups.get_mut(&id) else { continue };
            group.own.refill(now);
            match group.turn(&mut self.total, &mut self.next, millis, woken) {
                Turn::Empty => group.place = Place::Idle,
                Turn::Over => {
                    passed = 0;
                    self.ring.push_back(id);
                }
                Turn::Group(at) => {
                    passed = passed.saturating_add(1);
                    next = Some(next.map_or(at, |next: Instant| next.min(at)));
                    self.ring.push_back(id);
                }
                Turn::Total(at) => {
                    self.ring.push_front(id);
                    return Some(at);
                }
            }
        }
        next
    }

    fn number(&mut self) -> u64 {
        number(&mut self.next)
    }
}

fn number(next: &mut u64) -> u64 {
    let number = *next;
    *next = number.saturating_add(1);
    number
}

impl Group {
    /// Serves its waiters in turn, until its share of the total, its bucket or the total is used up.
    fn turn(
        &mut self,
        total: &mut Bucket,
        next: &mut u64,
        millis: u64,
        woken: &mut Vec<Waker>,
    ) -> Turn {
        let quantum = self.own.quantum().min(total.quantum());
        let mut arrived = true;
        while let Some(mut first) = self.queue.first_entry() {
            let bytes = first.get().want.min(quantum).max(1);
            if self.deficit < bytes {
                if !arrived {
                    return Turn::Over;
                }
                self.deficit = self.deficit.saturating_add(total.quantum());
            }
            arrived = false;
            if self.own.available() < bytes {
                self.deficit = 0;
                return Turn::Group(self.own.when(bytes));
            }
            if total.available() < bytes {
                return Turn::Total(total.when(bytes));
            }
            self.own.take(bytes);
            total.take(bytes);
            self.deficit = self.deficit.saturating_sub(bytes);
            let waiter = first.get_mut();
            waiter.slot.grant(bytes, millis);
            waiter.want = waiter.want.saturating_sub(bytes);
            woken.extend(waiter.waker.take());
            let waiter = first.remove();
            if waiter.want == 0 {
                waiter.slot.set_ticket(None);
            } else {
                let ticket = number(next);
                waiter.slot.set_ticket(Some(ticket));
                self.queue.insert(ticket, waiter);
            }
        }
        self.deficit = 0;
        Turn::Empty
    }
}
