//! TLS for both transports and for proxy users: who the gateway is, and how a client makes sure of
//! it.
//!
//! Nothing here turns verification off. The crypto provider is passed explicitly, never installed
//! as a process-wide default; it is AWS-LC because it moves bulk data over TLS faster than *ring*
//! with less CPU and is level over QUIC (`bench/provider`).

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

mod client_ca;
mod identity;
mod offered;
mod own;
mod pin;
mod proxy;
mod subject;
mod trust;
mod witness;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use client_ca::{ClientCa, ClientCaError, NotAccepted, Overlap};
pub(crate) use identity::Shown;
pub use identity::{Identity, IdentityError};
pub(crate) use offered::Asking;
pub use offered::{ClientCertificates, OfferedCertificate};
pub use own::OwnCertificate;
pub use pin::{Pin, PinError};
pub(crate) use proxy::Prefixed;
pub use proxy::{Alpn, ProxyTls};
pub use subject::of_name as subject_of;
pub use trust::{Trust, TrustError};
pub use witness::Presented;
pub(crate) use witness::{Moment, Seen};

/// ALPN of the QUIC transport.
pub(crate) const ALPN_QUIC: &[u8] = b"anyproxy/1";
/// ALPN of the WebSocket transport.
pub(crate) const ALPN_WEBSOCKET: &[u8] = b"http/1.1";

/// ALPN of proxy users who speak HTTP/2 (RFC 9113, 3.2).
const ALPN_HTTP2: &[u8] = b"h2";
/// ALPN of proxy users who speak HTTP/1.1.
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// The oldest TLS version that the WebSocket accepts. QUIC always uses 1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OldestTls {
    /// TLS 1.3 only.
    #[default]
    Tls13,
    /// TLS 1.2 too, for middleboxes that inspect traffic and know nothing newer.
    Tls12,
}

impl OldestTls {
    fn versions(self) -> &'static [&'static rustls::SupportedProtocolVersion] {
        static NEW: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
        match self {
            Self::Tls13 => NEW,
            Self::Tls12 => rustls::ALL_VERSIONS,
        }
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
