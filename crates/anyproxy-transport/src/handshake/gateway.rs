//! The gateway's side of the handshake.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_wire::{
    WireError,
    codes::CloseCode,
    frame::Frame,
    handshake::{METHOD_CERTIFICATE, Transcript, binding_of, choose, why_none},
    message::{Auth, Challenge, DEFAULT_CREDIT, Hello, Refuse, Welcome},
};
use bytes::Bytes;

use super::pipe::{Pipe, Raw};
use crate::{
    budget::StallBudget,
    error::TunnelError,
    figures::SessionId,
    tls::OfferedCertificate,
    tunnel::{Settings, Side, StreamIds, Transport, Tunnel},
};

/// How long a refusal may take to arrive.
const REFUSAL: Duration = Duration::from_secs(1);

/// How long a client should wait that showed no certificate: a gateway may come to ask for one.
const RETRY_UNSHOWN: Duration = Duration::from_secs(3);

/// What a client is told that logs in with a certificate which did not come.
const UNSHOWN: &str = "no client certificate came with this connection: either no group of this gateway has \
                       `client_ca`, or something between ends TLS (a reverse proxy, TLS inspection), which a \
                       certificate does not pass; connect straight, or use a secret";

/// A stranger that has said Hello.
pub struct Greeting {
    pipe: Pipe,
    hello: Hello,
    bytes: Bytes,
}

/// A stranger that has answered the Challenge; whether rightly, the caller decides.
pub struct Challenged {
    pipe: Pipe,
    hello: Hello,
    auth: Auth,
    method: u64,
    nonce: [u8; 32],
    transcript: Transcript,
    certificate: Option<OfferedCertificate>,
}

/// What this end of a session allows itself.
#[derive(Debug, Clone)]
pub struct TunnelLimits {
    /// Live data streams at most.
    pub max_streams: usize,
    /// The session's bound for stalled streams.
    pub budget: Arc<StallBudget>,
    /// The session's stream ids.
    pub ids: Arc<StreamIds>,
}

impl Greeting {
    pub(crate) async fn read(mut pipe: Pipe) -> Result<Self, TunnelError> {
        match pipe.receive().await {
            Ok(Raw { frame: Frame::Hello(hello), bytes }) => Ok(Self { pipe, hello, bytes }),
            Ok(Raw { frame, .. }) => Err(misplaced(pipe, &frame).await),
            Err(error) => Err(give_up(pipe, error).await),
        }
    }

    /// What the stranger says of itself. Nothing of it is proven yet.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Where it comes from.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.pipe.peer()
    }

    /// What carries it.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.pipe.transport()
    }

    /// Asks for proof by the first of `methods` that the client offers. Not cancel safe.
    ///
    /// # Errors
    /// [`TunnelError`] when the stranger failed; it was told why.
    pub async fn challenge(mut self, methods: &[u64]) -> Result<Challenged, TunnelError> {
        let (version, method) = match choose(&self.hello, methods) {
            Ok(choice) => choice,
            Err(code) => {
                let why = why_none(&self.hello);
                self.refuse(code, why, Duration::ZERO).await;
                return Err(TunnelError::ours(code, why));
            }
        };
        let certificate = match method {
            METHOD_CERTIFICATE => match self.pipe.certificate() {
                Some(certificate) => Some(certificate),
                None => {
                    self.refuse(CloseCode::Unauthorised, UNSHOWN, RETRY_UNSHOWN).await;
                    return Err(TunnelError::ours(
                        CloseCode::Unauthorised,
                        "it showed no certificate",
                    ));
                }
            },
            _ => None,
        };
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|error| TunnelError::Transport(error.to_string()))?;
        let binding = binding_of(method, self.pipe.binding());
        let challenge = Challenge { version, features: 0, method, nonce, binding };
        let sent = self.pipe.send(&Frame::Challenge(challenge)).await?;
        let exporter = self.pipe.exporter(binding)?;
        let transcript = Transcript::new(&self.bytes, &sent, exporter.as_ref());
        match self.pipe.receive().await {
            Ok(Raw { frame: Frame::Auth(auth), .. }) => {
                let Self { pipe, hello, .. } = self;
                Ok(Challenged { pipe, hello, auth, method, nonce, transcript, certificate })
            }
            Ok(Raw { frame, .. }) => Err(misplaced(self.pipe, &frame).await),
            Err(error) => Err(give_up(self.pipe, error).await),
        }
    }

    /// Turns the stranger away and waits, bounded, until it knows.
    pub async fn refuse(self, code: CloseCode, reason: &str, retry_after: Duration) {
        refuse(self.pipe, code, reason, retry_after).await;
    }
}

impl Challenged {
    /// Where it comes from.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.pipe.peer()
    }

    /// What carries it.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.pipe.transport()
    }

    /// What the stranger says of itself.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Its proof.
    #[must_use]
    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    /// The method that the proof is for.
    #[must_use]
    pub fn method(&self) -> u64 {
        self.method
    }

    /// The nonce of our Challenge, which a join proof covers.
    #[must_use]
    pub fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }

    /// What the proof covers.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// With the method of certificates: the one that it has shown on this very connection, and whose key TLS has
    /// proven.
    #[must_use]
    pub fn certificate(&self) -> Option<&OfferedCertificate> {
        self.certificate.as_ref()
    }

    /// Lets the client in; the tunnel's tasks run in `scope`. Not cancel safe.
    ///
    /// # Errors
    /// [`TunnelError`] when the connection is gone.
    pub async fn welcome(
        self,
        welcome: Welcome,
        limits: TunnelLimits,
        scope: &Scope,
    ) -> Result<Tunnel, TunnelError> {
        let settings = Settings {
            side: Side::Gateway,
            session: SessionId::of(&welcome.session),
            send_credit: self.hello.initial_credit,
            recv_credit: welcome.initial_credit,
            max_streams: limits.max_streams,
            ping_interval: welcome.ping_interval,
            dead_after: welcome.dead_after,
            budget: limits.budget,
            ids: limits.ids,
        };
        let mut pipe = self.pipe.widen().await;
        pipe.send(&Frame::Welcome(welcome)).await?;
        Ok(pipe.into_tunnel(settings, scope))
    }

    /// Tells the client that its key is enrolled now, with the gateway's proof, and closes. Waits,
    /// bounded, until it knows.
    pub async fn enrolled(self, proof: [u8; 32]) {
        let mut pipe = self.pipe;
        let told = async {
            let _ = pipe.send(&Frame::Welcome(no_session(proof))).await;
            pipe.close(CloseCode::Shutdown, "enrolled").await;
        };
        let _ = Deadline::after(REFUSAL).bound(told).await;
    }

    /// Turns the client away and waits, bounded, until it knows.
    pub async fn refuse(self, code: CloseCode, reason: &str, retry_after: Duration) {
        refuse(self.pipe, code, reason, retry_after).await;
    }
}

/// A Welcome that says nothing but the proof.
fn no_session(proof: [u8; 32]) -> Welcome {
    Welcome {
        session: [0; 16],
        tunnel: 0,
        proof: Some(proof),
        generation: 0,
        initial_credit: DEFAULT_CREDIT,
        max_streams: Welcome::DEFAULT_MAX_STREAMS,
        ping_interval: Welcome::DEFAULT_PING_INTERVAL,
        dead_after: Welcome::DEFAULT_DEAD_AFTER,
        join_key: [0; 32],
        software: String::new(),
    }
}

async fn refuse(mut pipe: Pipe, code: CloseCode, reason: &str, retry_after: Duration) {
    let refusal = Refuse { code, reason: reason.to_owned(), retry_after };
    let told = async {
        // Also a peer that does not read the Refuse gets the code.
        let _ = pipe.send(&Frame::Refuse(refusal)).await;
        pipe.close(code, reason).await;
    };
    let _ = Deadline::after(REFUSAL).bound(told).await;
}

async fn misplaced(pipe: Pipe, frame: &Frame) -> TunnelError {
    give_up(pipe, WireError::UnexpectedFrame(frame.name()).into()).await
}

async fn give_up(pipe: Pipe, error: TunnelError) -> TunnelError {
    if let TunnelError::Closed { by: crate::error::ClosedBy::Us, code, reason } = &error {
        let _ = Deadline::after(REFUSAL).bound(pipe.close(*code, reason)).await;
    }
    error
}
