//! Clients that have a key of their own, and tokens with which others get one enrolled.
//!
//! ```text
//! token ─ its secret proven ─▶ Enrolments::enrol, once ─▶ the key is known
//! key   ─ signature right   ─▶ Enrolments::client_of: enrolled for this group and client id?
//! ```
//!
//! Who is enrolled is kept outside of this crate. A key that is not known any more lets nobody in from
//! that moment on; [`Gateway::check_enrolled`](crate::Gateway::check_enrolled) ends the sessions that it let in before.

use std::{fmt, sync::Arc};

use anyproxy_transport::{Challenged, check_signature};
use anyproxy_wire::{
    codes::CloseCode,
    handshake::{
        KeyProof, ProofCheck, PublicKey, TokenId, TokenProof, Verifier, check_client_proof,
        enrolment, gateway_proof,
    },
};
use futures_util::future::{BoxFuture, FutureExt as _, ready};

use crate::{certified::Certified, config::Credential};

/// Who is enrolled, and who may be.
pub trait Enrolments: fmt::Debug + Send + Sync {
    /// The id of the client for which `key` is enrolled in `group`. Answers at once.
    fn client_of(&self, group: &str, key: &PublicKey) -> Option<Arc<str>>;

    /// Whether a key is enrolled in `group` for a client of this id, be it there now or not. Answers at once.
    fn has_client(&self, group: &str, client_id: &str) -> bool;

    /// Notes that a client with this key has logged in. Must not block.
    fn seen(&self, key: &PublicKey);

    /// What checks the token, used and expired ones too. Cancel safe.
    fn token(&self, id: TokenId) -> BoxFuture<'_, Option<Token>>;

    /// Enrols a key whose client has proven the token's secret. At most one key is enrolled with a token, however
    /// many ask at once; the same key again is no error. Once begun, it may happen although
    /// the future is dropped.
    fn enrol(&self, wish: Wish) -> BoxFuture<'_, Result<(), NotEnrolled>>;
}

/// What is kept of a token.
#[derive(Debug, Clone)]
pub struct Token {
    /// The group that it is for.
    pub group: String,
    /// What checks its secret.
    pub verifier: Verifier,
}

/// A key to enrol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// With which token.
    pub token: TokenId,
    /// For which group.
    pub group: String,
    /// For which client of the group.
    pub client_id: String,
    /// The key.
    pub key: PublicKey,
}

/// Why a key is not enrolled although the token's secret was proven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotEnrolled {
    /// Another client was faster.
    #[error("this token was used already")]
    Used,
    /// Its time is over.
    #[error("this token has expired")]
    Expired,
    /// A person has taken it back, or the group is gone.
    #[error("this token is not known here")]
    Revoked,
    /// The group has a client of that id.
    #[error("the group has a client `{0}` already; choose another --client-id, or revoke that one")]
    NameTaken(String),
    /// What is kept cannot be changed now; the gateway's log has the reason.
    #[error("the gateway cannot enrol clients now, see its log")]
    Failed,
}

impl NotEnrolled {
    pub(crate) fn code(&self) -> CloseCode {
        match self {
            Self::Failed => CloseCode::Internal,
            Self::Used | Self::Expired | Self::Revoked | Self::NameTaken(_) => {
                CloseCode::Unauthorised
            }
        }
    }
}

/// A gateway where nobody enrols.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEnrolments;

impl Enrolments for NoEnrolments {
    fn client_of(&self, _: &str, _: &PublicKey) -> Option<Arc<str>> {
        None
    }

    fn has_client(&self, _: &str, _: &str) -> bool {
        false
    }

    fn seen(&self, _: &PublicKey) {}

    fn token(&self, _: TokenId) -> BoxFuture<'_, Option<Token>> {
        ready(None).boxed()
    }

    fn enrol(&self, _: Wish) -> BoxFuture<'_, Result<(), NotEnrolled>> {
        ready(Err(NotEnrolled::Revoked)).boxed()
    }
}

/// What lets a client into its group, for as long as it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proven {
    /// The group's secret.
    Secret(Credential),
    /// A key of its own.
    Key(PublicKey),
    /// A certificate that a CA of the group issued.
    Certificate(Certified),
}

impl Proven {
    /// Whether a client that has proven `other` may be the same client.
    pub(crate) fn is_of_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Key(key), Self::Key(other)) => key == other,
            // What is not the group's secret any more lets nobody in.
            (Self::Secret(_), Self::Secret(_)) => true,
            (Self::Certificate(one), Self::Certificate(other)) => one == other,
            (Self::Key(_) | Self::Secret(_) | Self::Certificate(_), _) => false,
        }
    }

    /// Whether a client id is its own, and another's that has proven `other` only by that one's word.
    pub(crate) fn outranks(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Key(_), Self::Secret(_) | Self::Certificate(_)) => true,
            (Self::Key(_), Self::Key(_)) | (Self::Secret(_) | Self::Certificate(_), _) => false,
        }
    }

    /// The subject of its certificate, for people.
    pub(crate) fn subject(&self) -> Option<&str> {
        match self {
            Self::Certificate(certificate) => Some(certificate.subject()),
            Self::Secret(_) | Self::Key(_) => None,
        }
    }
}

/// Whether the client's signature is that of a key which is enrolled for what it says of itself.
pub(crate) fn check_key(client: &Challenged, enrolments: &dyn Enrolments) -> Option<PublicKey> {
    let hello = client.hello();
    let proof = KeyProof::from_bytes(client.auth().proof.expose())?;
    // Before it is looked up: only who has the key learns whether it is known.
    if check_signature(&proof.key, client.transcript(), &proof.signature) == ProofCheck::Wrong {
        return None;
    }
    let known = enrolments.client_of(&hello.principal, &proof.key)?;
    (*known == *hello.client_id).then_some(proof.key)
}

/// Why nothing was enrolled.
pub(crate) enum Refused {
    /// The token is unknown, or what was to be proven was not.
    Unproven,
    /// The token's secret was proven, and yet.
    Proven(NotEnrolled),
}

/// Enrols the client's key if it has proven the token's secret; gives the gateway's proof.
pub(crate) async fn enrol(
    client: &Challenged,
    enrolments: &dyn Enrolments,
) -> Result<[u8; 32], Refused> {
    let hello = client.hello();
    let presented = TokenProof::from_bytes(client.auth().proof.expose());
    let presented = presented.ok_or(Refused::Unproven)?;
    let TokenProof { token, key, signature, proof } = presented;
    let transcript = enrolment(client.transcript(), &token, &key);
    let kept = enrolments.token(token).await.ok_or(Refused::Unproven)?;
    let checks = [
        check_client_proof(&kept.verifier, &transcript, &proof),
        check_signature(&key, &transcript, &signature),
    ];
    if checks.contains(&ProofCheck::Wrong) || kept.group != hello.principal {
        return Err(Refused::Unproven);
    }
    let (group, client_id) = (hello.principal.clone(), hello.client_id.clone());
    let wish = Wish { token, group, client_id, key };
    enrolments.enrol(wish).await.map_err(Refused::Proven)?;
    Ok(gateway_proof(&kept.verifier, &transcript))
}
