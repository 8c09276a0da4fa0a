//! The client's side of the handshake.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "what is not expected here is an error, also what a later version adds"
)]

use std::{fmt, sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_wire::{
    WireError,
    codes::CloseCode,
    frame::Frame,
    handshake::{
        KeyProof, METHOD_CERTIFICATE, METHOD_KEY, METHOD_PASSWORD, METHOD_SECRET, ProofCheck,
        Secret, Transcript, VERSION, certificate_proof, check_challenge, check_gateway_proof,
        client_proof, join_proof,
    },
    message::{Auth, Challenge, Hello, Intent, Refuse, SecretBytes, Welcome},
};

use super::pipe::{Pipe, Raw};
use crate::{
    budget::StallBudget,
    dial::Connected,
    error::TunnelError,
    figures::SessionId,
    keys::ClientKey,
    tunnel::{Settings, Side, StreamIds, Tunnel},
};

/// How the client proves who it is, and so what its secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By a proof that does not reveal it; for generated secrets.
    Secret,
    /// By sending it inside TLS to the verified gateway; for passwords that people chose.
    Password,
    /// By a signature; the secret is the seed of an enrolled [`ClientKey`].
    Key,
    /// By the certificate that it shows in TLS ([`OwnCertificate`](crate::OwnCertificate)); there is no secret.
    Certificate,
}

impl Method {
    fn number(self) -> u64 {
        match self {
            Self::Secret => METHOD_SECRET,
            Self::Password => METHOD_PASSWORD,
            Self::Key => METHOD_KEY,
            Self::Certificate => METHOD_CERTIFICATE,
        }
    }
}

/// Who logs in, and with what.
#[derive(Debug, Clone)]
pub struct Login {
    /// The group.
    pub group: String,
    /// The client's stable name.
    pub client_id: String,
    /// Random for each run of the client.
    pub instance: [u8; 16],
    /// Which of several parallel sessions this is.
    pub replica: u64,
    /// What the tunnel is for.
    pub intent: Intent,
    /// With [`Intent::Join`] and [`Intent::Beside`]: the session's, from its Welcome.
    pub join_key: Option<JoinKey>,
    /// Silence after which this end pings, where that is sooner than the gateway asks for.
    pub ping_within: Option<Duration>,
    /// What the method proves.
    pub secret: Secret,
    /// How to prove it.
    pub method: Method,
    /// Bytes that the gateway may send on a new stream at first.
    pub initial_credit: u64,
    /// The session's bound for stalled streams.
    pub budget: Arc<StallBudget>,
}

/// The key with which later tunnels join a session.
#[derive(Clone, Copy)]
pub struct JoinKey([u8; 32]);

impl JoinKey {
    /// What the gateway gave.
    #[must_use]
    pub fn of(welcome: &Welcome) -> Self {
        Self(welcome.join_key)
    }
}

/// It is a secret.
impl fmt::Debug for JoinKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinKey")
    }
}

/// Why a log-in failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The gateway said no.
    #[error("the gateway refused: {code}{reason}", code = .0.code, reason = reason(&.0.reason))]
    Refused(Refuse),
    /// The gateway does not know the secret, although its certificate is right.
    #[error("the gateway could not prove that it knows the secret of the group")]
    WrongGateway,
    /// The connection failed.
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    /// It took too long.
    #[error("the gateway did not finish the handshake in time")]
    TimedOut,
    /// The system gave no random bytes.
    #[error("no random numbers: {0}")]
    Random(String),
    /// The client's own key cannot be used.
    #[error("the client's own key cannot be used")]
    Key,
}

fn reason(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

impl From<WireError> for LoginError {
    fn from(error: WireError) -> Self {
        Self::Tunnel(error.into())
    }
}

impl LoginError {
    /// Whether trying again soon is pointless, because a person must change something.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::WrongGateway)
    }
}

impl Connected {
    /// Logs in and starts the tunnel, whose tasks run in `scope`. Not cancel safe: dropping the
    /// future closes the connection.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn log_in(
        self,
        login: &Login,
        deadline: Deadline,
        scope: &Scope,
    ) -> Result<(Tunnel, Welcome), LoginError> {
        let exchange = exchange(self.pipe, login, scope);
        deadline.bound(exchange).await.unwrap_or(Err(LoginError::TimedOut))
    }
}

async fn exchange(
    mut pipe: Pipe,
    login: &Login,
    scope: &Scope,
) -> Result<(Tunnel, Welcome), LoginError> {
    match authenticate(&mut pipe, login).await {
        Ok(welcome) => {
            let settings = settings(login, &welcome);
            Ok((pipe.into_tunnel(settings, scope), welcome))
        }
        Err(error) => {
            farewell(pipe, &error).await;
            Err(error)
        }
    }
}

/// Closes what became no tunnel.
pub(super) async fn farewell(pipe: Pipe, error: &LoginError) {
    let (code, text) = match error {
        LoginError::Tunnel(TunnelError::Closed { code, reason, .. }) => (*code, reason.as_str()),
        LoginError::WrongGateway => (CloseCode::Unauthorised, "wrong gateway proof"),
        _ => (CloseCode::Abandoned, ""),
    };
    close(pipe, code, text).await;
}

/// Closes, and does not wait long for the peer to know.
pub(super) async fn close(pipe: Pipe, code: CloseCode, text: &str) {
    let farewell = Deadline::after(Duration::from_millis(20));
    let _ = farewell.bound(pipe.close(code, text)).await;
}

async fn authenticate(pipe: &mut Pipe, login: &Login) -> Result<Welcome, LoginError> {
    let hello = hello(login)?;
    let hello_bytes = pipe.send(&Frame::Hello(hello.clone())).await?;
    let (challenge, challenge_bytes) = match pipe.receive().await? {
        Raw { frame: Frame::Challenge(challenge), bytes } => (challenge, bytes),
        other => return Err(refusal(other.frame)),
    };
    check_challenge(&hello, &challenge, pipe.binding())?;
    let exporter = pipe.exporter(challenge.binding)?;
    let transcript = Transcript::new(&hello_bytes, &challenge_bytes, exporter.as_ref());
    let proof = prove(login, &transcript)?;
    let join_proof = prove_join(login, &hello, &challenge);
    pipe.send(&Frame::Auth(Auth { proof, join_proof })).await?;
    let welcome = match pipe.receive().await?.frame {
        Frame::Welcome(welcome) => welcome,
        other => return Err(refusal(other)),
    };
    if login.method == Method::Secret {
        let proof = welcome.proof.unwrap_or_default();
        if check_gateway_proof(&login.secret, &transcript, &proof) == ProofCheck::Wrong {
            return Err(LoginError::WrongGateway);
        }
    }
    Ok(welcome)
}

fn prove(login: &Login, transcript: &Transcript) -> Result<SecretBytes, LoginError> {
    Ok(match login.method {
        Method::Secret => SecretBytes::new(client_proof(&login.secret, transcript).to_vec()),
        Method::Password => SecretBytes::new(login.secret.expose()),
        Method::Key => {
            let key = ClientKey::from_seed(&login.secret).map_err(|_| LoginError::Key)?;
            let signature = key.sign(transcript).ok_or(LoginError::Key)?;
            SecretBytes::new(KeyProof { key: key.public(), signature }.to_bytes())
        }
        Method::Certificate => SecretBytes::new(certificate_proof(transcript).to_vec()),
    })
}

fn prove_join(login: &Login, hello: &Hello, challenge: &Challenge) -> Option<[u8; 32]> {
    let (Intent::Join { session } | Intent::Beside { session, .. }) = login.intent else {
        return None;
    };
    let JoinKey(key) = login.join_key?;
    Some(join_proof(&key, &session, &hello.nonce, &challenge.nonce))
}

fn hello(login: &Login) -> Result<Hello, LoginError> {
    Ok(Hello {
        versions: vec![VERSION],
        features: 0,
        methods: vec![login.method.number()],
        nonce: random()?,
        principal: login.group.clone(),
        client_id: login.client_id.clone(),
        instance: login.instance,
        replica: login.replica,
        intent: login.intent,
        initial_credit: login.initial_credit,
        software: super::SOFTWARE.to_owned(),
    })
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], LoginError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| LoginError::Random(error.to_string()))?;
    Ok(bytes)
}

pub(super) fn refusal(frame: Frame) -> LoginError {
    match frame {
        Frame::Refuse(refuse) => LoginError::Refused(refuse),
        other => WireError::UnexpectedFrame(other.name()).into(),
    }
}

fn settings(login: &Login, welcome: &Welcome) -> Settings {
    Settings {
        side: Side::Client,
        session: SessionId::of(&welcome.session),
        send_credit: welcome.initial_credit,
        recv_credit: login.initial_credit,
        max_streams: usize::try_from(welcome.max_streams).unwrap_or(usize::MAX),
        ping_interval: login
            .ping_within
            .map_or(welcome.ping_interval, |within| within.min(welcome.ping_interval)),
        dead_after: welcome.dead_after,
        budget: Arc::clone(&login.budget),
        ids: StreamIds::new(Side::Client),
    }
}
