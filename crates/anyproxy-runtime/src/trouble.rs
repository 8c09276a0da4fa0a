//! Saying the same thing seldom.
//!
//! What goes wrong under load goes wrong thousands of times a second, and a log that says so each
//! time is one more thing that goes wrong. It is said at its first time, then once a minute with
//! how often it happened, and once when it is over.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// How often the same trouble is said.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// One kind of trouble, and when it was said last. It says nothing itself.
#[derive(Debug, Default)]
pub struct Trouble {
    /// Whether it was said and may be over, so that success costs no lock.
    pending: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Times that were not said yet.
    unsaid: u64,
    said: Option<Instant>,
}

impl Trouble {
    /// It happened. `Some`: say so now, with how often it happened since it was said last, this time
    /// included.
    pub fn happened(&self) -> Option<u64> {
        let mut state = self.state();
        state.unsaid = state.unsaid.saturating_add(1);
        if state.said.is_some_and(|said| said.elapsed() < SAY_EVERY) {
            return None;
        }
        state.said = Some(Instant::now());
        self.pending.store(true, Ordering::Relaxed);
        Some(std::mem::take(&mut state.unsaid))
    }

    /// It did not happen. `true`: say that it is over, because somebody was told that it is not.
    pub fn is_over(&self) -> bool {
        self.pending.load(Ordering::Relaxed) && self.pending.swap(false, Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_said_at_once_then_once_a_minute_and_once_when_it_is_over() {
        let trouble = Trouble::default();
        assert!(!trouble.is_over(), "nothing was said");
        assert_eq!(trouble.happened(), Some(1));
        for _ in 0..100 {
            assert_eq!(trouble.happened(), None);
        }
        advance(SAY_EVERY).await;
        assert_eq!(trouble.happened(), Some(101));
        assert!(trouble.is_over());
        assert!(!trouble.is_over(), "that was said");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_and_goes_is_said_twice_a_minute() {
        let trouble = Trouble::default();
        let mut said = 0;
        for _ in 0..600 {
            said += usize::from(trouble.happened().is_some());
            said += usize::from(trouble.is_over());
            advance(Duration::from_millis(100)).await;
        }
        assert_eq!(said, 2);
        assert_eq!(trouble.happened(), Some(600), "the rest is not lost");
    }
}
