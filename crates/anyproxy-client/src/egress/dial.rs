//! From a destination's text to a connection.

use std::{collections::HashSet, io, net::SocketAddr, sync::Arc};

use anyproxy_runtime::{Deadline, Trouble};
use anyproxy_transport::net::{Conn, MORE_FILES, Net};

use super::{
    address,
    error::DialError,
    happy::{self, Addresses},
    name::Name,
    policy::{Origin, Policy, Request},
    target::{Host, Target},
};

/// Where a proxied connection is to go: `host:port`, IPv6 in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// As a user of the gateway gave it.
    Asked(String),
    /// The target of a forward in this client's own configuration: the allow list does not have to
    /// have it, but every deny holds.
    Configured(String),
}

/// A connected target.
#[derive(Debug)]
pub struct Dialled {
    /// The connection.
    pub conn: Conn,
    /// The address that was checked and dialled.
    pub address: SocketAddr,
}

/// Reaches targets, within a policy. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Egress {
    pub(super) net: Arc<dyn Net>,
    policy: Arc<Policy>,
    out_of_files: Arc<Trouble>,
}

impl Egress {
    /// Reaches targets over `net`, within `policy`.
    #[must_use]
    pub fn new(net: Arc<dyn Net>, policy: Arc<Policy>) -> Self {
        Self { net, policy, out_of_files: Arc::default() }
    }

    /// Resolves, checks and connects over TCP, all before `deadline`.
    ///
    /// # Errors
    /// [`DialError`]; its text is for the user and its code for the open reply.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the look-up and every attempt; no connection is left behind.
    pub async fn dial(
        &self,
        destination: &Destination,
        deadline: Deadline,
    ) -> Result<Dialled, DialError> {
        let reaching = async {
            let addresses = self.resolve(destination, deadline).await?;
            happy::connect(&*self.net, addresses, deadline).await
        };
        self.told(reaching.await)
    }

    /// Logs that there are no descriptors, and that there are again: each user is told, but whoever
    /// runs the client has to know.
    pub(super) fn told<T>(&self, reached: Result<T, DialError>) -> Result<T, DialError> {
        match &reached {
            Ok(_) if self.out_of_files.is_over() => {
                tracing::info!("there are file descriptors again; targets are reached");
            }
            Err(error) if error.is_out_of_files() => {
                if let Some(times) = self.out_of_files.happened() {
                    tracing::error!(
                        times,
                        fix = MORE_FILES,
                        "targets are not reached: there are no file descriptors left"
                    );
                }
            }
            Ok(_) | Err(_) => {}
        }
        reached
    }

    /// Resolves and checks, for a datagram flow: at least one address and at most 16, best first.
    ///
    /// The flow must use these addresses and look nothing up again.
    ///
    /// # Errors
    /// As [`Egress::dial`], but for [`DialError::Connect`].
    ///
    /// # Cancel safety
    /// Dropping the future gives up the look-up.
    pub async fn addresses(
        &self,
        destination: &Destination,
        deadline: Deadline,
    ) -> Result<Vec<SocketAddr>, DialError> {
        self.resolve(destination, deadline).await.map(Addresses::into_vec)
    }

    async fn resolve(
        &self,
        destination: &Destination,
        deadline: Deadline,
    ) -> Result<Addresses, DialError> {
        let (text, origin) = match destination {
            Destination::Asked(text) => (text, Origin::User),
            Destination::Configured(text) => (text, Origin::Configuration),
        };
        let Target { host: asked, port } = text.parse()?;
        match asked {
            Host::Address(ip) => {
                let request = Request { name: None, port, origin };
                self.check(request, vec![SocketAddr::new(ip, port)])
            }
            Host::Name(name) => {
                let request = Request { name: Some(&name), port, origin };
                self.policy
                    .check_name(request)
                    .map_err(|denial| DialError::NameDenied { host: host(&name), denial })?;
                let found = self.look_up(&name, port, deadline).await?;
                self.check(request, found)
            }
        }
    }

    async fn look_up(
        &self,
        name: &Name,
        port: u16,
        deadline: Deadline,
    ) -> Result<Vec<SocketAddr>, DialError> {
        let host = host(name);
        match deadline.bound(self.net.resolve(name.asked(), port)).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                Err(DialError::NameNotFound(host))
            }
            Ok(Err(error)) => Err(DialError::LookupFailed { host, error }),
            Err(_) => Err(DialError::LookupTimedOut(host)),
        }
    }

    /// Keeps the addresses that the policy lets through, each once and in its plain form.
    fn check(&self, request: Request<'_>, found: Vec<SocketAddr>) -> Result<Addresses, DialError> {
        let mut seen = HashSet::with_capacity(found.len());
        let mut passed = Vec::with_capacity(found.len());
        let mut denied = None;
        for address in found {
            let address = address::dialable(address, request.port);
            if !seen.insert(address) {
                continue;
            }
            match self.policy.check(request, address.ip()) {
                Ok(()) => passed.push(address),
                Err(denial) => {
                    tracing::debug!(%address, %denial, "an address is denied");
                    denied.get_or_insert((address.ip(), denial));
                }
            }
        }
        Addresses::interleaved(passed).ok_or_else(|| match denied {
            Some((address, denial)) => DialError::AddressDenied { address, denial },
            None => DialError::NameNotFound(request.name.map(host).unwrap_or_default()),
        })
    }
}

/// A name for an error's text.
fn host(name: &Name) -> String {
    name.compared().to_owned()
}
