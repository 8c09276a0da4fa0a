//! Tunnel handshakes under way.
//!
//! Their number is bounded, and when it is reached the oldest gives way to the newest: strangers that
//! connect and say nothing lose their places, while a client, whose handshake takes a few round
//! trips, keeps its own. Turning the newest away would let a thousand silent connections keep
//! every client out.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Handshakes {
    at_most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// The oldest first.
    live: BTreeMap<u64, Arc<Notify>>,
}

/// A handshake's place; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Place {
    handshakes: Arc<Handshakes>,
    number: u64,
    given_up: Arc<Notify>,
}

impl Handshakes {
    /// At most `at_most` places, at least one.
    pub(crate) fn new(at_most: usize) -> Arc<Self> {
        Arc::new(Self { at_most: at_most.max(1), state: Mutex::default() })
    }

    /// Takes a place, if need be the oldest one's.
    pub(crate) fn begin(self: &Arc<Self>) -> Place {
        let mut state = self.state();
        if state.live.len() >= self.at_most
            && let Some((_, oldest)) = state.live.pop_first()
        {
            oldest.notify_one();
        }
        let number = state.next;
        state.next = number.wrapping_add(1);
        let given_up = Arc::new(Notify::new());
        state.live.insert(number, Arc::clone(&given_up));
        Place { handshakes: Arc::clone(self), number, given_up }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until the place goes to a newer handshake. Cancel safe.
    pub(crate) async fn given_up(&self) {
        self.given_up.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.handshakes.state().live.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;

    fn is_given_up(place: &Place) -> bool {
        pin!(place.given_up()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn the_oldest_gives_way_to_the_newest() {
        let handshakes = Handshakes::new(2);
        let (a, b) = (handshakes.begin(), handshakes.begin());
        assert!(!is_given_up(&a) && !is_given_up(&b));
        let c = handshakes.begin();
        assert!(is_given_up(&a) && !is_given_up(&b) && !is_given_up(&c));
        drop((a, c));
        let _d = handshakes.begin();
        assert!(!is_given_up(&b), "there was room");
    }
}
