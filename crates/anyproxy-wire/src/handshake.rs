//! Proofs of the handshake (`docs/protocol.md` section 4).
//!
//! ```text
//! client                                        gateway (knows a Verifier only)
//!   Hello ────────────────────────────────────▶  choose
//!   check_challenge  ◀───────────────── Challenge
//!        Transcript of both frames, and of the TLS exporter if bound
//!   client_proof ── Auth ──────────────────────▶  check_client_proof
//!   check_gateway_proof ◀── Welcome ────────────  gateway_proof
//! ```
//!
//! The shared-secret method is the construction of SCRAM (RFC 5802) without its stretching, so
//! secrets are generated, with 128 random bits or more. The gateway's store is then useless for
//! playing a client, and the secret is never on the wire.

mod certificate;
mod enrolled;
mod keys;

use subtle::ConstantTimeEq;

use crate::WireError;
use crate::codes::CloseCode;
pub use crate::message::SecretBytes as Secret;
use crate::message::{Binding, Challenge, Hello};
pub use certificate::{METHOD_CERTIFICATE, certificate_proof, check_certificate_proof};
pub use enrolled::{
    KeyProof, METHOD_KEY, METHOD_TOKEN, PublicKey, TokenId, TokenProof, enrolment, to_be_signed,
};
pub use keys::{InvalidVerifier, Verifier};
use keys::{client_key, gateway_key, hmac, sha256, xor};

/// The version of the protocol that this crate speaks.
pub const VERSION: u64 = 1;

/// The feature bits that this crate knows: none yet.
pub const FEATURES: u64 = 0;

/// Authentication by a generated secret that both sides prove to know.
pub const METHOD_SECRET: u64 = 1;

/// Authentication by a password, sent to the verified gateway.
pub const METHOD_PASSWORD: u64 = 2;

/// The label of the TLS exporter (RFC 8446 section 7.5); its context is empty.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-anyproxy-1";

/// Whether a proof holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum ProofCheck {
    /// The peer knows the secret.
    Right,
    /// It does not, or the two sides saw different handshakes.
    Wrong,
}

impl From<subtle::Choice> for ProofCheck {
    fn from(equal: subtle::Choice) -> Self {
        if equal.into() { Self::Right } else { Self::Wrong }
    }
}

/// A digest of all that both sides said, so that a proof is good for one handshake only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transcript([u8; 32]);

impl Transcript {
    /// Digests the two frames, as sent with type and length, and the TLS exporter if the
    /// Challenge asks for [`Binding::Exporter`].
    pub fn new(hello_frame: &[u8], challenge_frame: &[u8], exporter: Option<&[u8; 32]>) -> Self {
        let exporter = exporter.map_or(&[][..], |bytes| bytes);
        Self(sha256(&[b"anyproxy/1 auth", hello_frame, challenge_frame, exporter]))
    }
}

/// The gateway's choice from a Hello: `(version, method)`, the first method of
/// `accepted_methods` that the client offers.
///
/// # Errors
///
/// [`CloseCode::NoCommonVersion`] if no version or no method is common.
pub fn choose(hello: &Hello, accepted_methods: &[u64]) -> Result<(u64, u64), CloseCode> {
    let method = accepted_methods.iter().find(|method| hello.methods.contains(method));
    match method {
        Some(&method) if hello.versions.contains(&VERSION) => Ok((VERSION, method)),
        Some(_) | None => Err(CloseCode::NoCommonVersion),
    }
}

/// Why [`choose`] finds nothing: which side is older, and what to do. For people.
#[must_use]
pub fn why_none(hello: &Hello) -> &'static str {
    let (older, newer) = (
        hello.versions.iter().any(|version| *version < VERSION),
        hello.versions.iter().any(|version| *version > VERSION),
    );
    match (hello.versions.contains(&VERSION), older, newer) {
        (false, true, false) => {
            "no common version: the client is older than the gateway; upgrade the client"
        }
        (false, false, true) => {
            "no common version: the gateway is older than the client; upgrade the gateway"
        }
        (false, ..) => "no common version: upgrade the older one of gateway and client",
        (true, ..) => "no common method of logging in: upgrade the older one of gateway and client",
    }
}

/// The binding of a proof by `method` over a transport whose own is `transport`. A certificate is always
/// bound: it is worth nothing unless TLS is between the client and the gateway themselves.
#[must_use]
pub fn binding_of(method: u64, transport: Binding) -> Binding {
    match method {
        METHOD_CERTIFICATE => Binding::Exporter,
        _ => transport,
    }
}

/// The client's look at what the gateway chose; `transport` is the binding of the transport in use.
///
/// To send a proof of a method that was not offered could give a secret away. And a man in the
/// middle with a valid certificate could otherwise take a QUIC client to a gateway's WebSocket,
/// where proofs do not cover TLS.
///
/// # Errors
///
/// [`WireError::Invalid`] for the first field that does not fit.
pub fn check_challenge(
    hello: &Hello,
    challenge: &Challenge,
    transport: Binding,
) -> Result<(), WireError> {
    let invalid = |field| Err(WireError::Invalid { message: "Challenge", field });
    if !hello.versions.contains(&challenge.version) {
        invalid("version")
    } else if challenge.features & !hello.features != 0 {
        invalid("features")
    } else if !hello.methods.contains(&challenge.method) {
        invalid("method")
    } else if challenge.binding != binding_of(challenge.method, transport) {
        invalid("binding")
    } else {
        Ok(())
    }
}

/// The proof of the Auth message.
pub fn client_proof(secret: &Secret, transcript: &Transcript) -> [u8; 32] {
    let client_key = client_key(secret.expose());
    let stored_key = sha256(&[client_key.as_slice()]);
    xor(&client_key, &hmac(&stored_key, &[&transcript.0]))
}

/// Checks the proof of an Auth message, in a time that does not depend on how wrong it is.
pub fn check_client_proof(
    verifier: &Verifier,
    transcript: &Transcript,
    proof: &[u8],
) -> ProofCheck {
    let Ok(proof) = proof.try_into() else { return ProofCheck::Wrong };
    let client_key = xor(proof, &hmac(verifier.stored_key(), &[&transcript.0]));
    sha256(&[&client_key]).ct_eq(verifier.stored_key()).into()
}

/// The proof of the Welcome message.
pub fn gateway_proof(verifier: &Verifier, transcript: &Transcript) -> [u8; 32] {
    hmac(verifier.gateway_key(), &[&transcript.0])
}

/// Checks the proof of a Welcome message, in a time that does not depend on how wrong it is.
pub fn check_gateway_proof(secret: &Secret, transcript: &Transcript, proof: &[u8]) -> ProofCheck {
    let gateway_key = gateway_key(secret.expose());
    hmac(gateway_key.as_slice(), &[&transcript.0]).ct_eq(proof).into()
}

/// The join proof of the Auth message: the sender holds the join key of `session`. The nonces are
/// those of this tunnel's Hello and Challenge.
pub fn join_proof(
    join_key: &[u8; 32],
    session: &[u8; 16],
    client_nonce: &[u8; 32],
    gateway_nonce: &[u8; 32],
) -> [u8; 32] {
    hmac(join_key, &[b"anyproxy/1 join", session, client_nonce, gateway_nonce])
}

/// Compares two proofs in constant time, such as a join proof with the expected one.
pub fn compare_proofs(expected: &[u8; 32], received: &[u8; 32]) -> ProofCheck {
    expected.ct_eq(received).into()
}

#[cfg(test)]
mod tests;
