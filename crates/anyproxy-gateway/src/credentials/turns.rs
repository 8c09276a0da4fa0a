//! Turns at hashing: at most two, each with its memory.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    memory::{Memory, Verdict},
    queue::{Full, Queue, Standing, Waiter},
    throttle::{Attempt, Throttle, Turn as May},
};
use crate::ingress::Denied;

/// Hashes under way at once: each holds tens of megabytes.
const AT_ONCE: usize = 2;

/// Pairs of account and address that are remembered because they got in.
const MAX_TRUSTED: usize = 4096;

/// How passwords that people chose were checked since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordChecks {
    /// How often Argon2id ran.
    pub runs: u64,
    /// The most that ran at once.
    pub most_at_once: usize,
}

#[derive(Debug)]
pub(super) struct Turns {
    state: Mutex<State>,
    /// One of those who wait has to look when the next may have a turn.
    look: Notify,
    runs: AtomicU64,
    most: AtomicUsize,
}

#[derive(Debug)]
struct State {
    /// Of turns that nobody has.
    memories: Vec<Memory>,
    queue: Queue,
    throttle: Throttle,
    trusted: HashMap<Attempt, Instant>,
    entered: u64,
}

impl State {
    /// Gives turns to who may have them. When somebody waits only for the time to pass, tells until
    /// when.
    fn hand_out(&mut self, now: Instant) -> Option<Instant> {
        while let Some(memory) = self.memories.pop() {
            let throttle = &self.throttle;
            let Some((waiter, _)) = self.queue.next(|peer| throttle.free_at(peer, now) <= now)
            else {
                self.memories.push(memory);
                return self.queue.peers().map(|peer| throttle.free_at(peer, now)).min();
            };
            // Who got in before does not wait for the pace, but pays like all others.
            self.throttle.pay(waiter.attempt.peer, now);
            if let Err(memory) = waiter.turn.send(memory) {
                self.memories.push(memory);
            }
        }
        None
    }
}

impl Turns {
    pub(super) fn new() -> Self {
        let state = State {
            memories: std::iter::repeat_with(Memory::default).take(AT_ONCE).collect(),
            queue: Queue::default(),
            throttle: Throttle::default(),
            trusted: HashMap::new(),
            entered: 0,
        };
        Self {
            state: Mutex::new(state),
            look: Notify::new(),
            runs: AtomicU64::new(0),
            most: AtomicUsize::new(0),
        }
    }

    pub(super) fn checks(&self) -> PasswordChecks {
        PasswordChecks {
            runs: self.runs.load(Ordering::Relaxed),
            most_at_once: self.most.load(Ordering::Relaxed),
        }
    }

    /// Waits for a turn. `home` is the attempt whatever the account's hash is.
    ///
    /// It waits as long as the caller does. Cancel safe: the place and the turn are given back.
    pub(super) async fn turn(
        self: &Arc<Self>,
        attempt: Attempt,
        home: Attempt,
    ) -> Result<Turn, Denied> {
        let mut place = self.enter(attempt, home)?;
        loop {
            let later = self.state().hand_out(Instant::now());
            tokio::select! {
                biased;
                memory = &mut place.turn => {
                    let memory = memory.map_err(|_| Denied::Busy)?;
                    place.had = Had::Turn;
                    return Ok(Turn::new(Arc::clone(self), memory));
                }
                () = self.look.notified() => {}
                () = until(later) => {}
            }
        }
    }

    fn enter(self: &Arc<Self>, attempt: Attempt, home: Attempt) -> Result<Place<'_>, Denied> {
        let mut state = self.state();
        if state.throttle.begin(attempt, Instant::now()) == May::Later {
            return Err(Denied::Busy);
        }
        let standing = match state.trusted.contains_key(&home) {
            true => Standing::Known,
            false => Standing::Stranger,
        };
        let number = state.entered;
        state.entered = number.wrapping_add(1);
        let (sender, turn) = oneshot::channel();
        let waiter = Waiter { number, attempt, turn: sender };
        if let Err(Full) = state.queue.enter(waiter, standing) {
            state.throttle.given_up(attempt);
            return Err(Denied::Busy);
        }
        Ok(Place { turns: self, number, attempt, turn, had: Had::Nothing })
    }

    /// Notes how a check ended.
    pub(super) fn settle(&self, verdict: Verdict, attempt: Attempt) {
        let mut state = self.state();
        match verdict {
            Verdict::Wrong => {}
            Verdict::Right => {
                state.throttle.succeeded(attempt);
                state.throttle.pay_back(attempt.peer);
            }
        }
    }

    /// Notes that an account got in from an address.
    pub(super) fn trust(&self, home: Attempt) {
        remember(&mut self.state().trusted, home, Instant::now(), MAX_TRUSTED);
    }

    fn hand_out(&self) {
        let later = self.state().hand_out(Instant::now());
        if later.is_some() {
            self.look.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memory of turns that nobody has: where it is and how much.
    #[cfg(test)]
    pub(super) fn memories(&self) -> Vec<(usize, usize)> {
        self.state().memories.iter().map(Memory::place).collect()
    }
}

/// Keeps `key` as seen at `now`; with `most` others, the one that was not seen longest makes room.
pub(super) fn remember<K: Eq + Hash + Copy>(
    seen: &mut HashMap<K, Instant>,
    key: K,
    now: Instant,
    most: usize,
) {
    if seen.len() >= most && !seen.contains_key(&key) {
        let oldest = seen.iter().min_by_key(|(_, seen)| **seen).map(|(key, _)| *key);
        oldest.and_then(|key| seen.remove(&key));
    }
    seen.insert(key, now);
}

async fn until(later: Option<Instant>) {
    match later {
        Some(later) => tokio::time::sleep_until(later).await,
        None => std::future::pending().await,
    }
}

/// A place among those who wait.
struct Place<'a> {
    turns: &'a Turns,
    number: u64,
    attempt: Attempt,
    turn: oneshot::Receiver<Memory>,
    had: Had,
}

enum Had {
    Nothing,
    Turn,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        match self.had {
            Had::Turn => {}
            Had::Nothing => {
                let mut state = self.turns.state();
                state.queue.leave(self.number);
                state.throttle.given_up(self.attempt);
                // A turn that came while nobody waited for it any more.
                if let Ok(memory) = self.turn.try_recv() {
                    state.throttle.pay_back(self.attempt.peer);
                    state.memories.push(memory);
                }
            }
        }
        // This may have been the one who looked when the next may have a turn.
        self.turns.hand_out();
    }
}

/// The right to hash one password. Dropping it is the next one's turn.
pub(super) struct Turn {
    turns: Arc<Turns>,
    memory: Memory,
}

impl Turn {
    fn new(turns: Arc<Turns>, memory: Memory) -> Self {
        let now = AT_ONCE.saturating_sub(turns.state().memories.len());
        turns.most.fetch_max(now, Ordering::Relaxed);
        turns.runs.fetch_add(1, Ordering::Relaxed);
        Self { turns, memory }
    }

    pub(super) fn verify(&mut self, hash: &str, password: &[u8]) -> Verdict {
        self.memory.verify(hash, password)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.state().memories.push(std::mem::take(&mut self.memory));
        self.turns.hand_out();
    }
}
