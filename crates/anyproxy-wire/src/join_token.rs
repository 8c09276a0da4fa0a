//! The bytes of a join token: all that a client needs to find its gateway, know it, and enrol.
//!
//! ```text
//! flags (1) | token id (8) | secret (16) | pin (32, with flag 1)
//!           | length (1), group | length (1), address | checksum (4)
//! ```
//!
//! The checksum finds typing errors, nothing else. A token is typed, pasted and passed on: whatever
//! is wrong with one has a name, and no error repeats the secret.

use std::fmt;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::{handshake::TokenId, message::SecretBytes};

/// What stands before the bytes in the token's text, and in its checksum; it names the version.
pub const PREFIX: &str = "apj1_";

/// The length of a token's secret, in bytes: 128 bits, generated.
pub const SECRET: usize = 16;

/// The most bytes that a token has.
pub const LONGEST: usize = 1 + 8 + SECRET + 32 + 1 + MAX_GROUP + 1 + MAX_ADDRESS + CHECKSUM;

const MAX_GROUP: usize = 64;
const MAX_ADDRESS: usize = 255;
/// The length of the checksum, in bytes.
pub const CHECKSUM: usize = 4;
const HAS_PIN: u8 = 1;

/// A token, as a gateway makes it and a client reads it.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Which token it is.
    pub id: TokenId,
    /// What proves that the client was given it.
    pub secret: SecretBytes,
    /// SHA-256 of the public key of the gateway's CA; `None`: the system's roots vouch for it.
    pub pin: Option<[u8; 32]>,
    /// The group to join, 1 to 64 bytes.
    pub group: String,
    /// The gateway's `host:port`, 1 to 255 bytes.
    pub address: String,
}

/// What is wrong with the bytes of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadToken {
    /// It is cut, or there is more behind it.
    #[error("a part of the token is missing, or something follows it")]
    Length,
    /// A character is another one.
    #[error("a character of the token is wrong (its checksum does not fit)")]
    Checksum,
    /// A newer program made it.
    #[error("the token asks for something that this program does not know")]
    Unknown,
    /// It does not hold what it should.
    #[error("the token names no group or no address")]
    Content,
}

/// Hides the secret.
impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("group", &self.group)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl JoinToken {
    /// The token's bytes. Texts over their limits are cut, so that no client takes the token: check
    /// beforehand.
    #[must_use]
    pub fn to_bytes(&self) -> SecretBytes {
        let mut bytes = vec![if self.pin.is_some() { HAS_PIN } else { 0 }];
        bytes.extend_from_slice(&self.id);
        bytes.extend(self.secret.expose().iter().take(SECRET));
        bytes.extend(self.pin.iter().flatten());
        for (text, most) in [(&self.group, MAX_GROUP), (&self.address, MAX_ADDRESS)] {
            let text = text.as_bytes().get(..most).unwrap_or(text.as_bytes());
            bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(text);
        }
        let checksum = Self::checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        SecretBytes::new(bytes)
    }

    /// Reads a token.
    ///
    /// # Errors
    ///
    /// See [`BadToken`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadToken> {
        let (body, found) = bytes.split_last_chunk::<CHECKSUM>().ok_or(BadToken::Length)?;
        if bytes.len() > LONGEST {
            return Err(BadToken::Length);
        }
        if Self::checksum(body) != *found {
            return Err(BadToken::Checksum);
        }
        let (&flags, rest) = body.split_first().ok_or(BadToken::Length)?;
        if flags & !HAS_PIN != 0 {
            return Err(BadToken::Unknown);
        }
        let (id, rest) = rest.split_first_chunk().ok_or(BadToken::Length)?;
        let (secret, rest) = rest.split_first_chunk::<SECRET>().ok_or(BadToken::Length)?;
        let (pin, rest) = match flags & HAS_PIN {
            0 => (None, rest),
            _ => rest
                .split_first_chunk()
                .map(|(pin, rest)| (Some(*pin), rest))
                .ok_or(BadToken::Length)?,
        };
        let (group, rest) = text(rest, MAX_GROUP)?;
        let (address, rest) = text(rest, MAX_ADDRESS)?;
        if !rest.is_empty() {
            return Err(BadToken::Length);
        }
        Ok(Self { id: *id, secret: SecretBytes::new(&secret[..]), pin, group, address })
    }

    /// The checksum of a token whose other bytes are `body`.
    #[must_use]
    pub fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
        let digest = Sha256::new().chain_update(PREFIX).chain_update(body).finalize();
        let digest: [u8; 32] = digest.into();
        digest.first_chunk().copied().unwrap_or_default()
    }
}

fn text(bytes: &[u8], most: usize) -> Result<(String, &[u8]), BadToken> {
    let (&length, rest) = bytes.split_first().ok_or(BadToken::Length)?;
    let (text, rest) = rest.split_at_checked(usize::from(length)).ok_or(BadToken::Length)?;
    match std::str::from_utf8(text) {
        Ok(text) if (1..=most).contains(&text.len()) && !text.contains(char::is_control) => {
            Ok((text.to_owned(), rest))
        }
        Ok(_) | Err(_) => Err(BadToken::Content),
    }
}

#[cfg(test)]
mod tests;
