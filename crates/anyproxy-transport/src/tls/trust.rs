//! How a client knows its gateway.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};

use super::{
    ALPN_QUIC, ALPN_WEBSOCKET, Moment, OldestTls, Pin, Seen, pin::PinVerifier, provider,
    witness::Witness,
};

/// TLS sessions kept for resumption: of one gateway, under one name.
const SERVERS: usize = 4;

/// Why a trust setting cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The CA file holds no usable certificate.
    #[error("no CA certificate could be read: {0}")]
    Ca(String),
    /// A pin says what alone is trusted.
    #[error("a pin trusts one CA alone, so nothing can be trusted besides")]
    Pinned,
    /// The system has no root certificates.
    #[error(
        "the system has no root certificates ({0}); install them (ca-certificates), or set a CA file or a pin"
    )]
    NoSystemRoots(String),
    /// The TLS library refused the settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// What makes a gateway the right one. There is no "accept anything".
#[derive(Clone)]
pub enum Trust {
    /// The system's root certificates.
    System,
    /// The system's root certificates, and others besides.
    SystemAnd(Vec<CertificateDer<'static>>),
    /// The certificates of a CA file.
    Ca(Vec<CertificateDer<'static>>),
    /// A CA certificate in the gateway's chain has this public key.
    Pin(Pin),
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System => f.write_str("System"),
            Self::SystemAnd(extra) => write!(f, "SystemAnd({} certificates)", extra.len()),
            Self::Ca(certificates) => write!(f, "Ca({} certificates)", certificates.len()),
            Self::Pin(pin) => write!(f, "Pin({pin})"),
        }
    }
}

impl Trust {
    /// Reads the CA certificates of a PEM file.
    ///
    /// # Errors
    /// [`TrustError::Ca`] when there is none.
    pub fn from_ca_pem(pem: &[u8]) -> Result<Self, TrustError> {
        let certificates = certificates(pem)?;
        add(&mut RootCertStore::empty(), &certificates)?;
        Ok(Self::Ca(certificates))
    }

    /// Trusts the CA certificates of a PEM file besides.
    ///
    /// # Errors
    /// [`TrustError::Ca`] when there is none; [`TrustError::Pinned`] when a pin says what alone is
    /// trusted.
    pub fn and_ca_pem(self, pem: &[u8]) -> Result<Self, TrustError> {
        let extra = certificates(pem)?;
        add(&mut RootCertStore::empty(), &extra)?;
        match self {
            Self::System => Ok(Self::SystemAnd(extra)),
            Self::SystemAnd(before) => Ok(Self::SystemAnd([before, extra].concat())),
            Self::Ca(before) => Ok(Self::Ca([before, extra].concat())),
            Self::Pin(_) => Err(TrustError::Pinned),
        }
    }

    /// Whether a server called `name` that shows `chain`, leaf first, is trusted now.
    #[must_use]
    pub fn accepts(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> bool {
        let [leaf, rest @ ..] = chain else { return false };
        self.verifier().is_ok_and(|verifier| {
            verifier.verify_server_cert(leaf, rest, name, &[], UnixTime::now()).is_ok()
        })
    }

    pub(crate) fn quic(&self) -> Result<Arc<ClientConfig>, TrustError> {
        self.client_config(OldestTls::Tls13, ALPN_QUIC).map(Arc::new)
    }

    pub(crate) fn websocket(&self, oldest: OldestTls) -> Result<Arc<ClientConfig>, TrustError> {
        self.client_config(oldest, ALPN_WEBSOCKET).map(Arc::new)
    }

    /// As [`Trust::quic`], and keeps what the gateway showed.
    pub(crate) fn watched_quic(
        &self,
        seen: Seen,
        moment: Moment,
    ) -> Result<Arc<ClientConfig>, TrustError> {
        self.watched(OldestTls::Tls13, ALPN_QUIC, (seen, moment))
    }

    /// As [`Trust::websocket`], and keeps what the gateway showed.
    pub(crate) fn watched_websocket(
        &self,
        oldest: OldestTls,
        seen: Seen,
        moment: Moment,
    ) -> Result<Arc<ClientConfig>, TrustError> {
        self.watched(oldest, ALPN_WEBSOCKET, (seen, moment))
    }

    fn watched(
        &self,
        oldest: OldestTls,
        alpn: &[u8],
        (seen, moment): (Seen, Moment),
    ) -> Result<Arc<ClientConfig>, TrustError> {
        let witness = Witness { inner: self.verifier()?, seen, moment };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(oldest.versions())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(witness))
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        Ok(Arc::new(config))
    }

    /// What decides in [`Trust::client_config`], on its own.
    fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, TrustError> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::System => roots = system_roots()?,
            Self::SystemAnd(extra) => {
                roots = system_roots().unwrap_or_else(|_| RootCertStore::empty());
                add(&mut roots, extra)?;
            }
            Self::Ca(certificates) => add(&mut roots, certificates)?,
            Self::Pin(pin) => {
                return Ok(Arc::new(PinVerifier { pin: *pin, provider: provider() }));
            }
        }
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map(|verifier| verifier as Arc<dyn ServerCertVerifier>)
            .map_err(|error| TrustError::Ca(error.to_string()))
    }

    fn client_config(&self, oldest: OldestTls, alpn: &[u8]) -> Result<ClientConfig, TrustError> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(oldest.versions())?;
        let mut config = match self {
            Self::System => builder.with_root_certificates(system_roots()?).with_no_client_auth(),
            Self::SystemAnd(extra) => {
                let mut roots = system_roots().unwrap_or_else(|_| RootCertStore::empty());
                add(&mut roots, extra)?;
                builder.with_root_certificates(roots).with_no_client_auth()
            }
            Self::Ca(certificates) => {
                let mut roots = RootCertStore::empty();
                add(&mut roots, certificates)?;
                builder.with_root_certificates(roots).with_no_client_auth()
            }
            Self::Pin(pin) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(PinVerifier { pin: *pin, provider }))
                .with_no_client_auth(),
        };
        // It talks to one gateway; rustls' usual cache is made for 256 servers, and takes their memory at once.
        config.resumption = Resumption::in_memory_sessions(SERVERS);
        config.alpn_protocols = vec![alpn.to_vec()];
        Ok(config)
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TrustError::Ca(error.to_string()))?;
    if certificates.is_empty() {
        return Err(TrustError::Ca("the file holds none".into()));
    }
    Ok(certificates)
}

fn add(
    roots: &mut RootCertStore,
    certificates: &[CertificateDer<'static>],
) -> Result<(), TrustError> {
    for certificate in certificates {
        roots.add(certificate.clone()).map_err(|error| TrustError::Ca(error.to_string()))?;
    }
    Ok(())
}

fn system_roots() -> Result<RootCertStore, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let reasons = found.errors.iter().map(ToString::to_string).collect::<Vec<_>>();
        return Err(TrustError::NoSystemRoots(reasons.join("; ")));
    }
    Ok(roots)
}
