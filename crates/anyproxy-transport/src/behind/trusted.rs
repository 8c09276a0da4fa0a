//! Whom to believe.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;

/// Reverse proxies that may tell where a client comes from; nobody by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trusted {
    networks: Vec<IpNet>,
    unix: bool,
}

/// What is no entry of the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address, nor a network such as 10.0.0.0/8, nor \"unix\"")]
pub struct BadTrusted(
    /// The entry.
    pub String,
);

impl Trusted {
    /// Reads entries: an address, a network, or `unix` for whoever may open the Unix socket.
    ///
    /// # Errors
    /// [`BadTrusted`] with the first entry that is none.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, BadTrusted> {
        let mut trusted = Self::default();
        for entry in entries.iter().map(AsRef::as_ref) {
            if entry == "unix" {
                trusted.unix = true;
                continue;
            }
            let network = IpNet::from_str(entry)
                .or_else(|_| IpAddr::from_str(entry).map(IpNet::from))
                .map_err(|_| BadTrusted(entry.to_owned()))?;
            trusted.networks.push(network);
        }
        Ok(trusted)
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether a peer of this address is trusted. An IPv4 peer of a dual-stack socket is an IPv4
    /// peer.
    #[must_use]
    pub fn has(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip))
    }

    /// Whether peers of the Unix socket are trusted.
    #[must_use]
    pub fn has_unix(&self) -> bool {
        self.unix
    }
}
