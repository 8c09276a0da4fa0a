//! What a certificate says about itself.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use anyproxy_transport::tls::Pin;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, pem::PemObject as _};
use x509_parser::{
    extensions::GeneralName,
    prelude::{ASN1Time, CertificateRevocationList, FromDer as _, X509Certificate},
};

/// When a certificate stops being valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry(ASN1Time);

impl Expiry {
    /// Whether that is in the past, by the system's clock.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.0 < ASN1Time::now()
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn timestamp(self) -> i64 {
        self.0.timestamp()
    }
}

impl fmt::Display for Expiry {
    /// Writes the date: `2030-01-31`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_datetime().date().fmt(f)
    }
}

/// When the first certificate of a PEM text expires; `None` if it holds none.
#[must_use]
pub fn expiry(pem: &[u8]) -> Option<Expiry> {
    inspect(pem, |certificate| Expiry(certificate.validity().not_after))
}

/// When a DER certificate expires; `None` if it is none.
#[must_use]
pub fn expiry_of(certificate: &[u8]) -> Option<Expiry> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(Expiry(certificate.validity().not_after))
}

/// When the first of the revocation lists of a PEM text is to be replaced by a newer one (RFC 5280, 5.1.2.5);
/// `None` if none says it.
pub(crate) fn next_update(pem: &[u8]) -> Option<Expiry> {
    let lists = CertificateRevocationListDer::pem_slice_iter(pem).filter_map(Result::ok);
    let next = lists.filter_map(|list| {
        let (_, list) = CertificateRevocationList::from_der(&list).ok()?;
        list.next_update().map(Expiry)
    });
    next.min()
}

/// From when to when the first certificate of a PEM text is valid, in seconds since 1970; `None` if it
/// holds none.
pub(crate) fn validity(pem: &[u8]) -> Option<(i64, i64)> {
    inspect(pem, |certificate| {
        let validity = certificate.validity();
        (validity.not_before.timestamp(), validity.not_after.timestamp())
    })
}

/// The names that the first certificate of a PEM text carries; `None` if it holds none.
pub(super) fn names(pem: &[u8]) -> Option<Vec<String>> {
    names_of(&CertificateDer::from_pem_slice(pem).ok()?)
}

/// The same, of a DER certificate.
pub(super) fn names_of(certificate: &[u8]) -> Option<Vec<String>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.iter());
    Some(names.into_iter().flatten().filter_map(name).collect())
}

/// The public key of the first certificate of a PEM text, as DER `SubjectPublicKeyInfo`.
pub(super) fn public_key(pem: &[u8]) -> Option<Vec<u8>> {
    inspect(pem, |certificate| certificate.tbs_certificate.subject_pki.raw.to_vec())
}

/// The pin of the CA with which a PEM chain ends; `None` unless that CA is one of our kind, which
/// nobody else has signed: what a public CA issued is not to be pinned.
#[must_use]
pub fn authority_pin(pem: &[u8]) -> Option<Pin> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().ok()?;
    own_authority(&chain)
}

/// The pin of the first certificate of a PEM text; `None` if it holds none.
pub(super) fn pin(pem: &[u8]) -> Option<Pin> {
    Pin::of(&CertificateDer::from_pem_slice(pem).ok()?)
}

/// The same, of a chain that is read.
pub(super) fn own_authority(chain: &[CertificateDer<'_>]) -> Option<Pin> {
    let [_, .., last] = chain else { return None };
    let (_, certificate) = X509Certificate::from_der(last).ok()?;
    let own = certificate.is_ca() && certificate.subject() == certificate.issuer();
    own.then(|| Pin::of(last)).flatten()
}

fn inspect<T>(pem: &[u8], look: impl FnOnce(&X509Certificate<'_>) -> T) -> Option<T> {
    let der = CertificateDer::from_pem_slice(pem).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    Some(look(&certificate))
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(name) = name {
        return Some((*name).to_owned());
    }
    let GeneralName::IPAddress(octets) = name else { return None };
    let v4 = <[u8; 4]>::try_from(*octets).map(|octets| IpAddr::from(Ipv4Addr::from(octets)));
    let v6 = <[u8; 16]>::try_from(*octets).map(|octets| IpAddr::from(Ipv6Addr::from(octets)));
    v4.or(v6).ok().map(|ip| ip.to_string())
}
