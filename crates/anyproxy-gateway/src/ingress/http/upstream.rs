//! Connections to targets.

use std::{pin::pin, sync::Arc, time::Duration};

use anyproxy_wire::{codes::OpenCode, message::Ingress as Entrance};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;
use tracing::Instrument as _;

use super::{
    MOST_BUFFERED, MOST_FIELDS, Proxy,
    kept::{Ended, Kept, Key, Reuse, Target},
    response::Problem,
};
use crate::{
    ingress::{
        Authenticate, Carrier, OpenFailure, Opened, Outcome, Route, User, target::TargetAddr,
    },
    registry::MAKE_ROOM,
};

/// Between the tries that follow, in milliseconds.
const PAUSES: [u64; 7] = [5, 10, 20, 40, 80, 160, 320];

/// Opens a connection. Where there is no room, connections of the same group that are only kept
/// give way: what nobody uses must not turn a user away.
pub(super) async fn open<R: Route, A: Authenticate>(
    proxy: &Proxy<R, A>,
    entrance: Entrance,
    target: &TargetAddr,
    user: &User,
) -> Result<Opened, OpenFailure> {
    let line = &proxy.line;
    let open = || proxy.ingress.open(entrance, target.as_str(), user, line.ends);
    let mut opened = open().await;
    if !is_crowded(&opened) || !line.kept.give_way(&user.group, MAKE_ROOM).await {
        return opened;
    }
    // The session's other end may have to let go of a stream as well: about a round trip.
    for pause in PAUSES {
        opened = open().await;
        if !is_crowded(&opened) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    opened
}

fn is_crowded(opened: &Result<Opened, OpenFailure>) -> bool {
    matches!(opened, Err(OpenFailure::Refused { code: OpenCode::Overloaded, .. }))
}

/// Opens an HTTP connection and starts the task that drives it.
///
/// The task belongs to the gateway, not to the user's connection, which it may outlive. It ends
/// when its [`Target`], response and upload are gone: hyper then closes the connection and drops
/// the data stream.
pub(super) async fn connect<R: Route, A: Authenticate>(
    proxy: &Proxy<R, A>,
    key: &Key,
) -> Result<Target, Problem> {
    let opened = open(proxy, Entrance::HttpRequest, &key.target, &key.user)
        .await
        .map_err(|failure| Outcome::of(&failure, key.target.as_str()))?;
    let (evicted, connection_id) = (opened.stream.eviction(), opened.stream.label());
    let (sender, connection) = http1::Builder::new()
        .preserve_header_case(true)
        .max_buf_size(MOST_BUFFERED)
        .max_headers(MOST_FIELDS)
        // RFC 9112 sections 5.1 and 5.2: a proxy repairs these rather than refusing them.
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .handshake(TokioIo::new(opened.stream))
        .await
        .map_err(|error| failed(key, &error))?;
    let target = key.target.clone();
    let (lives, ended) = oneshot::channel();
    let (carrier, kept) = (opened.carrier.clone(), Arc::clone(&proxy.line.kept));
    // Of the user for whom it was opened; others may use it after.
    let user = tracing::Span::current();
    let driving = async move {
        let ended = tokio::select! {
            ended = until_departure(connection.with_upgrades(), opened.carrier, &kept) => ended,
            // Dropping the connection resets the stream; the user gets a response that broke off.
            () = evicted.wait() => {
                return tracing::debug!(connection = %connection_id, to = %target, "a stalled response gave its buffers up");
            }
        };
        if let Err(error) = ended {
            tracing::debug!(connection = %connection_id, to = %target, cause = root_cause(&error),
                "a target's connection broke");
        }
        tracing::debug!(connection = %connection_id, to = %target, "a target's connection ended");
        drop(lives);
    };
    proxy.line.kept.scope().spawn("http target", driving.instrument(user));
    Ok(Target { sender, reuse: Reuse::Anybody, ended: Ended(ended), carrier })
}

/// Drives a connection; when its session wants to leave, it is not kept any longer.
async fn until_departure<T>(
    connection: impl Future<Output = T>,
    mut carrier: Carrier,
    kept: &Kept,
) -> T {
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended,
        () = carrier.departed() => kept.release_lost(),
    }
    connection.await
}

/// What the user is told about an exchange that failed.
pub(super) fn failed(key: &Key, error: &hyper::Error) -> Problem {
    let target = &key.target;
    let cause = root_cause(error);
    if error.is_parse() {
        let text = format!("{target} answered with something that is not HTTP/1 ({cause})");
        return Problem::bad_gateway("http_protocol_error", text);
    }
    if error.is_user() {
        return Problem::bad_request(format!("the request's body broke off ({cause})"));
    }
    let text = format!("{target} closed the connection before it answered ({cause})");
    Problem::bad_gateway("connection_terminated", text)
}

/// The innermost reason; hyper's own words are about hyper.
fn root_cause(error: &hyper::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
