//! Keys of enrolled clients: Ed25519 (RFC 8032), by the library that does TLS.

use std::fmt;

use anyproxy_wire::{
    handshake::{ProofCheck, PublicKey, Secret, Transcript, to_be_signed},
    message::SecretBytes,
};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

/// The length of a key's seed, from which the whole key follows.
const SEED: usize = 32;

/// A client's own key.
pub struct ClientKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// Bytes that are no seed of a key. It does not repeat them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key's seed has 32 bytes")]
pub struct BadSeed;

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey(..)")
    }
}

impl ClientKey {
    /// A new seed, of 32 random bytes.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn new_seed() -> Result<Secret, getrandom::Error> {
        let mut seed = zeroize::Zeroizing::new([0; SEED]);
        getrandom::fill(seed.as_mut_slice())?;
        Ok(SecretBytes::new(seed.as_slice()))
    }

    /// The key of a seed.
    ///
    /// # Errors
    /// [`BadSeed`] unless it has 32 bytes.
    pub fn from_seed(seed: &Secret) -> Result<Self, BadSeed> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| BadSeed)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| BadSeed)?;
        Ok(Self { pair, public })
    }

    /// What others know it by.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs what was said; `None` if the library refuses, which it has no reason to.
    pub(crate) fn sign(&self, transcript: &Transcript) -> Option<[u8; 64]> {
        let signature = self.pair.try_sign(&to_be_signed(transcript)).ok()?;
        signature.as_ref().try_into().ok()
    }
}

/// Checks a client's signature of what was said.
pub fn check_signature(
    key: &PublicKey,
    transcript: &Transcript,
    signature: &[u8; 64],
) -> ProofCheck {
    let key = UnparsedPublicKey::new(&ED25519, key);
    match key.verify(&to_be_signed(transcript), signature) {
        Ok(()) => ProofCheck::Right,
        Err(_) => ProofCheck::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_signs_only_what_was_said() {
        let said = Transcript::new(b"hello", b"challenge", Some(&[1; 32]));
        let key = ClientKey::from_seed(&ClientKey::new_seed().unwrap()).unwrap();
        let other = ClientKey::from_seed(&ClientKey::new_seed().unwrap()).unwrap();
        let signature = key.sign(&said).unwrap();
        assert_eq!(check_signature(&key.public(), &said, &signature), ProofCheck::Right);
        assert_eq!(check_signature(&other.public(), &said, &signature), ProofCheck::Wrong);
        for heard in [
            Transcript::new(b"hellp", b"challenge", Some(&[1; 32])),
            Transcript::new(b"hello", b"challenge", Some(&[2; 32])),
            Transcript::new(b"hello", b"challenge", None),
        ] {
            assert_eq!(check_signature(&key.public(), &heard, &signature), ProofCheck::Wrong);
        }
        for bit in [0, 255, 256, 511] {
            let mut changed = signature;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(check_signature(&key.public(), &said, &changed), ProofCheck::Wrong);
        }
    }

    #[test]
    fn a_seed_has_32_bytes() {
        for length in [0, 31, 33, 64] {
            assert!(ClientKey::from_seed(&Secret::new(vec![1; length])).is_err(), "{length}");
        }
    }
}
