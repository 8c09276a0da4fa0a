//! Argon2id (RFC 9106), rationed: it costs memory and time by design.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::{
    sync::{OnceCell, Semaphore},
    time::Instant,
};
use zeroize::Zeroizing;

use super::{
    Purpose,
    memory::{Memory, Verdict},
    throttle::{Attempt, Throttle, Turn},
};
use crate::ingress::Denied;

/// Hashes under way at once: each holds tens of megabytes.
const AT_ONCE: usize = 2;

/// Checks that may wait for one of those; more are told to come back.
const MAX_WAITING: usize = 64;

/// Of those, from one address: a flood from one leaves the others their places.
const MAX_WAITING_OF_ONE: usize = 16;

/// Right passwords that are known again.
const MAX_KNOWN: usize = 4096;

/// What stands for a password in memory: its keyed hash.
type Mark = [u8; 32];

#[derive(Debug)]
pub(super) struct Passwords {
    key: Zeroizing<[u8; 32]>,
    state: Arc<Mutex<State>>,
    turns: Arc<Semaphore>,
    figures: Arc<Figures>,
}

/// How passwords that people chose were checked since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordChecks {
    /// How often Argon2id ran.
    pub runs: u64,
    /// The most that ran at once.
    pub most_at_once: usize,
}

#[derive(Debug, Default)]
struct Figures {
    runs: AtomicU64,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// One hash that runs.
struct Running(Arc<Figures>);

impl Running {
    fn new(figures: &Arc<Figures>) -> Self {
        figures.runs.fetch_add(1, Ordering::Relaxed);
        let before = figures.now.fetch_add(1, Ordering::Relaxed);
        figures.most.fetch_max(before.saturating_add(1), Ordering::Relaxed);
        Self(Arc::clone(figures))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<Mark, Instant>,
    /// Checks under way: a second one for the same password joins the first.
    flights: HashMap<Mark, Flight>,
    throttle: Throttle,
    /// Of turns that nobody has.
    memories: Vec<Memory>,
}

#[derive(Debug)]
struct Flight {
    verdict: Arc<OnceCell<Verdict>>,
    waiting: usize,
    /// Who began it.
    attempt: Attempt,
}

impl State {
    /// Whether there is no place for one more check of `attempt`.
    fn is_full(&self, attempt: Attempt) -> bool {
        let of_one =
            || self.flights.values().filter(|flight| flight.attempt.is_by(attempt)).count();
        self.flights.len() >= MAX_WAITING || of_one() >= MAX_WAITING_OF_ONE
    }
}

impl Passwords {
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut())?;
        Ok(Self {
            key,
            state: Arc::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            figures: Arc::default(),
        })
    }

    pub(super) fn checks(&self) -> PasswordChecks {
        PasswordChecks {
            runs: self.figures.runs.load(Ordering::Relaxed),
            most_at_once: self.figures.most.load(Ordering::Relaxed),
        }
    }

    pub(super) async fn check(
        &self,
        hash: &str,
        account: Purpose<'_>,
        password: &[u8],
        peer: IpAddr,
    ) -> Result<(), Denied> {
        let mark = self.mark(hash, account, password);
        let attempt = Attempt::new(peer, self.mark(hash, account, &[]));
        let Some(landing) = self.join(mark, attempt)? else { return Ok(()) };
        let verdict = *landing.verdict.get_or_init(|| self.run(hash, password)).await;
        landing.settle(verdict, attempt);
        match verdict {
            Verdict::Right => Ok(()),
            Verdict::Wrong => Err(Denied::Wrong),
        }
    }

    /// A place in the check of `mark`; `None` when it is known to be right.
    fn join(&self, mark: Mark, attempt: Attempt) -> Result<Option<Landing<'_>>, Denied> {
        let now = Instant::now();
        let mut state = self.state();
        if let Some(seen) = state.known.get_mut(&mark) {
            *seen = now;
            return Ok(None);
        }
        // Joining a check that is under way costs nothing and is no further attempt.
        if !state.flights.contains_key(&mark)
            && (state.is_full(attempt) || state.throttle.begin(attempt, now) == Turn::Later)
        {
            return Err(Denied::Busy);
        }
        let flight = state.flights.entry(mark).or_insert_with(|| Flight {
            verdict: Arc::default(),
            waiting: 0,
            attempt,
        });
        flight.waiting = flight.waiting.saturating_add(1);
        let verdict = Arc::clone(&flight.verdict);
        Ok(Some(Landing { passwords: self, mark, verdict }))
    }

    async fn run(&self, hash: &str, password: &[u8]) -> Verdict {
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else { return Verdict::Wrong };
        let running = Running::new(&self.figures);
        let hash = hash.to_owned();
        let password = Zeroizing::new(password.to_vec());
        let state = Arc::clone(&self.state);
        let hashing = tokio::task::spawn_blocking(move || {
            // The turn ends with the hash, even if nobody waits for the result any more.
            let _turn = (running, turn);
            let mut memory = lock(&state).memories.pop().unwrap_or_default();
            let verdict = memory.verify(&hash, &password);
            lock(&state).memories.push(memory);
            verdict
        });
        hashing.await.unwrap_or(Verdict::Wrong)
    }

    /// The hash is part of it: when a password is changed, the old one is not known any more.
    fn mark(&self, hash: &str, account: Purpose<'_>, password: &[u8]) -> Mark {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.as_ref()) else { return [0; 32] };
        for part in [account.kind.as_bytes(), account.name.as_bytes(), hash.as_bytes(), password] {
            mac.update(&part.len().to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The memory of turns that nobody has: where it is and how much.
    #[cfg(test)]
    pub(super) fn memories(&self) -> Vec<(usize, usize)> {
        self.state().memories.iter().map(Memory::place).collect()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One caller's share of a check; the last one to leave takes the flight away.
struct Landing<'a> {
    passwords: &'a Passwords,
    mark: Mark,
    verdict: Arc<OnceCell<Verdict>>,
}

impl Landing<'_> {
    fn settle(&self, verdict: Verdict, attempt: Attempt) {
        let now = Instant::now();
        let mut state = self.passwords.state();
        match verdict {
            Verdict::Wrong => {}
            Verdict::Right => {
                state.throttle.succeeded(attempt);
                if state.known.len() >= MAX_KNOWN {
                    let oldest = state.known.iter().min_by_key(|(_, seen)| **seen);
                    if let Some(mark) = oldest.map(|(mark, _)| *mark) {
                        state.known.remove(&mark);
                    }
                }
                state.known.insert(self.mark, now);
            }
        }
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let mut state = self.passwords.state();
        let Some(flight) = state.flights.get_mut(&self.mark) else { return };
        flight.waiting = flight.waiting.saturating_sub(1);
        if flight.waiting == 0 {
            state.flights.remove(&self.mark);
        }
    }
}
