//! Strangers who show what is no certificate, or one whose key they do not have.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, SignatureScheme,
    client::ResolvesClientCert,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
    version::TLS13,
};

/// A chain and a key that need not fit.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// TLS of a client that trusts `ca`, shows `chain`, and signs with the key of `key`.
pub(crate) fn tls(ca: &str, alpn: &[u8], (chain, key): (&[Vec<u8>], &str)) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let chain = chain.iter().map(|der| der.clone().into()).collect();
    let shown = Arc::new(Shown(Arc::new(CertifiedKey::new(chain, key))));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(shown);
    config.alpn_protocols = vec![alpn.to_vec()];
    Arc::new(config)
}

/// The certificate of a PEM text.
pub(crate) fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}
