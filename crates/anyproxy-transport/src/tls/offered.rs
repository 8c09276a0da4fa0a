//! Certificates that clients show in TLS: asking for them, and keeping what was shown.
//!
//! Every client may go on without one, and every well-formed one is taken whose key the client has, which TLS
//! proves (RFC 8446, 4.4.3). What it is worth is decided at the log-in ([`ClientCa`](super::ClientCa)).

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::EndEntityCert;

use super::{provider, subject};

/// Certificates of one client, and their bytes, at most. A session keeps them.
const LONGEST_CHAIN: usize = 8;
const LARGEST_CHAIN: usize = 16 * 1024;

/// Whether clients are asked for certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// They are not.
    #[default]
    Ignored,
    /// They are, and may go on without.
    Wanted,
}

/// Asks clients for certificates, or stops asking, while the gateway runs.
#[derive(Debug)]
pub(crate) struct Asking {
    wanted: AtomicBool,
    provider: Arc<CryptoProvider>,
}

impl Asking {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { wanted: AtomicBool::new(false), provider: provider() })
    }

    pub(crate) fn set(&self, certificates: ClientCertificates) {
        let wanted = certificates == ClientCertificates::Wanted;
        self.wanted.store(wanted, Ordering::Relaxed);
    }
}

impl ClientCertVerifier for Asking {
    fn offer_client_auth(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: strangers need not know which CAs there are.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let bytes = chain.iter().fold(leaf.len(), |sum, one| sum.saturating_add(one.len()));
        if chain.len() >= LONGEST_CHAIN || bytes > LARGEST_CHAIN {
            return Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ));
        }
        match EndEntityCert::try_from(leaf) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(_) => Err(Error::InvalidCertificate(CertificateError::BadEncoding)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What a client showed in TLS on a connection that is its own. Whom it lets in, [`ClientCa`](super::ClientCa)
/// says.
#[derive(Clone)]
pub struct OfferedCertificate {
    chain: Arc<[CertificateDer<'static>]>,
    who: Arc<[u8]>,
    subject: Arc<str>,
    at: UnixTime,
}

impl OfferedCertificate {
    /// Of a chain, leaf first, whose first key TLS has proven; `None` when that is no certificate. Of what a client
    /// has shown, [`Challenged`](crate::Challenged) has it.
    #[must_use]
    pub fn new(chain: &[CertificateDer<'static>]) -> Option<Self> {
        let leaf = EndEntityCert::try_from(chain.first()?).ok()?;
        let mut subject = subject::of_name(leaf.subject());
        let mut who = leaf.subject().to_vec();
        // A name may be in the subject, or only beside it (RFC 5280, 4.1.2.6).
        if who.is_empty() {
            let hosts = leaf.valid_dns_names().map(|name| (b'd', name));
            let names = hosts.chain(leaf.valid_uri_names().map(|name| (b'u', name)));
            let names = names.collect::<Vec<_>>();
            subject = subject::of_text(names.first().map(|(_, name)| *name).unwrap_or_default());
            who = names.into_iter().flat_map(distinct).collect();
        }
        let at = UnixTime::now();
        Some(Self { chain: chain.into(), who: who.into(), subject: subject.into(), at })
    }

    /// The subject as a short line, or else the first other name; for people.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Whether both were issued to the same subject: another certificate of one client has another key and
    /// other dates.
    #[must_use]
    pub fn is_of_the_same(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.chain, &other.chain);
        ours.first() == theirs.first() || (!self.who.is_empty() && self.who == other.who)
    }

    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    pub(super) fn moment(&self) -> UnixTime {
        self.at
    }

    #[cfg(test)]
    pub(super) fn at(self, at: UnixTime) -> Self {
        Self { at, ..self }
    }
}

/// With its kind and its length, so that a name is not taken for one of another kind, or for two.
fn distinct((kind, name): (u8, &str)) -> Vec<u8> {
    let length = u64::try_from(name.len()).unwrap_or(u64::MAX).to_be_bytes();
    [&[kind][..], &length, name.as_bytes()].concat()
}

impl fmt::Debug for OfferedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OfferedCertificate({})", self.subject)
    }
}
