//! Auth: the client's proof.

use bytes::BytesMut;

use super::SecretBytes;
use super::fields::{Field, Fields, Writer};
use crate::WireError;

const PROOF: Field = Field(1, "proof");
const JOIN_PROOF: Field = Field(2, "join proof");

/// The client's answer to Challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// What the chosen method asks for, at most [`Auth::MAX_PROOF`] bytes. With the password
    /// method it is the password, hence the type.
    pub proof: SecretBytes,
    /// Shows that the client knows the join key of the session it joins.
    pub join_proof: Option<[u8; 32]>,
}

impl Auth {
    /// The longest proof, in bytes.
    pub const MAX_PROOF: usize = 1024;

    /// Appends the payload. A longer proof is cut, so that the gateway refuses it.
    pub fn encode(&self, out: &mut BytesMut) {
        let proof = self.proof.expose();
        let proof = proof.get(..Self::MAX_PROOF).unwrap_or(proof);
        let join_proof = self.join_proof.as_ref().map(<[u8; 32]>::as_slice);
        Writer(out).bytes(PROOF, proof).bytes_if(JOIN_PROOF, join_proof);
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// Any [`WireError`] of a list of fields.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let fields = Fields::parse("Auth", payload)?;
        let proof = fields.bytes(PROOF, Self::MAX_PROOF)?.ok_or_else(|| fields.missing(PROOF))?;
        Ok(Self { proof: SecretBytes::new(proof), join_proof: fields.array(JOIN_PROOF)? })
    }
}
