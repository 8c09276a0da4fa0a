//! Keys that both sides derive from the shared secret.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

const CLIENT_LABEL: &[u8] = b"anyproxy/1 client key";
const GATEWAY_LABEL: &[u8] = b"anyproxy/1 gateway key";
const TEXT_PREFIX: &str = "anyproxy1";

/// SHA-256 takes blocks of this many bytes, to which HMAC fits its key (RFC 2104 section 2).
const BLOCK: usize = 64;

/// A text that is not a [`Verifier`]. It does not repeat the text, which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not of the form anyproxy1:<64 hexadecimal digits>:<64 hexadecimal digits>")]
pub struct InvalidVerifier;

/// What a gateway keeps of a secret: enough to check a client and to show its own knowledge, not
/// enough to play a client.
#[derive(Clone)]
pub struct Verifier {
    stored_key: Zeroizing<[u8; 32]>,
    gateway_key: Zeroizing<[u8; 32]>,
}

impl Verifier {
    /// Derives the verifier of a secret.
    pub fn from_secret(secret: &super::Secret) -> Self {
        let stored_key = sha256(&[client_key(secret.expose()).as_slice()]);
        Self { stored_key: stored_key.into(), gateway_key: gateway_key(secret.expose()) }
    }

    /// The form for files, `anyproxy1:<stored key>:<gateway key>` in lower-case hexadecimal.
    pub fn to_text(&self) -> String {
        format!("{TEXT_PREFIX}:{}:{}", to_hex(&self.stored_key), to_hex(&self.gateway_key))
    }

    /// Reads the form for files; takes digits of either case.
    ///
    /// # Errors
    ///
    /// [`InvalidVerifier`] for any other text.
    pub fn from_text(text: &str) -> Result<Self, InvalidVerifier> {
        let mut parts = text.split(':');
        let parts = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(TEXT_PREFIX), Some(stored), Some(gateway), None) = parts else {
            return Err(InvalidVerifier);
        };
        Ok(Self { stored_key: from_hex(stored)?, gateway_key: from_hex(gateway)? })
    }

    pub(super) fn stored_key(&self) -> &[u8; 32] {
        &self.stored_key
    }

    pub(super) fn gateway_key(&self) -> &[u8; 32] {
        &self.gateway_key
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

/// In constant time, as for all secrets.
impl PartialEq for Verifier {
    fn eq(&self, other: &Self) -> bool {
        let stored = self.stored_key.as_slice().ct_eq(other.stored_key.as_slice());
        let gateway = self.gateway_key.as_slice().ct_eq(other.gateway_key.as_slice());
        (stored & gateway).into()
    }
}

impl Eq for Verifier {}

pub(super) fn client_key(secret: &[u8]) -> Zeroizing<[u8; 32]> {
    hmac(secret, &[CLIENT_LABEL]).into()
}

pub(super) fn gateway_key(secret: &[u8]) -> Zeroizing<[u8; 32]> {
    hmac(secret, &[GATEWAY_LABEL]).into()
}

pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
}

/// HMAC-SHA256. Fitting the key to a block here spares an error that cannot occur.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = Zeroizing::new([0; BLOCK]);
    let digest = Zeroizing::new(if key.len() > BLOCK { sha256(&[key]) } else { [0; 32] });
    let key = if key.len() > BLOCK { digest.as_slice() } else { key };
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let mac = Hmac::<Sha256>::new((&*block).into());
    parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
}

pub(super) fn xor(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    let mut bytes = *a;
    bytes.iter_mut().zip(b).for_each(|(byte, b)| *byte ^= b);
    bytes
}

fn to_hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Result<Zeroizing<[u8; 32]>, InvalidVerifier> {
    let mut bytes = Zeroizing::new([0; 32]);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return Err(InvalidVerifier);
    }
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(high)? << 4) | digit(low)?;
    }
    Ok(bytes)
}

fn digit(character: u8) -> Result<u8, InvalidVerifier> {
    let digit = char::from(character).to_digit(16).ok_or(InvalidVerifier)?;
    u8::try_from(digit).map_err(|_| InvalidVerifier)
}
