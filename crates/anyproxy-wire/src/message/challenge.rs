//! Challenge: what the gateway chose from Hello, and its nonce.

use bytes::BytesMut;

use super::fields::{Field, Fields, Writer};
use crate::WireError;

const VERSION: Field = Field(1, "version");
const FEATURES: Field = Field(2, "features");
const METHOD: Field = Field(3, "method");
const NONCE: Field = Field(4, "nonce");
const BINDING: Field = Field(5, "binding");

/// The gateway's answer to Hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// One of the offered versions.
    pub version: u64,
    /// Feature bits that both sides know.
    pub features: u64,
    /// One of the offered authentication methods.
    pub method: u64,
    /// Fresh random bytes.
    pub nonce: [u8; 32],
    /// Whether the proofs cover the TLS connection.
    pub binding: Binding,
}

/// Whether the proofs cover the TLS connection under the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binding {
    /// No: somebody whom both trust may end TLS between them.
    None,
    /// Yes: the transcript holds the TLS exporter.
    Exporter,
}

impl Challenge {
    /// Appends the payload.
    pub fn encode(&self, out: &mut BytesMut) {
        let binding = match self.binding {
            Binding::None => 0,
            Binding::Exporter => 1,
        };
        Writer(out)
            .number(VERSION, self.version)
            .number_unless(FEATURES, 0, self.features)
            .number(METHOD, self.method)
            .bytes(NONCE, &self.nonce)
            .number_unless(BINDING, 0, binding);
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// Any [`WireError`] of a list of fields.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let fields = &Fields::parse("Challenge", payload)?;
        let missing = |field| move || fields.missing(field);
        let binding = match fields.number(BINDING)?.unwrap_or(0) {
            0 => Binding::None,
            1 => Binding::Exporter,
            _ => return Err(fields.invalid(BINDING)),
        };
        Ok(Self {
            version: fields.number(VERSION)?.ok_or_else(missing(VERSION))?,
            features: fields.number(FEATURES)?.unwrap_or(0),
            method: fields.number(METHOD)?.ok_or_else(missing(METHOD))?,
            nonce: fields.array(NONCE)?.ok_or_else(missing(NONCE))?,
            binding,
        })
    }
}
