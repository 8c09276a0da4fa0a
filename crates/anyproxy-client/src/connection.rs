//! One proxied connection at the client: Open, policy, dial, answer, relay.

use std::{future::poll_fn, sync::Arc};

use anyproxy_runtime::{Deadline, IoSide, RelayTimeouts, Scope, Side as _};
use anyproxy_transport::{
    Admission, Incoming, Ledger, Near, OpenOutcome, Opens, Stream, Tunnel, net::Net, splice,
};
use anyproxy_wire::{
    codes::OpenCode,
    message::{Open, Protocol, Target},
};
use tokio::{io::AsyncWriteExt as _, sync::Semaphore};
use tracing::Instrument as _;

use crate::{
    config::{Forward, Limits},
    egress::{Destination, Dialled, Egress},
    flow::Flows,
    proxy_header,
};

/// What all connections of a client share.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) egress: Egress,
    pub(crate) forwards: Vec<Forward>,
    pub(crate) limits: Limits,
    pub(crate) scope: Scope,
    pub(crate) flows: Arc<Flows>,
    /// For the clock that goes on while the machine sleeps.
    pub(crate) net: Arc<dyn Net>,
    pub(crate) opens: Arc<Opens>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) group: Arc<str>,
}

/// Why the target was not reached, for the user.
pub(crate) struct Refusal {
    pub(crate) code: OpenCode,
    pub(crate) detail: String,
}

impl Exit {
    /// Serves one stream that the gateway opened. `flows` is what the session has left for those.
    pub(crate) async fn serve(
        self: Arc<Self>,
        tunnel: Tunnel,
        flows: Arc<Semaphore>,
        incoming: Incoming,
    ) {
        let deadline = Deadline::after(self.limits.proxy_timeout);
        let (open, stream) = match incoming.head(deadline).await {
            Ok(opened) => opened,
            Err(error) => return tracing::debug!(%error, "a stream without a proper head"),
        };
        let span = tracing::debug_span!("stream", connection = %stream.label());
        if open.protocol == Protocol::Udp {
            return self
                .serve_flow((&tunnel, flows), stream, &open, deadline)
                .instrument(span)
                .await;
        }
        self.serve_connection(&tunnel, (open, stream), deadline).instrument(span).await;
    }

    async fn serve_connection(
        &self,
        tunnel: &Tunnel,
        (open, mut stream): (Open, Stream),
        deadline: Deadline,
    ) {
        tracing::debug!(to = ?open.target, source = ?open.source, "connection asked for");
        let counting = self.opens.begin(open.ingress);
        let forward = self.forward(&open);
        let header = forward.and_then(|forward| forward.proxy_header);
        let dialled = match self.check(tunnel, &open) {
            Ok(destination) => {
                let header =
                    header.map(|it| proxy_header::encode(it, open.source, open.destination));
                let reaching = self.reach(&destination, header, deadline);
                unless_gone(&mut stream, reaching).await
            }
            Err(refusal) => Some(Err(refusal)),
        };
        match dialled {
            None => {
                tracing::debug!(to = ?open.target, "the user left before the target answered")
            }
            Some(Ok(dialled)) => {
                counting.done(OpenOutcome::Answered(OpenCode::Connected));
                tracing::debug!(to = ?open.target, address = %dialled.address, "target connected");
                relay(stream, (&open, forward), dialled, deadline).await;
            }
            Some(Err(refusal)) => {
                counting.done(OpenOutcome::Answered(refusal.code));
                refuse(stream, &open, refusal, deadline).await;
            }
        }
    }

    /// Everything that can be said without dialling.
    pub(crate) fn check(&self, tunnel: &Tunnel, open: &Open) -> Result<Destination, Refusal> {
        let refuse = |code, detail: &str| Err(Refusal { code, detail: detail.into() });
        if self.scope.is_draining() {
            return refuse(OpenCode::Draining, "the client is shutting down");
        }
        if tunnel.admit() == Admission::Overloaded {
            return refuse(OpenCode::Overloaded, "readers that rest hold all buffers");
        }
        match &open.target {
            Target::Name(name) => Ok(Destination::Asked(name.clone())),
            Target::Forward(_) => match self.forward(open) {
                Some(forward) if forward.protocol != open.protocol => {
                    refuse(OpenCode::UnknownForward, "the forward has the other protocol")
                }
                Some(forward) => Ok(Destination::Configured(forward.target.clone())),
                None => refuse(OpenCode::UnknownForward, "the client knows no such forward"),
            },
        }
    }

    /// The forward that is asked for.
    fn forward(&self, open: &Open) -> Option<&Forward> {
        match &open.target {
            Target::Name(_) => None,
            Target::Forward(id) => self.forwards.get(usize::try_from(*id).ok()?),
        }
    }

    /// Dials, and says who comes before anything else is said.
    async fn reach(
        &self,
        destination: &Destination,
        header: Option<Vec<u8>>,
        deadline: Deadline,
    ) -> Result<Dialled, Refusal> {
        let dialled = self.egress.dial(destination, deadline).await;
        let mut dialled =
            dialled.map_err(|error| Refusal { code: error.code(), detail: error.to_string() })?;
        let Some(header) = header else { return Ok(dialled) };
        let code = match deadline.bound(dialled.conn.write_all(&header)).await {
            Ok(Ok(())) => return Ok(dialled),
            Ok(Err(_)) => OpenCode::Reset,
            Err(_) => OpenCode::TimedOut,
        };
        Err(Refusal {
            code,
            detail: format!("{}: it did not take the PROXY header", dialled.address),
        })
    }
}

/// `None` if the user leaves first; nothing is left behind then.
async fn unless_gone<T>(stream: &mut Stream, reaching: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        reached = reaching => Some(reached),
        () = gone(stream) => None,
    }
}

/// Waits until the stream fails. First bytes may come meanwhile; they stay.
pub(crate) async fn gone(stream: &mut Stream) {
    let failed = poll_fn(|cx| stream.poll_fill(cx).map(|result| result.is_err())).await;
    if !failed {
        // With bytes in hand a failure is not to be seen; the answer will meet it.
        std::future::pending::<()>().await;
    }
}

async fn relay(
    mut stream: Stream,
    (open, forward): (&Open, Option<&Forward>),
    Dialled { conn, address }: Dialled,
    deadline: Deadline,
) {
    let answer = stream.answer(OpenCode::Connected, "", Some(address));
    if !matches!(deadline.bound(answer).await, Ok(Ok(()))) {
        return tracing::debug!(to = ?open.target, "the user left as the target answered");
    }
    let timeouts = RelayTimeouts {
        idle: forward.and_then(|forward| forward.idle_timeout),
        stall: forward.and_then(|forward| forward.stall_timeout),
    };
    let ended = splice(stream, IoSide::new(conn), Near::Target, timeouts).await;
    tracing::debug!(to = ?open.target, %address, ?ended, "connection ended");
}

pub(crate) async fn refuse(mut stream: Stream, open: &Open, refusal: Refusal, deadline: Deadline) {
    let Refusal { code, detail } = refusal;
    let words = Some(detail.as_str()).filter(|words| !words.is_empty());
    tracing::debug!(to = ?open.target, %code, detail = words, "open refused");
    let told = async {
        stream.answer(code, &detail, None).await?;
        // A tunnel that closes now must not take the answer with it.
        stream.acked().await
    };
    let _ = deadline.bound(told).await;
}
