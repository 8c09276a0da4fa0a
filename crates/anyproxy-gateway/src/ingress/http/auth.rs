//! `Proxy-Authorization: Basic` (RFC 9110 section 11.7.2, RFC 7617).
//!
//! The header is read here, never logged, and never passed on.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, HeaderValue, header::PROXY_AUTHORIZATION};
use zeroize::Zeroizing;

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The challenge that goes with a 407. RFC 7617 section 2.1: `charset` tells that user names and
/// passwords are UTF-8.
pub const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"anyproxy\", charset=\"UTF-8\"");

/// A user name and a password as they came; wiped when dropped.
pub struct Login {
    decoded: Zeroizing<Vec<u8>>,
    colon: usize,
}

impl Login {
    /// The login of a request. `None` when there is none, more than one, or one that is not legal
    /// Basic: all of these get the challenge.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(PROXY_AUTHORIZATION).iter();
        let value = values.next()?;
        if values.next().is_some() {
            return None;
        }
        Self::parse(value.as_bytes())
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let (scheme, rest) = value.split_at_checked(5)?;
        if !scheme.eq_ignore_ascii_case(b"Basic") || rest.first() != Some(&b' ') {
            return None;
        }
        let decoded = Zeroizing::new(BASE64.decode(rest.trim_ascii()).ok()?);
        // A user name has no colon; a password may.
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        std::str::from_utf8(decoded.get(..colon)?).ok()?;
        Some(Self { decoded, colon })
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        let name = self.decoded.get(..self.colon).unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }

    /// The password.
    pub fn password(&self) -> &[u8] {
        self.decoded.get(self.colon.saturating_add(1)..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
