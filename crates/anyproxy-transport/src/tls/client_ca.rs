//! Which certificates let clients into a group.
//!
//! ```text
//! TLS     any certificate, with proof of its key (offered.rs)
//! log-in  ClientCa::check: issued by one of these, valid then, for clients, not revoked
//! ```
//!
//! The check is not TLS' own, since in TLS nobody has said yet which group it is about, an alert tells
//! nobody what to do, and a resumed TLS session would not be checked again.

use std::{fmt, sync::Arc};

use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, TrustAnchor, pem::PemObject as _,
};
use webpki::{
    CertRevocationList, EndEntityCert, Error, KeyUsage, OwnedCertRevocationList, RevocationOptions,
    RevocationOptionsBuilder,
};

use super::{OfferedCertificate, provider};

/// Why files of a CA and its revocation lists cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientCaError {
    /// The CA file holds no usable certificate.
    #[error("no CA certificate could be read: {0}")]
    Ca(String),
    /// The other file holds no usable list.
    #[error("no certificate revocation list could be read: {0}")]
    List(String),
}

/// Why a certificate lets nobody in, and what to do, as the client is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// Its time is over.
    #[error("this client's certificate has expired: renew it (or set the clocks)")]
    Expired,
    /// Its time has not come.
    #[error("this client's certificate is not valid yet: set the clocks, or wait")]
    NotYet,
    /// It is for something else.
    #[error(
        "this client's certificate is not for clients: issue one with extendedKeyUsage = clientAuth"
    )]
    Purpose,
    /// It was taken back.
    #[error("this client's certificate was revoked by its CA")]
    Revoked,
    /// There are lists, and none is of its CA.
    #[error(
        "there is no revocation list of this certificate's CA at the gateway: add it to client_crl"
    )]
    Unlisted,
    /// No CA of the group has issued it; and what exactly went wrong, for the log.
    #[error(
        "this client's certificate was not issued by a CA of this group (client_ca); if there are \
         intermediate CAs, client_certificate has to hold them too"
    )]
    Issuer(String),
}

/// The CAs that issue certificates of a group's clients, and what they took back.
#[derive(Clone)]
pub struct ClientCa(Arc<Inner>);

#[derive(Default)]
struct Inner {
    certificates: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
    list_files: Vec<CertificateRevocationListDer<'static>>,
    lists: Vec<CertRevocationList<'static>>,
}

impl fmt::Debug for ClientCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { certificates, list_files, .. } = &*self.0;
        write!(f, "ClientCa({} certificates, {} lists)", certificates.len(), list_files.len())
    }
}

/// What was read is the same.
impl PartialEq for ClientCa {
    fn eq(&self, other: &Self) -> bool {
        let read = |ca: &Self| (ca.0.certificates.clone(), ca.0.list_files.clone());
        Arc::ptr_eq(&self.0, &other.0) || read(self) == read(other)
    }
}

impl Eq for ClientCa {}

impl ClientCa {
    /// Reads the CA certificates of a PEM file, and the revocation lists of another.
    ///
    /// # Errors
    /// See [`ClientCaError`].
    pub fn from_pem(ca: &[u8], lists: Option<&[u8]>) -> Result<Self, ClientCaError> {
        let certificates = all(CertificateDer::pem_slice_iter(ca)).map_err(ClientCaError::Ca)?;
        let anchors = certificates.iter().map(|certificate| {
            let anchor = webpki::anchor_from_trusted_cert(certificate);
            anchor.map(|anchor| anchor.to_owned())
        });
        let anchors = anchors.collect::<Result<_, _>>();
        let anchors = anchors.map_err(|error| ClientCaError::Ca(error.to_string()))?;
        let list_files = match lists {
            Some(pem) => {
                let lists = all(CertificateRevocationListDer::pem_slice_iter(pem));
                lists.map_err(ClientCaError::List)?
            }
            None => vec![],
        };
        let lists = list_files.iter().map(|list| {
            let list = OwnedCertRevocationList::from_der(list.as_ref());
            list.map(CertRevocationList::from)
        });
        let lists = lists.collect::<Result<_, _>>();
        let lists = lists.map_err(|error| ClientCaError::List(error.to_string()))?;
        Ok(Self(Arc::new(Inner { certificates, anchors, list_files, lists })))
    }

    /// That of a group which nobody's certificate lets into. Checking against it is no quicker.
    #[must_use]
    pub fn nobodys() -> Self {
        Self(Arc::default())
    }

    /// Whether one CA is among both, so that a certificate would not tell which of them it is for.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.anchors.iter().any(|ours| {
            other.0.anchors.iter().any(|theirs| {
                let key = |anchor: &TrustAnchor<'static>| anchor.subject_public_key_info.clone();
                ours.subject == theirs.subject && key(ours) == key(theirs)
            })
        })
    }

    /// Whether the certificate lets a client in, as of when it was offered.
    ///
    /// # Errors
    /// See [`NotAccepted`].
    pub fn check(&self, offered: &OfferedCertificate) -> Result<(), NotAccepted> {
        let [leaf, intermediates @ ..] = offered.chain() else {
            return Err(NotAccepted::Issuer("there is none".into()));
        };
        let leaf = EndEntityCert::try_from(leaf).map_err(|error| not_accepted(&error))?;
        let lists = self.0.lists.iter().collect::<Vec<_>>();
        let checked = leaf.verify_for_usage(
            provider().signature_verification_algorithms.all,
            &self.0.anchors,
            intermediates,
            offered.moment(),
            KeyUsage::client_auth(),
            revocation(&lists),
            None,
        );
        checked.map(|_| ()).map_err(|error| not_accepted(&error))
    }
}

/// Where there are lists, each certificate has to be on one of its issuer's lists, or rather not to be: what
/// no list is about is not let in.
fn revocation<'a>(lists: &'a [&'a CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
    RevocationOptionsBuilder::new(lists).ok().map(RevocationOptionsBuilder::build)
}

/// Who has a certificate of somebody else learns nothing of the group's own CA: whatever is wrong with the way
/// to it is told alike.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "what has no name of its own is told alike, also what a later version adds"
)]
fn not_accepted(error: &Error) -> NotAccepted {
    match error {
        Error::CertExpired { .. } => NotAccepted::Expired,
        Error::CertNotValidYet { .. } => NotAccepted::NotYet,
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => NotAccepted::Purpose,
        Error::CertRevoked => NotAccepted::Revoked,
        Error::UnknownRevocationStatus => NotAccepted::Unlisted,
        other => NotAccepted::Issuer(other.to_string()),
    }
}

/// All entries of a PEM file, at least one.
fn all<T, E: fmt::Display>(entries: impl Iterator<Item = Result<T, E>>) -> Result<Vec<T>, String> {
    let entries = entries.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    if entries.is_empty() { Err("the file holds none".into()) } else { Ok(entries) }
}

#[cfg(test)]
mod tests;
