//! Enrolment: a client trades a token for a place that its key has at the gateway.
//!
//! ```text
//! Hello ─▶ Challenge ─▶ Auth (token, key, both proofs) ─▶ Welcome (the gateway's proof), closed
//! ```
//!
//! It makes no session: the client logs in with its key afterwards.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "what is not expected here is an error, also what a later version adds"
)]

use anyproxy_runtime::Deadline;
use anyproxy_wire::{
    codes::CloseCode,
    frame::Frame,
    handshake::{
        METHOD_TOKEN, ProofCheck, Secret, TokenId, TokenProof, Transcript, VERSION,
        check_challenge, check_gateway_proof, client_proof, enrolment,
    },
    message::{Auth, DEFAULT_CREDIT, Hello, Intent, SecretBytes},
};

use super::{
    client::{LoginError, close, farewell, random, refusal},
    pipe::{Pipe, Raw},
};
use crate::{dial::Connected, keys::ClientKey};

/// A key to enrol, and the token that allows it.
#[derive(Debug)]
pub struct Enrolment<'a> {
    /// The group.
    pub group: &'a str,
    /// The name that the client will have in it.
    pub client_id: &'a str,
    /// Which token it is.
    pub token: TokenId,
    /// The token's secret.
    pub secret: &'a Secret,
    /// The key. It must be kept already: the answer may be lost.
    pub key: &'a ClientKey,
}

impl Connected {
    /// Enrols a key, and closes the connection. Not cancel safe: whether the gateway has enrolled the
    /// key is not known then, and asking again with the same key is right.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn enrol(self, wish: &Enrolment<'_>, deadline: Deadline) -> Result<(), LoginError> {
        let exchange = async {
            let mut pipe = self.pipe;
            let done = exchange(&mut pipe, wish).await;
            match &done {
                Ok(()) => close(pipe, CloseCode::Shutdown, "enrolled").await,
                Err(error) => farewell(pipe, error).await,
            }
            done
        };
        deadline.bound(exchange).await.unwrap_or(Err(LoginError::TimedOut))
    }
}

async fn exchange(pipe: &mut Pipe, wish: &Enrolment<'_>) -> Result<(), LoginError> {
    let hello = hello(wish)?;
    let hello_bytes = pipe.send(&Frame::Hello(hello.clone())).await?;
    let (challenge, challenge_bytes) = match pipe.receive().await? {
        Raw { frame: Frame::Challenge(challenge), bytes } => (challenge, bytes),
        other => return Err(refusal(other.frame)),
    };
    check_challenge(&hello, &challenge, pipe.binding())?;
    let exporter = pipe.exporter(challenge.binding)?;
    let said = Transcript::new(&hello_bytes, &challenge_bytes, exporter.as_ref());
    let (token, key) = (wish.token, wish.key.public());
    let enrolled = enrolment(&said, &token, &key);
    let signature = wish.key.sign(&enrolled).ok_or(LoginError::Key)?;
    let proof = client_proof(wish.secret, &enrolled);
    let proof = SecretBytes::new(TokenProof { token, key, signature, proof }.to_bytes());
    pipe.send(&Frame::Auth(Auth { proof, join_proof: None })).await?;
    let welcome = match pipe.receive().await?.frame {
        Frame::Welcome(welcome) => welcome,
        other => return Err(refusal(other)),
    };
    match check_gateway_proof(wish.secret, &enrolled, &welcome.proof.unwrap_or_default()) {
        ProofCheck::Right => Ok(()),
        ProofCheck::Wrong => Err(LoginError::WrongGateway),
    }
}

fn hello(wish: &Enrolment<'_>) -> Result<Hello, LoginError> {
    Ok(Hello {
        versions: vec![VERSION],
        features: 0,
        methods: vec![METHOD_TOKEN],
        nonce: random()?,
        principal: wish.group.to_owned(),
        client_id: wish.client_id.to_owned(),
        instance: random()?,
        replica: 0,
        intent: Intent::New,
        initial_credit: DEFAULT_CREDIT,
        software: super::SOFTWARE.to_owned(),
    })
}
