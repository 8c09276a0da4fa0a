//! One proxied connection at the client: Open, policy, dial, answer, relay.

use std::{future::poll_fn, sync::Arc};

use anyproxy_runtime::{Deadline, IoSide, RelayTimeouts, Scope, Side as _};
use anyproxy_transport::{Admission, Incoming, Near, Stream, Tunnel, splice};
use anyproxy_wire::{
    codes::OpenCode,
    message::{Open, Protocol, Target},
};

use crate::{
    config::{Forward, Limits},
    egress::{Destination, Dialled, Egress},
    flow::Flows,
};

/// What all connections of a client share.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) egress: Egress,
    pub(crate) forwards: Vec<Forward>,
    pub(crate) limits: Limits,
    pub(crate) scope: Scope,
    pub(crate) flows: Arc<Flows>,
}

/// Why the target was not reached, for the user.
pub(crate) struct Refusal {
    pub(crate) code: OpenCode,
    pub(crate) detail: String,
}

impl Exit {
    /// Serves one stream that the gateway opened.
    pub(crate) async fn serve(self: Arc<Self>, tunnel: Tunnel, incoming: Incoming) {
        let deadline = Deadline::after(self.limits.proxy_timeout);
        let (open, mut stream) = match incoming.head(deadline).await {
            Ok(opened) => opened,
            Err(error) => return tracing::debug!(%error, "a stream without a proper head"),
        };
        if open.protocol == Protocol::Udp {
            return self.serve_flow(&tunnel, stream, &open, deadline).await;
        }
        let dialled = match self.check(&tunnel, &open) {
            Ok(destination) => self.dial(&mut stream, &destination, deadline).await,
            Err(refusal) => Some(Err(refusal)),
        };
        match dialled {
            None => {
                tracing::debug!(target = ?open.target, "the user left before the target answered")
            }
            Some(Ok(dialled)) => relay(stream, &open, dialled, deadline).await,
            Some(Err(refusal)) => refuse(stream, &open, refusal, deadline).await,
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
            Target::Forward(id) => {
                let index = usize::try_from(*id).ok();
                match index.and_then(|index| self.forwards.get(index)) {
                    Some(forward) if forward.protocol != open.protocol => {
                        refuse(OpenCode::UnknownForward, "the forward has the other protocol")
                    }
                    Some(forward) => Ok(Destination::Configured(forward.target.clone())),
                    None => refuse(OpenCode::UnknownForward, "the client knows no such forward"),
                }
            }
        }
    }

    /// Dials unless the user leaves first; `None` then, and nothing is left behind.
    async fn dial(
        &self,
        stream: &mut Stream,
        destination: &Destination,
        deadline: Deadline,
    ) -> Option<Result<Dialled, Refusal>> {
        tokio::select! {
            dialled = self.egress.dial(destination, deadline) => {
                Some(dialled.map_err(|error| Refusal {
                    code: error.code(),
                    detail: error.to_string(),
                }))
            }
            () = gone(stream) => None,
        }
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

async fn relay(mut stream: Stream, open: &Open, dialled: Dialled, deadline: Deadline) {
    let Dialled { conn, address } = dialled;
    let answer = stream.answer(OpenCode::Connected, "", Some(address));
    if !matches!(deadline.bound(answer).await, Ok(Ok(()))) {
        return tracing::debug!(target = ?open.target, "the user left as the target answered");
    }
    let ended = splice(stream, IoSide::new(conn), Near::Target, RelayTimeouts::default()).await;
    tracing::debug!(target = ?open.target, %address, ?ended, "connection ended");
}

pub(crate) async fn refuse(mut stream: Stream, open: &Open, refusal: Refusal, deadline: Deadline) {
    let Refusal { code, detail } = refusal;
    tracing::debug!(target = ?open.target, %code, detail, "open refused");
    let told = async {
        stream.answer(code, &detail, None).await?;
        // A tunnel that closes now must not take the answer with it.
        stream.acked().await
    };
    let _ = deadline.bound(told).await;
}
