//! Which of a name's addresses are dialled: whoever answers first may serve a new session, and one gateway
//! alone knows a session that there is.

use std::{io, net::SocketAddr};

use anyproxy_runtime::Deadline;

use super::{Connected, DialError, Dialer, race};
use crate::tunnel::{Transport, Tunnel};

/// Which of the gateways behind one name to dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gateways {
    /// Whichever answers.
    Any,
    /// A known one first, which need not be among the name's addresses any more.
    First(SocketAddr),
    /// That one and no other.
    Only(SocketAddr),
}

impl Dialer {
    /// Resolves the gateway's name and connects to the first of its addresses that answers (RFC 8305).
    /// Not cancel safe: dropping the future gives all attempts up.
    ///
    /// # Errors
    /// The most telling [`DialError`] of the addresses tried.
    pub async fn dial(
        &self,
        transport: Transport,
        deadline: Deadline,
    ) -> Result<Connected, DialError> {
        self.dial_to(transport, Gateways::Any, deadline).await
    }

    /// As [`dial`](Self::dial), to some of the `gateways` behind the name. What goes through a proxy ends where
    /// that leads it. Not cancel safe, likewise.
    ///
    /// # Errors
    /// The most telling [`DialError`] of the addresses tried.
    pub async fn dial_to(
        &self,
        transport: Transport,
        gateways: Gateways,
        deadline: Deadline,
    ) -> Result<Connected, DialError> {
        if let (Transport::WebSocket, Some(way)) = (transport, &self.way) {
            return self.dial_through(way, deadline).await;
        }
        let addresses = match gateways {
            Gateways::Any => race::alternating(self.resolve(deadline).await?),
            Gateways::First(gateway) => {
                let mut addresses = race::alternating(self.resolve(deadline).await?);
                addresses.retain(|addr| *addr != gateway);
                addresses.push_front(gateway);
                addresses
            }
            Gateways::Only(gateway) => [gateway].into(),
        };
        let attempt = |addr| self.dial_one(transport, addr, deadline);
        race::first(addresses, attempt).await.map_err(|error| {
            error.unwrap_or_else(|| {
                self.unresolved(io::Error::new(io::ErrorKind::NotFound, "it has no address"))
            })
        })
    }

    async fn resolve(&self, deadline: Deadline) -> Result<Vec<SocketAddr>, DialError> {
        let resolving = self.net.resolve(&self.config.host, self.config.port);
        let resolved = deadline.bound(resolving).await.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, "the name server did not answer"))
        });
        resolved.map_err(|source| self.unresolved(source))
    }

    fn unresolved(&self, source: io::Error) -> DialError {
        DialError::Resolve { host: self.config.host.clone(), source }
    }

    /// Where the gateway at the other end of `tunnel` is; `None` if a proxy hides it.
    #[must_use]
    pub fn gateway_of(&self, tunnel: &Tunnel) -> Option<SocketAddr> {
        let hidden = self.way.is_some() && tunnel.transport() == Transport::WebSocket;
        (!hidden).then(|| tunnel.peer())
    }
}
