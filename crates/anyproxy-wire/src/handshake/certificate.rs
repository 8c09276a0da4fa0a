//! The proof of a client that has a certificate (method 5).
//!
//! ```text
//! TLS        certificate, and a signature with its key over the TLS handshake (RFC 8446, 4.4.3)
//! method 5   Auth = a keyed hash of the transcript, which covers the TLS exporter
//! ```
//!
//! The certificate is that of the connection, and TLS itself has proven its key. What is proven here is that
//! who logs in is who shook hands: a program between the two that ends TLS and has a certificate of
//! its own would otherwise log everybody in who comes through it.

use super::{ProofCheck, Transcript, compare_proofs, keys::hmac};

/// Authentication by the certificate that the client has shown in TLS.
pub const METHOD_CERTIFICATE: u64 = 5;

const CONTEXT: &[u8] = b"anyproxy/1 certificate";

/// The proof of the Auth message. `transcript` must cover the TLS exporter.
pub fn certificate_proof(transcript: &Transcript) -> [u8; 32] {
    hmac(&transcript.0, &[CONTEXT])
}

/// Checks the proof of an Auth message, in a time that does not depend on how wrong it is.
pub fn check_certificate_proof(transcript: &Transcript, proof: &[u8]) -> ProofCheck {
    match proof.try_into() {
        Ok(proof) => compare_proofs(&certificate_proof(transcript), proof),
        Err(_) => ProofCheck::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_good_for_one_tls_session() {
        let said = |exporter| Transcript::new(b"hello", b"challenge", Some(exporter));
        let proof = certificate_proof(&said(&[1; 32]));
        assert_eq!(check_certificate_proof(&said(&[1; 32]), &proof), ProofCheck::Right);
        assert_eq!(check_certificate_proof(&said(&[2; 32]), &proof), ProofCheck::Wrong);
        let unbound = Transcript::new(b"hello", b"challenge", None);
        assert_eq!(check_certificate_proof(&unbound, &proof), ProofCheck::Wrong);
    }

    #[test]
    fn no_other_length_is_a_proof() {
        let said = Transcript::new(b"hello", b"challenge", Some(&[1; 32]));
        let proof = certificate_proof(&said);
        let long = [&proof[..], &[0]].concat();
        for wrong in [&[][..], &proof[..31], &long, &[0; 32]] {
            assert_eq!(check_certificate_proof(&said, wrong), ProofCheck::Wrong);
        }
    }
}
