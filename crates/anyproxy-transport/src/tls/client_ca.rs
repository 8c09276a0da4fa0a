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
    RevocationOptionsBuilder, VerifiedPath,
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

/// Why the CAs of two groups do not tell which of them a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// One is among both.
    Same,
    /// The first group's issued one of the second's.
    FirstIssuedSecond,
    /// The second group's issued one of the first's.
    SecondIssuedFirst,
}

/// The CAs that issue certificates of a group's clients, and what they took back.
#[derive(Clone)]
pub struct ClientCa {
    read: Arc<Inner>,
    /// CAs of other groups.
    others: Arc<[TrustAnchor<'static>]>,
}

#[derive(Default)]
struct Inner {
    certificates: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
    list_files: Vec<CertificateRevocationListDer<'static>>,
    lists: Vec<CertRevocationList<'static>>,
}

impl fmt::Debug for ClientCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { certificates, list_files, .. } = &*self.read;
        write!(f, "ClientCa({} certificates, {} lists)", certificates.len(), list_files.len())
    }
}

/// What was read is the same, and what the other groups have.
impl PartialEq for ClientCa {
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (&self.read, &other.read);
        let is_read = Arc::ptr_eq(one, two)
            || (&one.certificates, &one.list_files) == (&two.certificates, &two.list_files);
        is_read && self.others == other.others
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
        let read = Arc::new(Inner { certificates, anchors, list_files, lists });
        Ok(Self { read, others: Arc::default() })
    }

    /// That of a group which nobody's certificate lets into. Checking against it is no quicker.
    #[must_use]
    pub fn nobodys() -> Self {
        Self { read: Arc::default(), others: Arc::default() }
    }

    /// Why a certificate would not tell which of both it is for. That a CA issued another is taken from the
    /// names: two of one name are the same here.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> Option<Overlap> {
        let same = |ours| other.read.anchors.iter().any(|theirs| is_same(ours, theirs));
        if self.read.anchors.iter().any(same) {
            return Some(Overlap::Same);
        }
        if other.has_issuer_in(self) {
            return Some(Overlap::FirstIssuedSecond);
        }
        self.has_issuer_in(other).then_some(Overlap::SecondIssuedFirst)
    }

    fn has_issuer_in(&self, other: &Self) -> bool {
        self.read.certificates.iter().any(|certificate| {
            // One of version 1 is a root.
            let Ok(ours) = EndEntityCert::try_from(certificate) else { return false };
            let named = |theirs: &TrustAnchor<'_>| theirs.subject.as_ref() == ours.issuer();
            ours.issuer() != ours.subject() && other.read.anchors.iter().any(named)
        })
    }

    /// The same for a group that has others beside it: what comes by way of a CA of theirs is for them, also
    /// where CAs between hide that from [`overlap`](Self::overlap).
    #[must_use]
    pub fn beside<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> Self {
        let others = others.into_iter().flat_map(|other| other.read.anchors.iter().cloned());
        Self { read: Arc::clone(&self.read), others: others.collect() }
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
        let lists = self.read.lists.iter().collect::<Vec<_>>();
        let checked = leaf.verify_for_usage(
            provider().signature_verification_algorithms.all,
            &self.read.anchors,
            intermediates,
            offered.moment(),
            KeyUsage::client_auth(),
            revocation(&lists),
            Some(&|path: &VerifiedPath<'_>| self.is_own(path)),
        );
        checked.map(|_| ()).map_err(|error| not_accepted(&error))
    }

    /// Whether no CA of another group is on the way, neither under another key nor another name.
    fn is_own(&self, path: &VerifiedPath<'_>) -> Result<(), Error> {
        for between in path.intermediate_certificates() {
            let der = between.der();
            let between = webpki::anchor_from_trusted_cert(&der)?;
            let resembles = |other: &TrustAnchor<'_>| {
                other.subject == between.subject || is_key_of_both(other, &between)
            };
            if self.others.iter().any(resembles) {
                return Err(Error::UnknownIssuer);
            }
        }
        Ok(())
    }
}

fn is_same(one: &TrustAnchor<'_>, other: &TrustAnchor<'_>) -> bool {
    one.subject == other.subject && is_key_of_both(one, other)
}

fn is_key_of_both(one: &TrustAnchor<'_>, other: &TrustAnchor<'_>) -> bool {
    one.subject_public_key_info == other.subject_public_key_info
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
