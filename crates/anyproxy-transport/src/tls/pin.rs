//! A pin: the SHA-256 of a CA's SubjectPublicKeyInfo (the hash of RFC 7469, in hexadecimal).

use std::{fmt, str::FromStr, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of the DER SubjectPublicKeyInfo of the gateway's CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

/// A text that is no pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a pin is written sha256: and 64 hexadecimal digits, as `anyproxy certs --show` prints it")]
pub struct PinError;

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let digits = text.trim().strip_prefix("sha256:").ok_or(PinError)?.as_bytes();
        if digits.len() != 64 {
            return Err(PinError);
        }
        let mut pin = [0; 32];
        for (byte, pair) in pin.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| PinError)?;
            if pair.starts_with('+') {
                return Err(PinError);
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| PinError)?;
        }
        Ok(Self(pin))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Pin {
    /// A pin of its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The pin of a certificate's public key; `None` when it is no X.509 version 3 certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let anchor = webpki::anchor_from_trusted_cert(certificate).ok()?;
        let spki: &[u8] = anchor.subject_public_key_info.as_ref();
        // webpki hands out the contents of the SEQUENCE; the hash covers its header too.
        let mut hash = Sha256::new();
        hash.update(sequence_header(spki.len()));
        hash.update(spki);
        Some(Self(hash.finalize().into()))
    }
}

/// The DER tag and length of a SEQUENCE (X.690, 8.1.3).
fn sequence_header(length: usize) -> Vec<u8> {
    let bytes = length.to_be_bytes();
    let significant = bytes.iter().skip_while(|byte| **byte == 0).copied().collect::<Vec<_>>();
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => vec![0x30, short],
        _ => {
            let count = u8::try_from(significant.len()).unwrap_or(0);
            let mut header = vec![0x30, 0x80 | count];
            header.extend(significant);
            header
        }
    }
}

/// Accepts a leaf that chains to the pinned CA and matches the server's name.
#[derive(Debug)]
pub(super) struct PinVerifier {
    pub(super) pin: Pin,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in chain.iter().filter(|cert| Pin::of(cert) == Some(self.pin)) {
            roots.add(certificate.clone().into_owned())?;
        }
        if roots.is_empty() {
            let seen = chain.iter().filter_map(Pin::of).map(|pin| pin.to_string());
            let seen = seen.collect::<Vec<_>>().join(", ");
            let seen = if seen.is_empty() { "it sent no CA certificate".into() } else { seen };
            return Err(Error::General(format!(
                "the gateway is not the pinned one: expected {}, got {seen}; compare with the pin \
                 that `anyproxy certs --show` prints on the gateway",
                self.pin
            )));
        }
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|_| Error::InvalidCertificate(CertificateError::UnknownIssuer))?
            .verify_server_cert(leaf, chain, name, ocsp, now)
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

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};

    use super::*;

    #[test]
    fn a_pin_is_the_hash_of_the_whole_public_key_info() {
        for algorithm in
            [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519, &rcgen::PKCS_RSA_SHA256]
        {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate = CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
            let expected = Sha256::digest(key.subject_public_key_info());
            assert_eq!(Pin::of(certificate.der()), Some(Pin(expected.into())));
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_pin() {
        assert_eq!(Pin::of(&CertificateDer::from(vec![])), None);
        assert_eq!(Pin::of(&CertificateDer::from(vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff])), None);
    }

    #[test]
    fn texts_round_trip_and_others_are_refused() {
        let text = format!("sha256:{}", "0aF9".repeat(16));
        assert_eq!(text.parse::<Pin>().unwrap().to_string(), text.to_lowercase());
        let short = &text[..70];
        for wrong in
            ["", "sha256:", short, &text[7..], &text.replace("0a", "+a"), &text.replace('F', "é")]
        {
            assert_eq!(wrong.parse::<Pin>(), Err(PinError), "{wrong}");
        }
    }
}
