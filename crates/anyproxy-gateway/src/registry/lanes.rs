//! The tunnels of one session: usually one, and two while it moves from one transport to another.
//!
//! ```text
//! new streams ─▶ the lane that joined last, of those that are open; if it is suspected to be dead, the last
//!                that is not
//! older lanes    keep the streams that they have, and are closed when they have none; where there is no place
//!                for one more, the oldest that is suspected to be dead gives way to it
//! no lane left   the session is over, and nothing joins it any more
//! ```
//!
//! The gateway closes an older lane and not the client, because it alone opens streams: it knows
//! that none is on its way.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyproxy_transport::Tunnel;
use anyproxy_wire::codes::CloseCode;
use tokio::{sync::watch, time::Instant};

use super::pulse::{LEAST_OF_FLOWS, Pulse};

/// Tunnels of one session at once: the old one, the new one, and those whose streams outlast two moves.
const MAX_LANES: usize = 4;

/// How often it is looked whether an older lane has any stream left. The last reset of one that
/// ends has that long to leave.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One of a session's tunnels.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Unique among all sessions of this process, and ascending.
    pub(crate) number: u64,
    pub(crate) tunnel: Tunnel,
    pub(super) pulse: Pulse,
    /// When it came up.
    pub(super) since: Instant,
    /// Streams, and those that are about to be opened.
    uses: AtomicUsize,
}

/// One use of a lane; it stays open until this is dropped.
#[derive(Debug)]
pub(crate) struct InUse(Arc<Lane>);

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.uses.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lane {
    pub(super) fn new(number: u64, tunnel: Tunnel) -> Arc<Self> {
        let (pulse, since) = (Pulse::default(), Instant::now());
        Arc::new(Self { number, tunnel, pulse, since, uses: AtomicUsize::new(0) })
    }

    /// Waits until nothing at all has come over it for long enough after now that it is taken for
    /// silent; for ever if something comes. Cancel safe.
    pub(crate) async fn silent(&self) {
        self.pulse.silent(&self.tunnel).await;
    }

    /// Whether nothing at all comes over it for a while from now, within which something just sent would
    /// have been acknowledged. Looks only once, at the end. Cancel safe.
    pub(crate) async fn stays_silent(&self) -> bool {
        self.tunnel.is_closed() || self.pulse.stays_silent(&self.tunnel, LEAST_OF_FLOWS).await
    }

    /// Waits until something has come over it. Cancel safe.
    pub(crate) async fn heard(&self) {
        self.pulse.heard(&self.tunnel).await;
    }

    fn is_unused(&self) -> bool {
        self.uses.load(Ordering::Relaxed) == 0 && self.tunnel.streams() == 0
    }
}

/// Why a tunnel does not join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotJoined {
    /// The session is over.
    Over,
    /// It has as many as it may have.
    Full,
}

/// All tunnels of a session.
#[derive(Debug)]
pub(super) struct Lanes {
    state: Mutex<State>,
    /// Counts what came and went.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// In the order in which they joined.
    lanes: Vec<Arc<Lane>>,
    /// Welcomed, and not yet joined.
    coming: usize,
    /// Tunnels that were ever expected: the next one's number within the session.
    next: u64,
    /// Those that came after the first.
    moves: u64,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// Nothing joins any more.
    Over,
}

impl Lanes {
    pub(super) fn new(first: Arc<Lane>) -> Self {
        let state = State { lanes: vec![first], coming: 0, next: 1, moves: 0, end: End::Open };
        Self { state: Mutex::new(state), changes: watch::Sender::new(0) }
    }

    /// The lane for new streams.
    pub(super) fn current(&self) -> Option<Arc<Lane>> {
        self.state().current().cloned()
    }

    /// The lane that a new stream would take. An older one that answers goes before the current one if that does not;
    /// it does not become the current one, since it may be about to be closed.
    pub(super) fn best(&self) -> Option<Arc<Lane>> {
        self.state().best().cloned()
    }

    /// The lane for a new stream, which stays open for it.
    pub(super) fn enter(&self) -> Option<InUse> {
        let state = self.state();
        let lane = state.best()?;
        lane.uses.fetch_add(1, Ordering::Relaxed);
        Some(InUse(Arc::clone(lane)))
    }

    /// How many came after the first.
    pub(super) fn moves(&self) -> u64 {
        self.state().moves
    }

    /// What is live on all of them.
    pub(super) fn streams(&self) -> usize {
        self.state().lanes.iter().map(|lane| lane.tunnel.streams()).sum()
    }

    /// All that are there, in the order in which they joined.
    pub(super) fn all(&self) -> Vec<Arc<Lane>> {
        self.state().lanes.clone()
    }

    /// Expects one more; gives its number within the session. To be followed by
    /// [`join`](Self::join) or [`give_up`](Self::give_up). Without a place for it, an older lane that is suspected
    /// to be dead gives way: it would hold its place until it counts as dead.
    pub(super) fn expect(&self) -> Result<u64, NotJoined> {
        let (number, dark) = {
            let mut state = self.state();
            if state.end == End::Over {
                return Err(NotJoined::Over);
            }
            let full = state.lanes.len().saturating_add(state.coming) >= MAX_LANES;
            let dark = if full { Some(state.take_dark().ok_or(NotJoined::Full)?) } else { None };
            state.coming = state.coming.saturating_add(1);
            let number = state.next;
            state.next = number.saturating_add(1);
            (number, dark)
        };
        if let Some(lane) = dark {
            lane.tunnel
                .close(CloseCode::OverLimit, "it was silent, and a later tunnel took its place");
            self.changed();
        }
        Ok(number)
    }

    /// The one that was expected does not come.
    pub(super) fn give_up(&self) {
        let mut state = self.state();
        state.coming = state.coming.saturating_sub(1);
    }

    /// The one that was expected is there: new streams go to it. The others are asked for a sign of life,
    /// or one that is dark would be found out only with its next ping.
    pub(super) fn join(&self, lane: Arc<Lane>) -> Result<(), NotJoined> {
        let older = {
            let mut state = self.state();
            state.coming = state.coming.saturating_sub(1);
            if state.end == End::Over {
                return Err(NotJoined::Over);
            }
            let older = state.lanes.clone();
            state.lanes.push(lane);
            state.moves = state.moves.saturating_add(1);
            older
        };
        older.iter().for_each(|lane| lane.tunnel.ping());
        self.changed();
        Ok(())
    }

    /// Takes one out; without any the session is over.
    pub(super) fn leave(&self, number: u64) {
        {
            let mut state = self.state();
            state.lanes.retain(|lane| lane.number != number);
            if state.lanes.is_empty() {
                state.end = End::Over;
            }
        }
        self.changed();
    }

    /// Closes all, for good.
    pub(super) fn close(&self, code: CloseCode, reason: &str) {
        let lanes = {
            let mut state = self.state();
            state.end = End::Over;
            state.lanes.clone()
        };
        for lane in lanes {
            lane.tunnel.close(code, reason);
        }
    }

    /// Waits until there is none. Cancel safe.
    pub(super) async fn gone(&self) {
        let mut changes = self.changes.subscribe();
        while !self.state().lanes.is_empty() {
            // The sender lives as long as this borrow.
            let _ = changes.changed().await;
        }
    }

    /// Waits until `lane` is not for new streams any more and has none left. Cancel safe.
    pub(super) async fn spent(&self, lane: &Lane) {
        let mut changes = self.changes.subscribe();
        let is_current = || self.current().is_some_and(|current| current.number == lane.number);
        let mut unused = 0;
        while unused < 2 {
            if is_current() {
                unused = 0;
                let _ = changes.changed().await;
                continue;
            }
            unused = if lane.is_unused() { unused + 1 } else { 0 };
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The state stays whole whatever panics, so poisoning says nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes out the oldest lane that is suspected and not the current one.
    fn take_dark(&mut self) -> Option<Arc<Lane>> {
        let current = self.current()?.number;
        let is_dark = |lane: &Arc<Lane>| lane.number != current && lane.tunnel.is_suspected();
        let at = self.lanes.iter().position(is_dark)?;
        Some(self.lanes.remove(at))
    }

    /// The only one may be closed already, which whoever uses it sees: to ask takes the lock of the
    /// tunnel, and this is asked for several times for each stream.
    fn current(&self) -> Option<&Arc<Lane>> {
        if let [only] = self.lanes.as_slice() {
            return Some(only);
        }
        self.lanes.iter().rev().find(|lane| !lane.tunnel.is_closed())
    }

    fn best(&self) -> Option<&Arc<Lane>> {
        let current = self.current()?;
        if !current.tunnel.is_suspected() {
            return Some(current);
        }
        let answers = |lane: &&Arc<Lane>| !lane.tunnel.is_suspected() && !lane.tunnel.is_closed();
        Some(self.lanes.iter().rev().find(answers).unwrap_or(current))
    }
}

impl InUse {
    pub(super) fn lane(&self) -> &Arc<Lane> {
        &self.0
    }
}
