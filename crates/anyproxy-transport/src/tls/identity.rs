//! The gateway's certificate chain and key.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::{ALPN_HTTP1, ALPN_HTTP2, ALPN_QUIC, ALPN_WEBSOCKET, OldestTls, provider};

/// Why a certificate and key cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificate file holds no certificate, or is no PEM.
    #[error("no certificate could be read: {0}")]
    Certificate(String),
    /// The key file holds no private key, or is no PEM.
    #[error("no private key could be read: {0}")]
    Key(String),
    /// They do not belong together, or the key is of an unknown kind.
    #[error("the certificate and the key do not fit together: {0}")]
    Mismatch(rustls::Error),
}

/// A certificate chain (leaf first) with the leaf's key.
///
/// For pinned clients the chain must end with the CA certificate that is pinned.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads a PEM chain and a PEM key, and checks that they fit together.
    ///
    /// # Errors
    /// See [`IdentityError`]. No error text holds any part of the key.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| IdentityError::Certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(IdentityError::Certificate("the file holds none".into()));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| IdentityError::Key(error.to_string()))?;
        let identity = Self { chain, key };
        identity.server_config(OldestTls::Tls13, &[ALPN_QUIC])?;
        Ok(identity)
    }

    pub(crate) fn quic(&self) -> Result<Arc<ServerConfig>, IdentityError> {
        self.server_config(OldestTls::Tls13, &[ALPN_QUIC]).map(Arc::new)
    }

    pub(crate) fn websocket(&self, oldest: OldestTls) -> Result<Arc<ServerConfig>, IdentityError> {
        self.server_config(oldest, &[ALPN_WEBSOCKET]).map(Arc::new)
    }

    /// For proxy users, whose programs may be old: TLS 1.2 too.
    pub(super) fn proxy(&self) -> Result<Arc<ServerConfig>, IdentityError> {
        self.server_config(OldestTls::Tls12, &[ALPN_HTTP2, ALPN_HTTP1]).map(Arc::new)
    }

    fn server_config(
        &self,
        oldest: OldestTls,
        alpn: &[&[u8]],
    ) -> Result<ServerConfig, IdentityError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(oldest.versions())
            .map_err(IdentityError::Mismatch)?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(IdentityError::Mismatch)?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        // Early data could be replayed, and an Open is not idempotent (docs/protocol.md, 1).
        config.max_early_data_size = 0;
        Ok(config)
    }
}
