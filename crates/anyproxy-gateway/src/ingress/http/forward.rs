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
//! Which connection carries them is decided in [`exchange`].

use http::{
    HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{CONNECTION, MAX_FORWARDS},
    request,
};
use hyper::{
    body::{Body as _, Incoming},
    ext::on_informational,
};

use super::{
    Answer, Proxy,
    body::{Download, Reply, Upload, UserBody},
    exchange,
    expect::{self, Hold},
    headers,
    interim::{Informant, Interim},
    kept::{Key, Lease, Reuse},
    pace::Author,
    response::Problem,
    target::Origin,
};
use crate::ingress::{Authenticate, Route, User};

/// A request, and where informational responses to it go.
pub(super) struct Asking {
    pub(super) head: request::Parts,
    pub(super) body: UserBody,
    pub(super) informant: Informant,
}

/// Passes a request on and returns the target's response.
pub(super) async fn forward<R: Route, A: Authenticate>(
    proxy: &Proxy<R, A>,
    asking: Asking,
    origin: Origin,
    user: User,
) -> Result<Answer, Problem> {
    let Asking { mut head, body, informant } = asking;
    count_forwards(&mut head)?;
    if headers::is_coded(&head.headers) {
        return Err(Problem::not_implemented("only the transfer coding chunked is understood"));
    }
    let version = head.version;
    let upgrade = headers::upgrade_of(&head);
    let authenticates = headers::authenticates_connection(&head.headers);
    headers::to_target(&mut head, &body, &origin, upgrade.as_ref());
    let can_wait = version != Version::HTTP_10 && !body.is_end_stream();
    let hold = (can_wait && expect::is_expected(&head.headers)).then(Hold::default);
    let repeatable = head.method.is_idempotent() && body.is_end_stream();
    let body = Upload::new(body, hold.clone(), informant.clone(), &proxy.line.pace);
    let mut request = Request::from_parts(head, body);
    listen(&mut request, informant, hold.clone());
    let key = Key { user, target: origin.target };
    let (response, mut target) = match (upgrade.is_some(), repeatable) {
        (false, true) => exchange::repeatable(proxy, &key, request).await?,
        (false, false) => exchange::once(proxy, &key, request).await?,
        // A connection that becomes something else is not taken from the kept ones.
        (true, _) => exchange::fresh(proxy, &key, request).await?,
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
    if headers::is_coded(response.headers()) {
        let text = format!("{} answered in a transfer coding other than chunked", key.target);
        return Err(Problem::bad_gateway("http_response_transfer_coding", text));
    }
    if authenticates || headers::challenges_connection(response.headers()) {
        target.reuse = Reuse::Line;
    }
    let unwanted = hold.and_then(|hold| hold.answered());
    let (line, kept) = (proxy.line.id, proxy.line.kept.clone());
    let lease = Lease { key, line, target, kept, unwanted };
    Ok(Answer::Response(answer(proxy, response, lease, version)))
}

/// Hands informational responses over, and lets a body go that the target asks for.
fn listen(request: &mut Request<Upload>, informant: Informant, hold: Option<Hold>) {
    on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE
            && let Some(hold) = &hold
        {
            hold.release();
            return;
        }
        let headers = headers::of_interim(response.headers());
        informant.tell(Interim { status: response.status(), headers });
    });
}

/// RFC 9110 section 7.6.2: TRACE and OPTIONS say how far they go.
fn count_forwards(head: &mut request::Parts) -> Result<(), Problem> {
    if head.method != Method::TRACE && head.method != Method::OPTIONS {
        return Ok(());
    }
    let Some(value) = head.headers.get(MAX_FORWARDS) else { return Ok(()) };
    match value.to_str().ok().and_then(|text| text.trim().parse::<u32>().ok()) {
        None => Err(Problem::bad_request("Max-Forwards is not a number")),
        Some(0) => Err(Problem::not_implemented(
            "Max-Forwards ends at this proxy, which answers no such request itself",
        )),
        Some(left) => {
            head.headers.insert(MAX_FORWARDS, left.saturating_sub(1).into());
            Ok(())
        }
    }
}

/// The target's response, as the user gets it.
fn answer<R, A>(
    proxy: &Proxy<R, A>,
    response: Response<Incoming>,
    lease: Lease,
    version: Version,
) -> Response<Reply> {
    let line = &proxy.line;
    let (mut head, body) = response.into_parts();
    headers::to_user(&mut head, &body, version);
    if lease.unwanted.is_some() && version != Version::HTTP_2 {
        // What comes next on the user's connection may be the body all the same.
        head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let body = Download::new(body, Some(lease), line.pace.clone(), line.truncated.clone());
    line.pace.answered_by(Author::Target);
    Response::from_parts(head, Reply::download(body, &line.pace))
}

/// 101: both connections stop being HTTP once the user has got this response.
fn switch<R, A>(proxy: &Proxy<R, A>, mut response: Response<Incoming>) -> Answer {
    let line = &proxy.line;
    let upgrade = hyper::upgrade::on(&mut response);
    let (mut head, body) = response.into_parts();
    headers::to_user(&mut head, &body, Version::HTTP_11);
    line.pace.answered_by(Author::Target);
    Answer::Switched(Response::from_parts(head, Reply::text("", &line.pace)), upgrade)
}

#[cfg(test)]
mod tests;
