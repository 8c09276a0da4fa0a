//! Notices that packets to the gateway leave from another address than before: from Wi-Fi to LTE, into or out of a
//! VPN.
//!
//! A QUIC tunnel moves with it, as soon as the gateway hears from the new address (RFC 9000, 9), so a ping
//! is all it takes. TCP consists of its addresses: what is sent from one that is gone is lost, and the kernel
//! says nothing of it for minutes. So a WebSocket that does not answer then has ended. One that
//! does is kept, for two networks may well be up at once.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyproxy_transport::{Transport, Tunnel, net::Net};
use tokio::time::Instant;

/// How often it is looked. It costs four system calls.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// From where each of a session's tunnels is reached.
#[derive(Debug)]
pub(crate) struct Places {
    net: Arc<dyn Net>,
    known: HashMap<u64, IpAddr>,
    look_at: Instant,
}

impl Places {
    pub(crate) fn new(net: Arc<dyn Net>) -> Self {
        Self { net, known: HashMap::new(), look_at: Instant::now() + LOOK_EVERY }
    }

    /// Waits until it is time to look. Cancel safe.
    pub(crate) async fn due(&self) {
        tokio::time::sleep_until(self.look_at).await;
    }

    /// Asks each tunnel that is reached from another address than before.
    pub(crate) fn look<'a>(&mut self, tunnels: impl Iterator<Item = (u64, &'a Tunnel)>) {
        self.look_at = Instant::now() + LOOK_EVERY;
        let mut seen = HashMap::new();
        for (number, tunnel) in tunnels {
            let before = self.known.get(&number).copied();
            let now = self.net.source(shown(tunnel.peer()));
            if let (Some(before), Some(now)) = (before, now)
                && before != now
            {
                tracing::info!(%before, %now, transport = %tunnel.transport(), "the address changed");
                tunnel.doubt(match tunnel.transport() {
                    Transport::Quic => Duration::ZERO,
                    Transport::WebSocket => Duration::MAX,
                });
            }
            // Without a route, what was known holds.
            seen.extend(now.or(before).map(|ip| (number, ip)));
        }
        self.known = seen;
    }
}

/// A mapped address is IPv4.
fn shown(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}
