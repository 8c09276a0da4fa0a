//! Tunnel handshakes under way.
//!
//! ```text
//! address not proven ─┬─ room, and few like it ──▶ a place
//!                     └─ else ───────────────────▶ prove it first (Retry); nothing is kept
//! address proven ─────┬─ room ───────────────────▶ a place
//!                     ├─ its address is full ────▶ the place of that address's oldest
//!                     └─ all is full ────────────▶ the place of the oldest
//! ```
//!
//! The oldest gives way to the newest: strangers that connect and say nothing lose their places, while
//! a client, whose handshake takes a few round trips, keeps its own. Turning the newest away would let
//! a thousand silent connections keep every client out.
//!
//! Only who has proven its address takes another's place, so a flood under forged addresses pushes
//! nobody out; and it takes places of its own address first, so one host cannot push others out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyproxy_runtime::Trouble;
use tokio::sync::Notify;

use crate::{config::Limits, ingress::counted};

#[derive(Debug)]
pub(crate) struct Handshakes {
    bounds: Bounds,
    state: Mutex<State>,
    crowd: Trouble,
    forgery: Trouble,
}

/// How many there may be.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    all: usize,
    of_one_address: usize,
    unproven: usize,
}

/// Where a handshake comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An address that may be somebody else's.
    Unproven(IpAddr),
    /// An address that answers.
    Proven(IpAddr),
    /// A proxy through which many clients come.
    Shared,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// The oldest first.
    live: BTreeMap<u64, Live>,
    /// Those of each address that is counted, the oldest first.
    by_address: HashMap<IpAddr, BTreeSet<u64>>,
    unproven: usize,
}

#[derive(Debug)]
struct Live {
    origin: Origin,
    given_up: Arc<Notify>,
}

/// A handshake's place; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Place {
    handshakes: Arc<Handshakes>,
    number: u64,
    given_up: Arc<Notify>,
}

impl Handshakes {
    /// With the gateway's bounds; there is always room for one.
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        let bounds = Bounds {
            all: limits.max_handshakes.max(1),
            of_one_address: limits.max_handshakes_per_address.max(1),
            unproven: limits.max_unproven,
        };
        Arc::new(Self {
            bounds,
            state: Mutex::default(),
            crowd: Trouble::default(),
            forgery: Trouble::default(),
        })
    }

    /// Takes a place, if need be another one's. `None`: the peer has to prove its address first.
    pub(crate) fn begin(self: &Arc<Self>, origin: Origin) -> Option<Place> {
        let mut state = self.state();
        match self.obstacle(&state, origin) {
            None => {}
            Some(_) if matches!(origin, Origin::Unproven(_)) => {
                drop(state);
                self.tell_of_forgery(origin);
                return None;
            }
            Some(oldest) => {
                if let Some(oldest) = oldest {
                    state.give_up(oldest);
                }
                self.tell_of_crowd(origin);
            }
        }
        Some(self.enter(&mut state, origin))
    }

    /// What stands against one more, and the place that would make room for it, if one would.
    fn obstacle(&self, state: &State, origin: Origin) -> Option<Option<u64>> {
        let of_address = origin.counted().and_then(|address| state.by_address.get(&address));
        if let Some(own) = of_address
            && own.len() >= self.bounds.of_one_address
        {
            return Some(own.first().copied());
        }
        if state.live.len() >= self.bounds.all {
            return Some(state.live.first_key_value().map(|(number, _)| *number));
        }
        let forged = matches!(origin, Origin::Unproven(_));
        (forged && state.unproven >= self.bounds.unproven).then_some(None)
    }

    fn enter(self: &Arc<Self>, state: &mut State, origin: Origin) -> Place {
        let number = state.next;
        state.next = number.wrapping_add(1);
        let given_up = Arc::new(Notify::new());
        state.live.insert(number, Live { origin, given_up: Arc::clone(&given_up) });
        if let Some(address) = origin.counted() {
            state.by_address.entry(address).or_default().insert(number);
        }
        if matches!(origin, Origin::Unproven(_)) {
            state.unproven = state.unproven.saturating_add(1);
        }
        Place { handshakes: Arc::clone(self), number, given_up }
    }

    fn tell_of_crowd(&self, origin: Origin) {
        if let Some(times) = self.crowd.happened() {
            tracing::warn!(times, newest = ?origin, max_handshakes = self.bounds.all,
                max_handshakes_per_address = self.bounds.of_one_address,
                "many clients or strangers connect at once; the oldest unfinished handshakes give way");
        }
    }

    fn tell_of_forgery(&self, origin: Origin) {
        if let Some(times) = self.forgery.happened() {
            tracing::info!(times, newest = ?origin, max_unproven = self.bounds.unproven,
                "many QUIC handshakes at once; further peers prove their addresses first");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Origin {
    /// The address by which it is counted, if any.
    fn counted(self) -> Option<IpAddr> {
        match self {
            Self::Unproven(ip) | Self::Proven(ip) => counted(ip),
            Self::Shared => None,
        }
    }
}

impl State {
    /// Takes the place of that number away.
    fn give_up(&mut self, number: u64) {
        if let Some(gone) = self.remove(number) {
            gone.given_up.notify_one();
        }
    }

    fn remove(&mut self, number: u64) -> Option<Live> {
        let gone = self.live.remove(&number)?;
        if let Some(address) = gone.origin.counted()
            && let Some(own) = self.by_address.get_mut(&address)
        {
            own.remove(&number);
            if own.is_empty() {
                self.by_address.remove(&address);
            }
        }
        if matches!(gone.origin, Origin::Unproven(_)) {
            self.unproven = self.unproven.saturating_sub(1);
        }
        Some(gone)
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
        self.handshakes.state().remove(self.number);
    }
}

#[cfg(test)]
mod tests;
