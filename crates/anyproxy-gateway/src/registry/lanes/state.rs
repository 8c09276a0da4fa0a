//! Which lanes there are, and which of them takes what is new.

use std::sync::Arc;

use super::{Lane, Role};

/// Main tunnels of one session at once: the old one, the new one, and those whose streams outlast two moves.
const MAX_MAIN: usize = 4;

/// Tunnels beside them at once, old ones too.
const MAX_BESIDE: usize = 8;

#[derive(Debug)]
pub(super) struct State {
    /// In the order in which they joined.
    pub(super) lanes: Vec<Arc<Lane>>,
    /// Welcomed, and not yet joined.
    pub(super) coming: Vec<Role>,
    /// Tunnels that were ever expected: the next one's number within the session.
    pub(super) next: u64,
    /// Main ones that came after the first.
    pub(super) moves: u64,
    pub(super) end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Open,
    /// Nothing joins any more.
    Over,
}

/// What a lane is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The lane for new streams, maybe with others beside it.
    Current,
    /// It takes a part of the new streams.
    Beside,
    /// It takes no new streams any more.
    Left,
}

impl State {
    pub(super) fn new(first: Arc<Lane>) -> Self {
        Self { lanes: vec![first], coming: Vec::new(), next: 1, moves: 0, end: End::Open }
    }

    /// Takes out the oldest lane of its role that is suspected and not the current one.
    pub(super) fn take_dark(&mut self, role: Role) -> Option<Arc<Lane>> {
        let current = self.current()?.number;
        let is_dark = |lane: &Arc<Lane>| {
            lane.role == role && lane.number != current && lane.tunnel.is_suspected()
        };
        let at = self.lanes.iter().position(is_dark)?;
        Some(self.lanes.remove(at))
    }

    pub(super) fn is_full(&self, role: Role) -> bool {
        let live = self.lanes.iter().filter(|lane| lane.role == role).count();
        let coming = self.coming.iter().filter(|coming| **coming == role).count();
        let most = match role {
            Role::Main => MAX_MAIN,
            Role::Beside => MAX_BESIDE,
        };
        live.saturating_add(coming) >= most
    }

    /// One that was expected has joined, or does not come.
    pub(super) fn came(&mut self, role: Role) {
        if let Some(at) = self.coming.iter().position(|coming| *coming == role) {
            self.coming.swap_remove(at);
        }
    }

    /// The last main lane that is open and what came after it; without one, all.
    fn serving(&self) -> &[Arc<Lane>] {
        let open = |lane: &Arc<Lane>| lane.role == Role::Main && !lane.tunnel.is_closed();
        let from = self.lanes.iter().rposition(open).unwrap_or(0);
        self.lanes.get(from..).unwrap_or_default()
    }

    /// The only one may be closed already, which whoever uses it sees: to ask takes the lock of the
    /// tunnel, and this is asked for several times for each stream.
    pub(super) fn current(&self) -> Option<&Arc<Lane>> {
        if let [only] = self.lanes.as_slice() {
            return Some(only);
        }
        let serving = self.serving();
        let main = serving.first().filter(|lane| lane.role == Role::Main);
        let open = |lane: &&Arc<Lane>| !lane.tunnel.is_closed();
        main.filter(open).or_else(|| serving.iter().rev().find(open))
    }

    pub(super) fn best(&self) -> Option<&Arc<Lane>> {
        let current = self.current()?;
        if !current.tunnel.is_suspected() {
            return Some(current);
        }
        Some(self.lanes.iter().rev().find(|lane| lane.answers()).unwrap_or(current))
    }

    /// Of those for new streams that answer, the one with the fewest; among equals the last.
    pub(super) fn least_used(&self) -> Option<&Arc<Lane>> {
        if let [only] = self.lanes.as_slice() {
            return Some(only);
        }
        let fit = |lane: &&Arc<Lane>| {
            !lane.is_retired() && lane.answers() && !lane.pulse.is_silent(&lane.tunnel)
        };
        self.serving().iter().rev().filter(fit).min_by_key(|lane| lane.load())
    }

    pub(super) fn standing(&self, lane: &Lane) -> Standing {
        if self.current().is_some_and(|current| current.number == lane.number) {
            return Standing::Current;
        }
        let serves = self.serving().iter().any(|other| other.number == lane.number);
        if serves && !lane.is_retired() { Standing::Beside } else { Standing::Left }
    }
}
