//! The HTTP proxy between a client and the rest of the world, as offices have it.
//!
//! ```text
//! client ─TCP[─TLS]─▶ proxy: CONNECT gateway:443 ─▶ 200 ─▶ TLS ─▶ WebSocket
//!                                                 └▶ 407, 403, 502 …: said, with what to do
//! ```
//!
//! The proxy gets the gateway's *name* and looks it up itself (RFC 9110, 9.3.6): offices often let
//! no name of the outside resolve inside. What is inside the connection is TLS from end to end,
//! unless the proxy shows a certificate of its own that the client was told to trust.
//!
//! Basic authentication only (RFC 7617): the proxies that want NTLM or Kerberos want a connection
//! to be authenticated in several steps, and a local relay such as cntlm does that.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod connect;
mod error;

use std::fmt;

use anyproxy_wire::handshake::Secret;

pub(crate) use connect::{Way, connect};
pub use error::ProxyError;

use crate::tls::Trust;

/// A proxy that the WebSocket is dialled through.
#[derive(Clone, Debug)]
pub struct HttpProxy {
    /// Its name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the way to it is behind TLS.
    pub scheme: ProxyScheme,
    /// Who we are to it.
    pub login: Option<ProxyLogin>,
}

/// How a proxy itself is reached.
#[derive(Debug, Clone)]
pub enum ProxyScheme {
    /// In the clear: the usual one. The name of the gateway and the proxy's password can be read
    /// on the way to it.
    Http,
    /// Behind TLS, with what makes it the right proxy.
    Https(Trust),
}

/// A user of a proxy.
#[derive(Clone, Debug)]
pub struct ProxyLogin {
    /// The name; it has no colon.
    pub user: String,
    /// The password.
    pub password: Secret,
}

impl fmt::Display for HttpProxy {
    /// As a URL, without the user and the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            ProxyScheme::Http => "http",
            ProxyScheme::Https(_) => "https",
        };
        write!(f, "{scheme}://{}", authority(&self.host, self.port))
    }
}

/// `host:port`, an IPv6 address in brackets.
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
