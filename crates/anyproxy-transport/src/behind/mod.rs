//! A reverse proxy in front of the gateway: nginx, HAProxy, Caddy, a load balancer.
//!
//! ```text
//! client ─TLS─▶ nginx ─┬─ TLS ─────────▶ gateway:8443    TCP, always behind TLS
//!                      └─ no TLS ──────▶ ws.sock         a Unix socket, never TCP
//! ```
//!
//! The proxy may tell where a client really comes from. It is believed only when
//!
//! - its own address is in the list of trusted ones, empty by default, and
//! - it tells in the *one* way that was named. Whoever passes a connection on passes on what the
//!   client wrote as well: nginx sets `X-Forwarded-For` and leaves a client's `Forwarded` as it
//!   was, and a proxy that passes TLS through cannot see either. To take whatever is there would be to
//!   believe the client.
//!
//! Of several addresses in a header the last one that is not of a trusted proxy counts: everything to
//! the left of it was told by somebody who is not trusted.

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

mod forwarded;
mod trusted;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use anyproxy_wire::proxy_header::{HeaderStep, Source, parse};
use tokio::io::{AsyncRead, AsyncReadExt as _};

pub use forwarded::client;
pub use trusted::{BadTrusted, Trusted};

/// What is told of a client whose address nobody knows: one that came over the Unix socket.
pub(crate) const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// What stands in front of a gateway; nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Behind {
    /// A Unix socket on which the WebSocket is served too, without TLS.
    pub socket: Option<PathBuf>,
    /// Who may tell where clients come from.
    pub trusted: Trusted,
    /// How they tell.
    pub told_by: ToldBy,
}

/// How a trusted reverse proxy tells where a client comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ToldBy {
    /// Not at all.
    #[default]
    Nothing,
    /// A header of the PROXY protocol, version 1 or 2, before anything else on the connection. A
    /// trusted peer *has* to send it.
    ProxyProtocol,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For`.
    XForwardedFor,
}

/// Reads the PROXY header off a connection, and not a byte more; gives the client's address, if
/// it tells one. Has no limit of time: bound it. Not cancel safe.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] when there is no header, or what reading answered.
pub(crate) async fn read_header<S>(conn: &mut S) -> io::Result<Option<SocketAddr>>
where
    S: AsyncRead + Unpin,
{
    let mut bytes = Vec::new();
    loop {
        let step = parse(&bytes);
        match step.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
            HeaderStep::Done(Source::Client(addr)) => return Ok(Some(addr)),
            HeaderStep::Done(Source::Unknown) => return Ok(None),
            HeaderStep::More(count) => {
                let from = bytes.len();
                bytes.resize(from.saturating_add(count), 0);
                conn.read_exact(bytes.get_mut(from..).unwrap_or_default()).await?;
            }
        }
    }
}
