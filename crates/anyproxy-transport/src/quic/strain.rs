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

pub(super) struct Strain {
    peer: SocketAddr,
    tally: Arc<Tally>,
    meter: Meter,
    found: bool,
}

impl Strain {
    pub(super) fn new(now: Instant, shared: &Shared) -> Self {
        let tally = window::tally(&shared.conn);
        let meter = Meter::new(now, read(&tally, Duration::ZERO));
        Self { peer: shared.conn.remote_address(), tally, meter, found: false }
    }

    pub(super) fn look(&mut self, now: Instant, shared: &Shared, rtt: Duration) {
        // Another path has another controller, and to another host another best.
        let (peer, rates) = (shared.conn.remote_address(), shared.settings.budget.rates());
        if peer != self.peer {
            if peer.ip() != self.peer.ip() {
                rates.forget();
            }
            *self = Self::new(now, shared);
        }
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
