//! The tunnels of one session: usually one; over the WebSocket a few beside it, so that what waits for a lost
//! segment holds up only a part of the session (head-of-line blocking, RFC 9000 section 1); and one more while the
//! session moves from one transport to another.
//!
//! ```text
//! new streams ─▶ of the main lane that joined last and those beside it the one with the fewest streams; those that
//!                are suspected to be dead are left out
//! older lanes    keep the streams that they have, and are closed when they have none; where there is no place
//!                for one more, the oldest that is suspected to be dead gives way to it
//! unused         what is empty beside the main lane is closed when the session opened nothing for a minute
//! no lane left   the session is over, and nothing joins it any more
//! ```
//!
//! The gateway closes an older lane and not the client, because it alone opens streams: it knows
//! that none is on its way.

mod lane;
mod state;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyproxy_wire::codes::CloseCode;
use tokio::{sync::watch, time::Instant};

pub(crate) use lane::{BesidePlace, InUse, Lane, Role};
use state::{End, Standing, State};

/// How often it is looked whether an older lane has any stream left. The last reset of one that
/// ends has that long to leave.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a session opens nothing before what is unused beside its main lane is closed.
const UNUSED: Duration = Duration::from_secs(60);

/// How often a lane beside the main one is asked for a sign of life, and for how long after the session opened something.
const ASK_EVERY: Duration = Duration::from_secs(1);
const IN_USE: Duration = Duration::from_secs(5);

/// Why a lane is closed that is not needed.
const SPENT: &str = "the session needs it no longer";

/// Why a tunnel does not join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotJoined {
    /// The session is over.
    Over,
    /// It has as many as it may have.
    Full,
    /// It has moved away from the tunnel that this one was to be beside.
    Late,
}

/// All tunnels of a session.
#[derive(Debug)]
pub(super) struct Lanes {
    state: Mutex<State>,
    /// Counts what came and went.
    changes: watch::Sender<u64>,
}

impl Lanes {
    pub(super) fn new(first: Arc<Lane>) -> Self {
        let state = Mutex::new(State::new(first));
        Self { state, changes: watch::Sender::new(0) }
    }

    /// The main lane for new streams.
    pub(super) fn current(&self) -> Option<Arc<Lane>> {
        self.state().current().cloned()
    }

    /// That one, or if it does not answer the last that does; it does not become the current one, since it may be
    /// about to be closed.
    pub(super) fn best(&self) -> Option<Arc<Lane>> {
        self.state().best().cloned()
    }

    /// The lane for a new stream, which stays open for it; none of those in `tried`.
    pub(super) fn enter(&self, tried: &[u64]) -> Option<InUse> {
        let mut state = self.state();
        let entered = state.least_used(tried).map(InUse::new)?;
        state.opened_at = Instant::now();
        Some(entered)
    }

    /// Whether all that would take a new stream are in `tried`.
    pub(super) fn are_tried(&self, tried: &[u64]) -> bool {
        self.state().least_used(tried).is_none()
    }

    /// Whether another than `number` would take a new stream.
    pub(super) fn has_other(&self, number: u64) -> bool {
        self.state().has_other(number)
    }

    /// Whether what is new may go to `lane`.
    pub(super) fn uses(&self, lane: &Lane) -> bool {
        self.state().standing(lane) != Standing::Left
    }

    /// All that are there, and bytes sent and received on those that are gone.
    pub(super) fn with_gone(&self) -> (Vec<Arc<Lane>>, (u64, u64)) {
        let state = self.state();
        (state.lanes.clone(), state.gone)
    }

    /// How many main ones came after the first.
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
    pub(super) fn expect(&self, role: Role) -> Result<u64, NotJoined> {
        let (number, dark) = {
            let mut state = self.state();
            if state.end == End::Over {
                return Err(NotJoined::Over);
            }
            if state.is_late(role) {
                return Err(NotJoined::Late);
            }
            let dark = if state.is_full(role) {
                Some(state.take_dark(role).ok_or(NotJoined::Full)?)
            } else {
                None
            };
            state.coming.push(role);
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
    pub(super) fn give_up(&self, role: Role) {
        self.state().came(role);
    }

    /// The one that was expected is there: new streams go to it, or some of them. A main one has the others asked for
    /// a sign of life, or one that is dark would be found out only with its next ping.
    pub(super) fn join(&self, lane: Arc<Lane>) -> Result<(), NotJoined> {
        let role = lane.role;
        let older = {
            let mut state = self.state();
            state.came(role);
            if state.end == End::Over {
                return Err(NotJoined::Over);
            }
            if state.is_late(role) {
                return Err(NotJoined::Late);
            }
            let older = state.lanes.clone();
            state.lanes.push(lane);
            if role == Role::Main {
                state.moves = state.moves.saturating_add(1);
            }
            older
        };
        if role == Role::Main {
            older.iter().for_each(|lane| lane.tunnel.ping());
        }
        self.changed();
        Ok(())
    }

    /// Takes one out; without any the session is over.
    pub(super) fn leave(&self, number: u64) {
        {
            let mut state = self.state();
            state.remove(number);
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

    /// Waits until `lane` is not for new streams any more and has none left; says why. Cancel safe.
    pub(super) async fn spent(&self, lane: &Lane) -> &'static str {
        let mut changes = self.changes.subscribe();
        let mut unused = 0;
        loop {
            let standing = self.state().standing(lane);
            match standing {
                Standing::Current => drop(changes.changed().await),
                Standing::Beside => tokio::select! {
                    biased;
                    _ = changes.changed() => {}
                    () = self.rests(lane) => {}
                },
                Standing::Left => {
                    unused = if lane.is_unused() { unused + 1 } else { 0 };
                    if unused > 2 && self.shut(lane) {
                        return SPENT;
                    }
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
            if standing != Standing::Left {
                unused = 0;
            }
        }
    }

    /// Waits until the session opened nothing for [`UNUSED`] and `lane` has nothing left; it is retired then. Cancel
    /// safe. While something is opened now and then, it is asked for a sign of life each second: one that is dark would
    /// be found out too late.
    async fn rests(&self, lane: &Lane) {
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            let state = self.state();
            let quiet = state.opened_at.max(lane.since).elapsed();
            if quiet >= UNUSED && lane.is_unused() {
                // Under the lock, or a stream could be on its way.
                return lane.retire();
            }
            drop(state);
            if quiet < IN_USE {
                lane.tunnel.ping();
            }
        }
    }

    /// Lets nothing more onto a lane that was left and is empty. Under the lock: it may be needed again, where a later
    /// one is lost.
    fn shut(&self, lane: &Lane) -> bool {
        let state = self.state();
        let is_over = state.standing(lane) == Standing::Left && lane.is_unused();
        if is_over {
            lane.retire();
        }
        is_over
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The state stays whole whatever panics, so poisoning says nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
