//! A network in memory, on which whole gateways and clients run in virtual time.
//!
//! ```text
//! gateway ── Host::net() ──▶ dyn Net ─┐                  ┌─ dyn Net ◀── Host::net() ── client
//!                                     └── World: links ──┘
//!              delay, jitter, loss, rate, MTU, black hole, reset, address change
//! ```
//!
//! Use it under `#[tokio::test(start_paused = true)]`: nothing here is a real socket or a thread, so
//! whenever every task waits, the clock jumps to the next packet or timer. An hour of keep-alives
//! takes milliseconds, and "after 30 s" is an equality.
//!
//! The runtime's timers count milliseconds: a packet that is due in between arrives at the next
//! whole one, in the order of the exact times. Of a test's own timer and a packet that are due at the
//! same instant, either may come first. The same seed gives the same losses and delays to the
//! same packets; QUIC itself draws random numbers, so its packets differ a little from run to run.
//!
//! A world belongs to one runtime, the one on which its first packet is sent.

mod address;
mod host;
mod link;
mod path;
mod probe;
mod random;
mod state;
mod tap;
mod tcp;
mod udp;

use std::{fmt, io, net::IpAddr, sync::Arc, time::Duration};

pub use host::Host;
pub use link::{Connects, LinkHandle, LinkSettings, Longest, Switch};
pub use probe::Datagrams;
pub use tap::{Capture, Carrier, Record, Stats};

use address::Name;
use state::Inner;

/// The network: hosts, links between their addresses, names. Clones are handles to the same one.
#[derive(Clone)]
pub struct World {
    inner: Arc<Inner>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("hosts", &self.inner.lock().hosts.len()).finish()
    }
}

impl World {
    /// An empty world. `seed` decides which packets are lost, duplicated and delayed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { inner: Inner::new(seed) }
    }

    /// Adds a host. 127.0.0.0/8, `::1` and `localhost` are each host's own.
    ///
    /// # Panics
    /// When a host has `ip` already.
    #[must_use]
    pub fn host(&self, name: &str, ip: IpAddr) -> Host {
        let index = self.inner.lock().add_host(name, ip);
        Host::new(self.inner.clone(), index)
    }

    /// The link between two addresses, which need not be anybody's yet.
    #[must_use]
    pub fn link(&self, a: IpAddr, b: IpAddr) -> LinkHandle {
        LinkHandle::new(self.inner.clone(), a, b)
    }

    /// The settings of links between hosts that [`LinkHandle::set`] did not set.
    pub fn set_default(&self, settings: LinkSettings) {
        self.inner.lock().unspecified = settings;
    }

    /// Lets `name` resolve to `addrs` everywhere, in this order.
    pub fn name(&self, name: &str, addrs: &[IpAddr]) {
        let answer = Name::Addresses(addrs.to_vec());
        self.inner.lock().names.insert((None, host::normal(name)), answer);
    }

    /// Lets look-ups of `name` fail. Unknown names fail with [`io::ErrorKind::NotFound`] anyway.
    pub fn name_fails(&self, name: &str, kind: io::ErrorKind) {
        self.inner.lock().names.insert((None, host::normal(name)), Name::Failure(kind));
    }

    /// How long each look-up takes from now on; zero at first.
    pub fn lookup_delay(&self, delay: Duration) {
        self.inner.lock().lookup_delay = delay;
    }

    /// Counters of all links together.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let state = self.inner.lock();
        let mut sum = Stats::default();
        for path in state.paths.values() {
            sum += path.stats;
        }
        sum
    }

    /// TCP connections that at least one end still holds. Zero shows that nothing leaked.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.inner.lock().connections.len()
    }
}
