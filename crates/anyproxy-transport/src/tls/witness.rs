//! Verifies as a client does, and keeps what the gateway showed, for a person who asks what is wrong.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// The certificates that a gateway showed, and what came of their check.
#[derive(Debug, Clone)]
pub struct Presented {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Why they are not accepted, in words of TLS.
    pub verdict: Result<(), String>,
}

/// Where a witness writes what it saw.
pub(crate) type Seen = Arc<Mutex<Option<Presented>>>;

/// At which moment certificates are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    /// This one.
    At(UnixTime),
    /// One at which they are valid, if everything else about them is right. A connection that comes of it
    /// must serve for nothing but to ask what time it is there.
    Theirs(UnixTime),
}

/// A verifier that takes notes. It accepts what `inner` accepts, and nothing else.
#[derive(Debug)]
pub(super) struct Witness {
    pub(super) inner: Arc<dyn ServerCertVerifier>,
    pub(super) seen: Seen,
    pub(super) moment: Moment,
}

impl Witness {
    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
    ) -> Result<ServerCertVerified, Error> {
        let check = |now| self.inner.verify_server_cert(leaf, chain, name, ocsp, now);
        match self.moment {
            Moment::At(now) => check(now),
            Moment::Theirs(now) => match check(now) {
                Err(error) => match valid_at(&error) {
                    Some(theirs) => check(theirs),
                    None => Err(error),
                },
                verified => verified,
            },
        }
    }
}

/// A moment at which the certificate was valid that is not now.
fn valid_at(error: &Error) -> Option<UnixTime> {
    let Error::InvalidCertificate(error) = error else { return None };
    let seconds = if let CertificateError::ExpiredContext { not_after, .. } = error {
        not_after.as_secs().saturating_sub(1)
    } else if let CertificateError::NotValidYetContext { not_before, .. } = error {
        not_before.as_secs().saturating_add(1)
    } else {
        return None;
    };
    Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.check(leaf, chain, name, ocsp);
        let shown = std::iter::once(leaf).chain(chain).map(|one| one.clone().into_owned());
        let presented = Presented {
            chain: shown.collect(),
            verdict: verdict.as_ref().map(|_| ()).map_err(ToString::to_string),
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(presented);
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
