//! The meter of a tunnel's present path, fed by its controller's counts.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    meter::{Meter, Reading},
    shared::Shared,
    window::{self, Tally},
};
use crate::tunnel::Transport;

pub(super) struct Strain {
    peer: SocketAddr,
    tally: Arc<Tally>,
    meter: Meter,
    found: bool,
}

impl Strain {
    /// Another way to the peer has another best, also where the tunnel joins a session that came another way.
    pub(super) fn new(now: Instant, shared: &Shared) -> Self {
        let (peer, tally) = (shared.conn.remote_address(), window::tally(&shared.conn));
        shared.settings.budget.rates().leads_to(Transport::Quic, peer.ip());
        let meter = Meter::new(now, read(&tally, Duration::ZERO));
        Self { peer, tally, meter, found: false }
    }

    /// The way may be another one, whatever its ends are called.
    pub(super) fn doubt(&mut self, now: Instant, shared: &Shared) {
        shared.settings.budget.rates().forget();
        *self = Self::new(now, shared);
    }

    pub(super) fn look(&mut self, now: Instant, shared: &Shared, rtt: Duration) {
        // Another path has another controller.
        if shared.conn.remote_address() != self.peer {
            *self = Self::new(now, shared);
        }
        let rates = shared.settings.budget.rates();
        if self.meter.look(now, read(&self.tally, rtt), rates) {
            self.found = true;
            shared.strained();
        }
    }

    /// Whether it was found since the last call.
    pub(super) fn take(&mut self) -> bool {
        std::mem::take(&mut self.found)
    }
}

fn read(tally: &Tally, rtt: Duration) -> Reading {
    Reading { acked: tally.acked(), idle: tally.idle(), rtt }
}
