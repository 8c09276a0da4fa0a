//! The port numbers of the gateway's own listeners, which nobody may have forwarded.
//!
//! The same number at another address would pass for the gateway: a program that is told `localhost`
//! tries `[::1]` and 127.0.0.1 in turn (RFC 8305), and whoever answers first is given the proxy's
//! password. So it is the number that counts, at every address and whatever a group's rules say.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{PoisonError, RwLock},
};

use anyproxy_transport::Offer;
use anyproxy_wire::message::Protocol;

use crate::gateway::Addresses;

/// What the gateway listens for at each of its own ports.
#[derive(Debug, Default)]
pub(crate) struct Own(RwLock<HashMap<(Protocol, u16), &'static str>>);

impl Own {
    pub(crate) fn new(addresses: &Addresses, offer: Offer) -> Self {
        let Addresses { tunnels, http, https, socks5, mixed } = addresses;
        let own = Self::default();
        for (protocol, offers) in [(Protocol::Udp, Offer::Quic), (Protocol::Tcp, Offer::WebSocket)]
        {
            if offer == Offer::Both || offer == offers {
                own.add((protocol, *tunnels), "tunnels");
            }
        }
        let proxies = [
            (http, "HTTP users"),
            (https, "HTTPS users"),
            (socks5, "SOCKS5 users"),
            (mixed, "proxy users"),
        ];
        for (addrs, what) in proxies {
            addrs.iter().for_each(|addr| own.add((Protocol::Tcp, *addr), what));
        }
        own
    }

    /// One more. What is forwarded already stays.
    pub(crate) fn add(&self, (protocol, addr): (Protocol, SocketAddr), what: &'static str) {
        let mut own = self.0.write().unwrap_or_else(PoisonError::into_inner);
        own.insert((protocol, addr.port()), what);
    }

    /// What the gateway listens for at a port of that number, if it does.
    pub(super) fn at(&self, protocol: Protocol, addr: SocketAddr) -> Option<&'static str> {
        let own = self.0.read().unwrap_or_else(PoisonError::into_inner);
        own.get(&(protocol, addr.port())).copied()
    }
}
