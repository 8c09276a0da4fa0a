//! Proofs of clients that have a key of their own, and of those that enrol one (methods 3 and 4).
//!
//! ```text
//! method 3   Auth = public key, signature(context | transcript)
//! method 4   Auth = token, public key, signature and proof over both and the transcript
//!            Welcome = the gateway's proof that it knows the token's secret
//! ```
//!
//! The signatures themselves are made and checked elsewhere: this crate has no curve. A transcript
//! covers both nonces, the group, the client id and, where proofs are bound, the TLS exporter.

use super::{Transcript, keys::sha256};

/// Authentication by a key that was enrolled: the client signs the transcript with Ed25519.
pub const METHOD_KEY: u64 = 3;

/// Enrolment: the client proves that it knows a token's secret, and that it has a key.
pub const METHOD_TOKEN: u64 = 4;

const CONTEXT: &[u8; 14] = b"anyproxy/1 key";
const ENROLMENT: &[u8] = b"anyproxy/1 enrolment";

/// The bytes of an Ed25519 public key (RFC 8032).
pub type PublicKey = [u8; 32];

/// What tells one token from others; it is no secret.
pub type TokenId = [u8; 8];

/// What a client with an enrolled key presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyProof {
    /// The client's key.
    pub key: PublicKey,
    /// Its signature of [`to_be_signed`].
    pub signature: [u8; 64],
}

/// What a client presents that enrols its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenProof {
    /// Which token it has.
    pub token: TokenId,
    /// The key to enrol.
    pub key: PublicKey,
    /// Its signature of [`to_be_signed`], over the [`enrolment`].
    pub signature: [u8; 64],
    /// The [`client_proof`](super::client_proof) of the token's secret, over the [`enrolment`].
    pub proof: [u8; 32],
}

impl KeyProof {
    /// How many bytes it has.
    pub const LENGTH: usize = 96;

    /// The bytes of Auth's proof.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.key[..], &self.signature].concat()
    }

    /// Reads Auth's proof; `None` unless its length is right.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (key, signature) = bytes.split_first_chunk()?;
        Some(Self { key: *key, signature: signature.try_into().ok()? })
    }
}

impl TokenProof {
    /// How many bytes it has.
    pub const LENGTH: usize = 136;

    /// The bytes of Auth's proof.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.token[..], &self.key, &self.signature, &self.proof].concat()
    }

    /// Reads Auth's proof; `None` unless its length is right.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (token, rest) = bytes.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk()?;
        let (signature, proof) = rest.split_first_chunk()?;
        let (token, key, signature) = (*token, *key, *signature);
        Some(Self { token, key, signature, proof: proof.try_into().ok()? })
    }
}

/// What a client's key signs.
#[must_use]
pub fn to_be_signed(transcript: &Transcript) -> [u8; 46] {
    let mut message = [0; 46];
    let parts = CONTEXT.iter().chain(&transcript.0);
    message.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
    message
}

/// The transcript of an enrolment: what was said, and which key is enrolled with which token.
#[must_use]
pub fn enrolment(transcript: &Transcript, token: &TokenId, key: &PublicKey) -> Transcript {
    Transcript(sha256(&[ENROLMENT, &transcript.0, token, key]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_survive_their_bytes_and_no_other_length_does() {
        let proof = KeyProof { key: [1; 32], signature: [2; 64] };
        let bytes = proof.to_bytes();
        assert_eq!((bytes.len(), KeyProof::from_bytes(&bytes)), (KeyProof::LENGTH, Some(proof)));
        let token = TokenProof { token: [3; 8], key: [4; 32], signature: [5; 64], proof: [6; 32] };
        let long = token.to_bytes();
        assert_eq!((long.len(), TokenProof::from_bytes(&long)), (TokenProof::LENGTH, Some(token)));
        for length in 0..200 {
            let bytes = vec![7; length];
            assert_eq!(KeyProof::from_bytes(&bytes).is_some(), length == KeyProof::LENGTH);
            assert_eq!(TokenProof::from_bytes(&bytes).is_some(), length == TokenProof::LENGTH);
        }
    }

    #[test]
    fn what_is_signed_depends_on_every_part() {
        let transcript = Transcript::new(b"hello", b"challenge", None);
        let one = enrolment(&transcript, &[1; 8], &[2; 32]);
        for other in [
            enrolment(&Transcript::new(b"hello", b"challengf", None), &[1; 8], &[2; 32]),
            enrolment(&transcript, &[2; 8], &[2; 32]),
            enrolment(&transcript, &[1; 8], &[3; 32]),
            transcript,
        ] {
            assert_ne!(to_be_signed(&one), to_be_signed(&other));
        }
        assert!(to_be_signed(&one).starts_with(b"anyproxy/1 key"));
        assert!(to_be_signed(&one).ends_with(&one.0));
    }
}
