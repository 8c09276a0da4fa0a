//! Plain requests: `GET http://host/path`.
//!
//! ```text
//! user ─ head, body ─▶ kept connection, else Route::open ─▶ target
//!      ◀─ head, body ─
//! ```
//!
//! Bodies stream both ways with no limit of size or time. The request is sent once the target is
//! connected, not along with the Open: the user then learns the true reason of a failure, and a
//! request is never half sent to a target that was not there.
//!
//! A kept connection may have died unnoticed. A request that provably never left goes to a fresh
//! one; any other only when it is idempotent and has no body (RFC 9110 section 9.2.2).

use http::{Method, Request, Response, StatusCode, header::MAX_FORWARDS, request};
use hyper::{
    body::{Body as _, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;

use super::{
    After, MOST_BUFFERED, Proxy,
    body::{Download, Reply, Upload},
    headers,
    pace::Author,
    pool::{Key, Lease},
    response::Problem,
    target::Origin,
};
use crate::ingress::{Authenticate, Outcome, Route, User};
use anyproxy_wire::message::Ingress as Entrance;

/// Passes a request on and returns the target's response.
pub(super) async fn forward<R: Route, A: Authenticate>(
    proxy: &Proxy<R, A>,
    request: Request<Incoming>,
    origin: Origin,
    user: User,
) -> Result<Response<Reply>, Problem> {
    let (mut head, body) = request.into_parts();
    count_forwards(&mut head)?;
    let upgrade = headers::upgrade_of(&head);
    headers::to_target(&mut head, &body, &origin, upgrade.as_ref());
    let replay = (head.method.is_idempotent() && body.is_end_stream()).then(|| head.clone());
    let request = Request::from_parts(head, Upload::new(body, &proxy.line.pace));
    let key = Key { user, target: origin.target };
    let (response, sender) = match upgrade {
        None => exchange(proxy, &key, request, replay).await?,
        // A connection that becomes something else is not taken from the kept ones.
        Some(_) => fresh(proxy, &key, request).await?,
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return match upgrade {
            Some(_) => Ok(switch(proxy, response)),
            None => Err(Problem::bad_gateway(
                "http_protocol_error",
                format!("{} switched protocols without being asked", key.target),
            )),
        };
    }
    Ok(answer(proxy, response, key, sender))
}

/// RFC 9110 section 7.6.2: TRACE and OPTIONS say how far they go.
fn count_forwards(head: &mut request::Parts) -> Result<(), Problem> {
    if head.method != Method::TRACE && head.method != Method::OPTIONS {
        return Ok(());
    }
    let Some(value) = head.headers.get(MAX_FORWARDS) else { return Ok(()) };
    match value.to_str().ok().and_then(|text| text.trim().parse::<u32>().ok()) {
        None => Err(Problem::bad_request("Max-Forwards is not a number")),
        Some(0) => Err(Problem {
            status: StatusCode::NOT_IMPLEMENTED,
            proxy_error: None,
            text: "Max-Forwards ends at this proxy, which answers no such request itself".into(),
        }),
        Some(left) => {
            head.headers.insert(MAX_FORWARDS, (left - 1).into());
            Ok(())
        }
    }
}

type Answered = (Response<Incoming>, SendRequest<Upload>);

/// Over a kept connection if there is one, else over a fresh one.
async fn exchange<R: Route, A: Authenticate>(
    proxy: &Proxy<R, A>,
    key: &Key,
    mut request: Request<Upload>,
    replay: Option<request::Parts>,
) -> Result<Answered, Problem> {
    if let Some(mut sender) = proxy.line.pool.take(key).await {
        match sender.try_send_request(request).await {
            Ok(response) => return Ok((response, sender)),
            Err(mut unsent) => match (unsent.take_message(), replay) {
                (Some(whole), _) => request = whole,
                (None, Some(head)) if is_lost(unsent.error()) => {
                    request = Request::from_parts(head, Upload::empty(&proxy.line.pace));
                }
                (None, _) => return Err(failed(key, unsent.error())),
            },
        }
        tracing::debug!(target = %key.target, "a kept connection was dead; taking a fresh one");
    }
    fresh(proxy, key, request).await
}

async fn fresh<R: Route, A: Authenticate>(
    proxy: &Proxy<R, A>,
    key: &Key,
    request: Request<Upload>,
) -> Result<Answered, Problem> {
    let mut sender = connect(proxy, key).await?;
    match sender.send_request(request).await {
        Ok(response) => Ok((response, sender)),
        Err(error) => Err(failed(key, &error)),
    }
}

/// Opens a connection to the target and starts the task that drives it.
///
/// The task ends with the user's connection: its last [`SendRequest`], response and upload go with
/// that, and hyper then closes the connection and drops the data stream.
async fn connect<R: Route, A: Authenticate>(
    proxy: &Proxy<R, A>,
    key: &Key,
) -> Result<SendRequest<Upload>, Problem> {
    let target = key.target.as_str();
    let opened = proxy
        .ingress
        .open(Entrance::HttpRequest, target, &key.user, proxy.line.ends)
        .await
        .map_err(|failure| Outcome::of(&failure, target))?;
    let evicted = opened.stream.eviction();
    let (sender, connection) = http1::Builder::new()
        .preserve_header_case(true)
        .max_buf_size(MOST_BUFFERED)
        // RFC 9112 sections 5.1 and 5.2: a proxy repairs these rather than refusing them.
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .handshake(TokioIo::new(opened.stream))
        .await
        .map_err(|error| failed(key, &error))?;
    let target = key.target.clone();
    proxy.line.scope.spawn("http target", async move {
        let ended = tokio::select! {
            ended = connection.with_upgrades() => ended,
            // Dropping the connection resets the stream; the user gets a response that broke off.
            () = evicted.wait() => {
                return tracing::debug!(%target, "a stalled response gave its buffers up");
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%target, cause = root_cause(&error), "a target's connection broke");
        }
    });
    Ok(sender)
}

/// The target's response, as the user gets it.
fn answer<R, A>(
    proxy: &Proxy<R, A>,
    response: Response<Incoming>,
    key: Key,
    sender: SendRequest<Upload>,
) -> Response<Reply> {
    let line = &proxy.line;
    let (mut head, body) = response.into_parts();
    headers::to_user(&mut head, &body);
    let lease = Lease { key, sender, pool: line.pool.clone() };
    let body = Download::new(body, Some(lease), line.pace.clone(), line.truncated.clone());
    line.pace.answered_by(Author::Target);
    Response::from_parts(head, Reply::download(body, &line.pace))
}

/// 101: both connections stop being HTTP once the user has got this response.
fn switch<R, A>(proxy: &Proxy<R, A>, mut response: Response<Incoming>) -> Response<Reply> {
    let line = &proxy.line;
    line.then(After::Switched(hyper::upgrade::on(&mut response)));
    let (mut head, body) = response.into_parts();
    headers::to_user(&mut head, &body);
    line.pace.answered_by(Author::Target);
    Response::from_parts(head, Reply::text("", &line.pace))
}

/// Whether the connection broke, as opposed to: the target sent nonsense, or the user's own body
/// did not come.
fn is_lost(error: &hyper::Error) -> bool {
    !error.is_parse() && !error.is_user()
}

fn failed(key: &Key, error: &hyper::Error) -> Problem {
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

#[cfg(test)]
mod tests;
