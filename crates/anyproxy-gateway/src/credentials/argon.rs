//! Argon2id (RFC 9106), rationed: it costs memory and time by design.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::{sync::OnceCell, time::Instant};
use zeroize::Zeroizing;

use super::{
    Purpose,
    memory::Verdict,
    throttle::Attempt,
    turns::{PasswordChecks, Turns, remember},
};
use crate::ingress::Denied;

/// Right passwords that are known again.
const MAX_KNOWN: usize = 4096;

/// What stands for a password in memory: its keyed hash.
type Mark = [u8; 32];

#[derive(Debug)]
pub(super) struct Passwords {
    key: Zeroizing<[u8; 32]>,
    state: Arc<Mutex<State>>,
    turns: Arc<Turns>,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<Mark, Instant>,
    /// Checks under way: a second one for the same password joins the first.
    flights: HashMap<Mark, Flight>,
}

#[derive(Debug, Default)]
struct Flight {
    verdict: Arc<OnceCell<Verdict>>,
    waiting: usize,
}

/// One password to be checked.
struct Question<'a> {
    hash: &'a str,
    password: &'a [u8],
    mark: Mark,
    attempt: Attempt,
    /// The same with any hash: who got in before is known with a new password, too.
    home: Attempt,
}

impl Passwords {
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut())?;
        Ok(Self { key, state: Arc::default(), turns: Arc::new(Turns::new()) })
    }

    pub(super) fn checks(&self) -> PasswordChecks {
        self.turns.checks()
    }

    pub(super) async fn check(
        &self,
        hash: &str,
        account: Purpose<'_>,
        password: &[u8],
        peer: IpAddr,
    ) -> Result<(), Denied> {
        let mark = self.mark(hash, account, password);
        let home = Attempt::new(peer, self.mark("", account, &[]));
        let verdict = match self.join(mark) {
            None => Verdict::Right,
            Some(landing) => {
                let attempt = Attempt::new(peer, self.mark(hash, account, &[]));
                let question = Question { hash, password, mark, attempt, home };
                *landing.verdict.get_or_try_init(|| self.run(question)).await?
            }
        };
        match verdict {
            Verdict::Right => {
                self.turns.trust(home);
                Ok(())
            }
            Verdict::Wrong => Err(Denied::Wrong),
        }
    }

    /// A place in the check of `mark`; `None` when it is known to be right.
    fn join(&self, mark: Mark) -> Option<Landing<'_>> {
        let mut state = self.state();
        if let Some(seen) = state.known.get_mut(&mark) {
            *seen = Instant::now();
            return None;
        }
        // Joining a check that is under way costs nothing and is no further attempt.
        let flight = state.flights.entry(mark).or_default();
        flight.waiting = flight.waiting.saturating_add(1);
        let verdict = Arc::clone(&flight.verdict);
        Some(Landing { passwords: self, mark, verdict })
    }

    async fn run(&self, question: Question<'_>) -> Result<Verdict, Denied> {
        let Question { hash, password, mark, attempt, home } = question;
        let mut turn = self.turns.turn(attempt, home).await?;
        let hash = hash.to_owned();
        let password = Zeroizing::new(password.to_vec());
        let (state, turns) = (Arc::clone(&self.state), Arc::clone(&self.turns));
        // It goes on, and is remembered, even if nobody waits for the result any more.
        let hashing = tokio::task::spawn_blocking(move || {
            let verdict = turn.verify(&hash, &password);
            turns.settle(verdict, attempt);
            if verdict == Verdict::Right {
                remember(&mut lock(&state).known, mark, Instant::now(), MAX_KNOWN);
            }
            drop(turn);
            verdict
        });
        Ok(hashing.await.unwrap_or(Verdict::Wrong))
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
        self.turns.memories()
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
