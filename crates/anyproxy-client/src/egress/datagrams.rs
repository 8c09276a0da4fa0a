//! From a destination's text to a UDP socket.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use anyproxy_runtime::Deadline;
use anyproxy_transport::net::Datagrams;

use super::{
    dial::{Destination, Egress},
    error::{DialError, telling},
};

impl Egress {
    /// Resolves, checks and connects a socket of its own over UDP, before `deadline`: to the best
    /// address to which there is a route. Whether anybody is there, only answers can tell.
    ///
    /// The socket is connected, so that nobody but the target is heard on it.
    ///
    /// # Errors
    /// As [`Egress::dial`].
    ///
    /// # Cancel safety
    /// Dropping the future gives up the look-up; no socket is left behind.
    pub async fn datagrams(
        &self,
        destination: &Destination,
        deadline: Deadline,
    ) -> Result<(Datagrams, SocketAddr), DialError> {
        let reaching = async {
            let addresses = self.addresses(destination, deadline).await?;
            self.first_of(addresses)
        };
        self.told(reaching.await)
    }

    /// A socket for the first of `addresses` to which there is a route.
    fn first_of(&self, addresses: Vec<SocketAddr>) -> Result<(Datagrams, SocketAddr), DialError> {
        let tried = addresses.len();
        let mut worst: Option<(SocketAddr, io::Error)> = None;
        for address in addresses {
            match self.net.datagrams(any(address), Some(address)) {
                Ok(socket) => return Ok((socket, address)),
                Err(error) => {
                    if worst.as_ref().is_none_or(|(_, known)| telling(&error) > telling(known)) {
                        worst = Some((address, error));
                    }
                }
            }
        }
        Err(match worst {
            Some((address, error)) => DialError::Connect { address, error, tried },
            None => DialError::NameNotFound(String::new()),
        })
    }
}

/// Any address and port of this host from which `target` can be reached.
fn any(target: SocketAddr) -> SocketAddr {
    match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}
