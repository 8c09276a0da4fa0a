//! A certificate authority of one gateway's own.

use std::time::{Duration, SystemTime};

use anyproxy_transport::tls::Pin;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SerialNumber,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use zeroize::Zeroizing;

use super::{CertsError, inspect};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a CA lives: clients pin its key, so it outlives many certificates.
const CA_LIFE: Duration = DAY.saturating_mul(3_650);
/// How long a gateway's certificate lives: what CAs of the web were last allowed for a year's
/// renewal (CA/Browser Forum Baseline Requirements, 6.3.2).
const LEAF_LIFE: Duration = DAY.saturating_mul(397);
/// Validity starts that much earlier, for clients whose clock is behind.
const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);

/// A CA certificate with its key.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a CA with a new ECDSA P-256 key, valid from `now` for ten years.
    ///
    /// # Errors
    ///
    /// [`CertsError::Generate`] or [`CertsError::Random`].
    pub fn generate(now: SystemTime) -> Result<Self, CertsError> {
        let key = new_key()?;
        // A name of its own: two CAs of one name and different keys confuse trust stores.
        let mut tag = [0; 4];
        getrandom::fill(&mut tag)?;
        let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut params = params(&format!("AnyProxy CA {tag}"), now, CA_LIFE)?;
        // It signs gateways and no further CA.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// Reads a CA from its PEM texts; `None` unless both are well-formed and belong together.
    #[must_use]
    pub fn from_pem(certificate: &str, key: &str) -> Option<Self> {
        let key = KeyPair::from_pem(key).ok()?;
        if inspect::public_key(certificate.as_bytes())? != key.subject_public_key_info() {
            return None;
        }
        let issuer = Issuer::from_ca_cert_pem(certificate, key).ok()?;
        Some(Self { certificate: certificate.to_owned(), issuer })
    }

    /// The CA's certificate, PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// The CA's private key, PEM.
    #[must_use]
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// What clients pin.
    ///
    /// # Errors
    ///
    /// [`CertsError::Generate`] when the CA's own certificate cannot be read back.
    pub fn pin(&self) -> Result<Pin, CertsError> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .ok()
            .and_then(|der| Pin::of(&der))
            .ok_or(CertsError::Generate(rcgen::Error::CouldNotParseCertificate))
    }

    /// Issues a certificate for `names` (DNS names and IP addresses) and `key`, valid from `now` for
    /// 397 days at most, and never longer than the CA. Returns the chain, PEM: leaf, then CA.
    ///
    /// # Errors
    ///
    /// [`CertsError::Generate`] for a name that no certificate can carry, [`CertsError::Random`].
    pub fn issue(
        &self,
        names: &[String],
        key: &KeyPair,
        now: SystemTime,
    ) -> Result<String, CertsError> {
        self.issue_for(names, key, (now, LEAF_LIFE))
    }

    /// The same, valid for `life` at most.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue).
    pub(crate) fn issue_for(
        &self,
        names: &[String],
        key: &KeyPair,
        (now, life): (SystemTime, Duration),
    ) -> Result<String, CertsError> {
        let name = names.first().map_or("anyproxy gateway", String::as_str);
        let mut params = params(name, now, self.rest_of_life(now).min(life))?;
        params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(key, &self.issuer)?;
        Ok(leaf.pem() + &self.certificate)
    }

    /// How long the CA itself is still valid, counted from a certificate's start.
    fn rest_of_life(&self, now: SystemTime) -> Duration {
        let end = inspect::expiry(self.certificate.as_bytes())
            .and_then(|expiry| u64::try_from(expiry.timestamp()).ok())
            .map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        end.and_then(|end| end.duration_since(now - CLOCK_SKEW).ok()).unwrap_or_default()
    }
}

/// Makes an ECDSA P-256 key.
///
/// # Errors
///
/// [`CertsError::Generate`].
pub(crate) fn new_key() -> Result<KeyPair, CertsError> {
    Ok(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?)
}

fn params(name: &str, now: SystemTime, life: Duration) -> Result<CertificateParams, CertsError> {
    // rcgen derives the serial number from the key, so a renewed certificate would repeat it; RFC
    // 5280 (4.1.2.2) wants it unique, positive and at most 20 bytes long.
    let mut serial = [0; 16];
    getrandom::fill(&mut serial)?;
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let start = now - CLOCK_SKEW;
    params.not_before = start.into();
    params.not_after = (start + life).into();
    Ok(params)
}
