//! Why a gateway does not start.

use std::{io, net::SocketAddr};

use anyproxy_transport::{IdentityError, ListenError};

/// Why a gateway does not start. Whatever was bound is free again.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The tunnels' address cannot be had.
    #[error(transparent)]
    Tunnels(#[from] ListenError),
    /// The certificate of the HTTP proxy behind TLS is not usable.
    #[error("the HTTP proxy cannot serve TLS: {0}")]
    Https(#[from] IdentityError),
    /// An ingress' address cannot be had.
    #[error("cannot listen on {addr}/tcp for the {ingress} proxy")]
    Ingress {
        /// Which ingress.
        ingress: &'static str,
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("no random numbers: {0}")]
    Random(String),
}
