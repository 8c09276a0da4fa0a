//! Which lanes there are, and which of them takes what is new.

use std::{mem::discriminant, sync::Arc};

use tokio::time::Instant;

use super::{Lane, Role};

/// Main tunnels of one session at once: the old one, the new one, and those whose streams outlast two moves.
const MAX_MAIN: usize = 4;

/// Tunnels beside them at once, also those that were left.
const MAX_BESIDE: usize = 14;

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
    /// When a stream was last opened.
    pub(super) opened_at: Instant,
    /// Bytes sent and received on those that are gone.
    pub(super) gone: (u64, u64),
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
        let (lanes, coming) = (vec![first], Vec::new());
        Self {
            lanes,
            coming,
            next: 1,
            moves: 0,
            opened_at: Instant::now(),
            gone: (0, 0),
            end: End::Open,
        }
    }

    /// Takes out the oldest lane of its role that is suspected and not the current one.
    pub(super) fn take_dark(&mut self, role: Role) -> Option<Arc<Lane>> {
        let current = self.current()?.number;
        let is_dark = |lane: &Arc<Lane>| {
            discriminant(&lane.role) == discriminant(&role)
                && lane.number != current
                && lane.tunnel.is_suspected()
        };
        let dark = self.lanes.iter().find(|lane| is_dark(lane))?.number;
        self.remove(dark)
    }

    /// What went through it still counts.
    pub(super) fn remove(&mut self, number: u64) -> Option<Arc<Lane>> {
        let at = self.lanes.iter().position(|lane| lane.number == number)?;
        let lane = self.lanes.remove(at);
        let (stats, (sent, received)) = (lane.tunnel.stats(), self.gone);
        self.gone = (sent.saturating_add(stats.sent), received.saturating_add(stats.received));
        // One that was to be closed may be the best there is now.
        if let Some(current) = self.current() {
            current.recall();
        }
        Some(lane)
    }

    pub(super) fn is_full(&self, role: Role) -> bool {
        let alike = |other: &Role| discriminant(other) == discriminant(&role);
        let live = self.lanes.iter().filter(|lane| alike(&lane.role)).count();
        let coming = self.coming.iter().filter(|coming| alike(coming)).count();
        let most = match role {
            Role::Main => MAX_MAIN,
            Role::Beside(_) => MAX_BESIDE,
        };
        live.saturating_add(coming) >= most
    }

    /// Whether what a tunnel is to be beside is not the one for new streams any more. Its client may not know that yet.
    pub(super) fn is_late(&self, role: Role) -> bool {
        match role {
            Role::Main => false,
            Role::Beside(main) => self.current().is_none_or(|current| current.within != main),
        }
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

    /// The last main lane that is open; without one, of the others the one that was expected first, so that none that
    /// comes changes it. The only one may be closed already, which whoever uses it sees: to ask takes the lock of the
    /// tunnel, and this is asked for several times for each stream.
    pub(super) fn current(&self) -> Option<&Arc<Lane>> {
        if let [only] = self.lanes.as_slice() {
            return Some(only);
        }
        let open = |lane: &&Arc<Lane>| !lane.tunnel.is_closed();
        let main = self.lanes.iter().rev().filter(|lane| lane.role == Role::Main).find(open);
        main.or_else(|| self.lanes.iter().filter(open).min_by_key(|lane| lane.within))
    }

    pub(super) fn best(&self) -> Option<&Arc<Lane>> {
        let current = self.current()?;
        if !current.tunnel.is_suspected() {
            return Some(current);
        }
        let answers = |lane: &&Arc<Lane>| !lane.is_retired() && lane.answers();
        Some(self.lanes.iter().rev().find(answers).unwrap_or(current))
    }

    /// Those for new streams that answer; else the best there is.
    fn fit(&self) -> Vec<&Arc<Lane>> {
        let fit = |lane: &&Arc<Lane>| {
            !lane.is_retired() && lane.answers() && !lane.pulse.is_silent(&lane.tunnel)
        };
        let fit = self.serving().iter().filter(fit).collect::<Vec<_>>();
        if fit.is_empty() { self.best().into_iter().collect() } else { fit }
    }

    /// The one with the fewest streams that is not in `tried`; among equals the last.
    pub(super) fn least_used(&self, tried: &[u64]) -> Option<&Arc<Lane>> {
        // As over QUIC always, and asked for several times for each stream.
        if let [only] = self.lanes.as_slice() {
            return Some(only).filter(|lane| !tried.contains(&lane.number));
        }
        let fit = self.fit().into_iter().rev();
        fit.filter(|lane| !tried.contains(&lane.number)).min_by_key(|lane| lane.load())
    }

    /// Whether another than `number` would take a new stream.
    pub(super) fn has_other(&self, number: u64) -> bool {
        self.fit().iter().any(|lane| lane.number != number)
    }

    pub(super) fn standing(&self, lane: &Lane) -> Standing {
        if self.current().is_some_and(|current| current.number == lane.number) {
            return Standing::Current;
        }
        let serves = self.serving().iter().any(|other| other.number == lane.number);
        if serves && !lane.is_retired() { Standing::Beside } else { Standing::Left }
    }
}
