//! One request and its response, over a kept connection or a fresh one.
//!
//! ```text
//! kept connection ─┬─ response
//!                  ├─ broken ─────────▶ fresh connection ─▶ response
//!                  └─ client silent ─┬─ … still waited for ─┬─▶ the first response counts
//!                                    └─ fresh connection ───┘
//! ```
//!
//! A kept connection may have died unnoticed. A request that provably never left goes to a fresh
//! one; any other only when it is idempotent and has no body (RFC 9110 section 9.2.2). The same holds
//! when the client that carries the connection says nothing more: it may be dead, which its session
//! learns half a minute later, or out of reach for a moment.

use std::pin::{Pin, pin};

use http::{Request, Response};
use hyper::{body::Incoming, client::conn::TrySendError};

use super::{
    Proxy,
    body::Upload,
    kept::{Key, Reach, Target},
    response::Problem,
    upstream::{connect, failed},
};
use crate::ingress::{Authenticate, Route};

/// A response, and the connection that it came by.
pub(super) type Answered = (Response<Incoming>, Target);

type Sent = Result<Response<Incoming>, TrySendError<Request<Upload>>>;

/// A request without a body that may be sent twice: over any kept connection, and once more over a
/// fresh one if that breaks or its client is silent.
pub(super) async fn repeatable<R: Route, A: Authenticate>(
    proxy: &Proxy<R, A>,
    key: &Key,
    request: Request<Upload>,
) -> Result<Answered, Problem> {
    let line = &proxy.line;
    let Some(mut target) = line.kept.take(key, line.id, Reach::Everywhere).await else {
        return fresh(proxy, key, request).await;
    };
    let (head, body) = request.into_parts();
    let again = Request::from_parts(head.clone(), Upload::empty(&line.pace));
    let sent = target.sender.try_send_request(Request::from_parts(head, body));
    let mut first = pin!(sent);
    let sent = tokio::select! {
        biased;
        sent = &mut first => sent,
        () = target.carrier.silent() => {
            line.kept.release_lost();
            return race(proxy, key, first, target, again).await;
        }
    };
    match answer_of(key, sent)? {
        Some(response) => Ok((response, target)),
        None => fresh(proxy, key, again).await,
    }
}

/// Sends a request a second time over a fresh connection, unless the first one is answered before,
/// or its client is heard of again before the second one has left: then it is on its way.
async fn race<R: Route, A: Authenticate>(
    proxy: &Proxy<R, A>,
    key: &Key,
    mut first: Pin<&mut (impl Future<Output = Sent> + Send)>,
    target: Target,
    again: Request<Upload>,
) -> Result<Answered, Problem> {
    tracing::debug!(to = %key.target, "the client of a kept connection is silent");
    let mut connecting = pin!(connect(proxy, key));
    let connected = tokio::select! {
        biased;
        sent = &mut first => return match answer_of(key, sent)? {
            Some(response) => Ok((response, target)),
            None => send(key, connecting.await?, again).await,
        },
        connected = &mut connecting => connected,
    };
    let waits = connected.is_err() || !target.carrier.is_silent();
    let mut second = pin!(async { send(key, connected?, again).await });
    let sent = tokio::select! {
        biased;
        sent = &mut first => sent,
        answered = &mut second, if !waits => return answered,
    };
    match answer_of(key, sent)? {
        Some(response) => Ok((response, target)),
        None => second.await,
    }
}

/// Any other request: over a kept connection of its own line, and over a fresh one only if not a
/// byte of it was sent.
pub(super) async fn once<R: Route, A: Authenticate>(
    proxy: &Proxy<R, A>,
    key: &Key,
    request: Request<Upload>,
) -> Result<Answered, Problem> {
    let line = &proxy.line;
    let Some(mut target) = line.kept.take(key, line.id, Reach::Line).await else {
        return fresh(proxy, key, request).await;
    };
    let mut sending = pin!(target.sender.try_send_request(request));
    let sent = tokio::select! {
        biased;
        sent = &mut sending => sent,
        () = target.carrier.silent() => {
            // Nobody else shall meet it.
            line.kept.release_lost();
            sending.await
        }
    };
    match sent {
        Ok(response) => Ok((response, target)),
        Err(mut unsent) => match unsent.take_message() {
            Some(whole) => {
                tracing::debug!(to = %key.target, "a kept connection was dead; taking a fresh one");
                fresh(proxy, key, whole).await
            }
            None => Err(failed(key, unsent.error())),
        },
    }
}

/// Over a fresh connection.
pub(super) async fn fresh<R: Route, A: Authenticate>(
    proxy: &Proxy<R, A>,
    key: &Key,
    request: Request<Upload>,
) -> Result<Answered, Problem> {
    send(key, connect(proxy, key).await?, request).await
}

async fn send(
    key: &Key,
    mut target: Target,
    request: Request<Upload>,
) -> Result<Answered, Problem> {
    match target.sender.send_request(request).await {
        Ok(response) => Ok((response, target)),
        Err(error) => Err(failed(key, &error)),
    }
}

/// What came of a request over a kept connection; `None` when the connection was dead, as opposed
/// to: the target sent nonsense, or the user's own body did not come.
fn answer_of(key: &Key, sent: Sent) -> Result<Option<Response<Incoming>>, Problem> {
    match sent {
        Ok(response) => Ok(Some(response)),
        Err(unsent) if unsent.error().is_parse() || unsent.error().is_user() => {
            Err(failed(key, unsent.error()))
        }
        Err(_) => {
            tracing::debug!(to = %key.target, "a kept connection was dead; taking a fresh one");
            Ok(None)
        }
    }
}
