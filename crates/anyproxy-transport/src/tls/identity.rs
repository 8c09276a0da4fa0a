//! The gateway's certificate chain and key, and how they change while it runs.

use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::{error::Unspecified, hkdf};
use rustls::{
    ServerConfig, SignatureScheme,
    client::ResolvesClientCert,
    server::{ClientHello, ResolvesServerCert, danger::ClientCertVerifier},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::{ALPN_HTTP1, ALPN_HTTP2, ALPN_QUIC, ALPN_WEBSOCKET, Asking, OldestTls, provider};

/// Keeps what is derived here apart from what anybody else derives from the same key.
const ROOT_SALT: &[u8] = b"anyproxy/1 keys from the gateway's private key";

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
#[derive(Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    /// From which other keys of the gateway are derived, so that they survive a restart.
    root: hkdf::Prk,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let certificates = self.certified.cert.len();
        f.debug_struct("Identity").field("certificates", &certificates).finish_non_exhaustive()
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
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, ROOT_SALT).extract(key.secret_der());
        let certified = CertifiedKey::from_der(chain, key, &provider())
            .map_err(IdentityError::Mismatch)?
            .into();
        Ok(Self { certified, root })
    }

    /// The certificate itself, DER; the first of the chain.
    #[must_use]
    pub fn certificate(&self) -> Option<&[u8]> {
        self.certified.cert.first().map(AsRef::as_ref)
    }

    /// The whole chain, DER, the certificate itself first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// A key for the purpose that `label` names. It depends on the private key alone and tells nothing of it.
    pub(crate) fn derive(&self, label: &[u8]) -> Result<[u8; 32], Unspecified> {
        let mut key = [0; 32];
        self.root.expand(&[label], hkdf::HKDF_SHA256)?.fill(&mut key)?;
        Ok(key)
    }
}

/// The identity that new handshakes are shown; it may change at any time.
///
/// Connections that are up keep what they have, and so does a client that resumes a TLS session of before: it
/// is shown no certificate at all.
#[derive(Debug)]
pub(crate) struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    pub(crate) fn new(identity: &Identity) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::clone(&identity.certified))))
    }

    /// Shows another one from now on.
    pub(crate) fn set(&self, identity: &Identity) {
        let mut shown = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *shown = Arc::clone(&identity.certified);
    }

    pub(crate) fn quic(
        self: &Arc<Self>,
        asking: &Arc<Asking>,
    ) -> Result<Arc<ServerConfig>, IdentityError> {
        self.server_config(OldestTls::Tls13, &[ALPN_QUIC], asking)
    }

    pub(crate) fn websocket(
        self: &Arc<Self>,
        oldest: OldestTls,
        asking: &Arc<Asking>,
    ) -> Result<Arc<ServerConfig>, IdentityError> {
        self.server_config(oldest, &[ALPN_WEBSOCKET], asking)
    }

    /// For proxy users, whose programs may be old: TLS 1.2 too.
    pub(super) fn proxy(self: &Arc<Self>) -> Result<Arc<ServerConfig>, IdentityError> {
        self.server_config(OldestTls::Tls12, &[ALPN_HTTP2, ALPN_HTTP1], &Asking::new())
    }

    fn server_config(
        self: &Arc<Self>,
        oldest: OldestTls,
        alpn: &[&[u8]],
        asking: &Arc<Asking>,
    ) -> Result<Arc<ServerConfig>, IdentityError> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Self>::clone(self);
        let asking: Arc<dyn ClientCertVerifier> = Arc::<Asking>::clone(asking);
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(oldest.versions())
            .map_err(IdentityError::Mismatch)?
            .with_client_cert_verifier(asking)
            .with_cert_resolver(resolver);
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        // Early data could be replayed, and an Open is not idempotent (docs/protocol.md, 1).
        config.max_early_data_size = 0;
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// A client has one certificate, whichever CAs the gateway names.
impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn identity(key: &KeyPair) -> Identity {
        let certificate = CertificateParams::new(vec![]).unwrap().self_signed(key).unwrap();
        Identity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    #[test]
    fn derived_keys_depend_on_the_private_key_and_the_label_alone() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let derive = |key, label: &[u8]| identity(key).derive(label).unwrap();
        assert_eq!(derive(&key, b"a"), derive(&key, b"a"), "a renewed certificate");
        assert_ne!(derive(&key, b"a"), derive(&key, b"b"));
        assert_ne!(derive(&key, b"a"), derive(&other, b"a"));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let chain = CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap().pem();
        let error = Identity::from_pem(chain.as_bytes(), other.serialize_pem().as_bytes());
        assert!(matches!(error, Err(IdentityError::Mismatch(_))));
    }
}
