//! One of a session's tunnels.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyproxy_transport::Tunnel;
use tokio::time::Instant;

use crate::registry::pulse::{LEAST_OF_FLOWS, Pulse};

/// How often it is looked whether the peer is suspected to be gone.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What a tunnel is to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It takes what is new from all that came before.
    Main,
    /// It takes a part of what is new from the one of this number within the session.
    Beside(u64),
}

/// One of a session's tunnels.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Unique among all sessions of this process, and ascending.
    pub(crate) number: u64,
    /// Counts the tunnels of its session.
    pub(super) within: u64,
    pub(crate) tunnel: Tunnel,
    pub(crate) role: Role,
    pub(in crate::registry) pulse: Pulse,
    /// When it came up.
    pub(in crate::registry) since: Instant,
    /// Streams, and those that are about to be opened. It grows under the lock of the session's lanes only.
    uses: AtomicUsize,
    /// Nothing is opened there any more. Set under the lock of the session's lanes.
    retired: AtomicBool,
    /// Of all sessions' tunnels beside others.
    _place: Option<BesidePlace>,
}

/// A place among all tunnels of the gateway that are beside others; given back on drop.
#[derive(Debug)]
pub(crate) struct BesidePlace(Arc<AtomicUsize>);

impl BesidePlace {
    /// `None` when `most` are taken.
    pub(in crate::registry) fn take(taken: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let more = |taken: usize| (taken < most).then(|| taken.saturating_add(1));
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(taken)))
    }
}

impl Drop for BesidePlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One use of a lane; it stays open until this is dropped.
#[derive(Debug)]
pub(crate) struct InUse(Arc<Lane>);

impl InUse {
    /// The session's lanes are locked.
    pub(super) fn new(lane: &Arc<Lane>) -> Self {
        lane.uses.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(lane))
    }

    pub(crate) fn lane(&self) -> &Arc<Lane> {
        &self.0
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.uses.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lane {
    /// The one that a session comes up with.
    pub(in crate::registry) fn first(number: u64, tunnel: Tunnel) -> Arc<Self> {
        Self::new((number, 0), tunnel, Role::Main, None)
    }

    pub(in crate::registry) fn new(
        (number, within): (u64, u64),
        tunnel: Tunnel,
        role: Role,
        place: Option<BesidePlace>,
    ) -> Arc<Self> {
        Arc::new(Self {
            number,
            within,
            tunnel,
            role,
            pulse: Pulse::default(),
            since: Instant::now(),
            uses: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
            _place: place,
        })
    }

    /// Waits until nothing at all has come over it for long enough after now that it is taken for
    /// silent; for ever if something comes. Cancel safe.
    pub(crate) async fn silent(&self) {
        self.pulse.silent(&self.tunnel).await;
    }

    /// Asks for a sign of life and waits until the peer is suspected to be gone, after
    /// [seconds](Tunnel::is_suspected). Cancel safe.
    pub(crate) async fn dark(&self) {
        self.tunnel.ping();
        while self.answers() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
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

    /// Whether its peer is there, as far as is known.
    pub(super) fn answers(&self) -> bool {
        !self.tunnel.is_closed() && !self.tunnel.is_suspected()
    }

    /// How many streams it has or is about to have.
    pub(super) fn load(&self) -> usize {
        self.uses.load(Ordering::Relaxed)
    }

    pub(super) fn is_unused(&self) -> bool {
        self.load() == 0 && self.tunnel.streams() == 0
    }

    /// The session's lanes are locked.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// It is needed again. The session's lanes are locked.
    pub(super) fn recall(&self) {
        self.retired.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }
}
