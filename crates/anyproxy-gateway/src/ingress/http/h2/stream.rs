//! One request over HTTP/2, from its head to the end of its response.

use std::{future::poll_fn, io, pin::pin};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_LENGTH};
use hyper::body::Body as _;

use super::{Incoming, hints::Hints, outgoing, tunnel};
use crate::ingress::{
    Authenticate, Route,
    http::{
        Answer, Proxy,
        body::{Reply, UserBody},
        interim::{self, Asks, Interim},
        pace::{Author, Busy},
    },
};

/// Serves one request. Dropping the future gives it up; the user's stream is reset then.
pub(super) async fn serve<R: Route, A: Authenticate>(
    proxy: Proxy<R, A>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    busy: Busy,
) {
    let peer = proxy.line.ends.peer;
    let (head, recv) = request.into_parts();
    // What follows a CONNECT is no body of the request.
    let (body, tunnel) = match head.method == Method::CONNECT {
        true => (UserBody::Empty, Some(recv)),
        false => (UserBody::Http2(Incoming::new(&head.headers, recv)), None),
    };
    let (informant, mut interims) = interim::interims(Asks::Us);
    let (pace, mut hints) = (proxy.line.pace.clone(), Hints::default());
    let answer = {
        let mut answer = pin!(proxy.answer(head, body, informant));
        loop {
            tokio::select! {
                biased;
                Some(interim) = interims.next() => {
                    if hints.may_go(&interim, &pace) {
                        tell(&mut respond, interim);
                    }
                }
                reset = poll_fn(|cx| respond.poll_reset(cx)) => {
                    let reset = outgoing::gone(reset);
                    return tracing::debug!(%peer, %reset, "a request was given up");
                }
                answer = &mut answer => break answer,
            }
        }
    };
    let response = match (answer, tunnel) {
        (Answer::Tunnel(stream), Some(recv)) => {
            let (connected, connection) = (Response::new(()), stream.label());
            match respond.send_response(connected, false) {
                Ok(sender) => tunnel::relay(peer, stream, recv, sender).await,
                Err(error) => tracing::debug!(%connection, %peer, %error, "the user was gone"),
            }
            return drop(busy);
        }
        (Answer::Response(response), _) => response,
        // Neither can be: only a CONNECT is answered with a tunnel, and nothing is upgraded here.
        (Answer::Tunnel(_) | Answer::Switched(..), _) => {
            return respond.send_reset(h2::Reason::INTERNAL_ERROR);
        }
    };
    tracing::debug!(%peer, status = response.status().as_u16(), "answered a request");
    if let Err(error) = reply(&proxy, &mut respond, response).await {
        tracing::debug!(%peer, %error, "a response broke off");
    }
    drop(busy);
}

fn tell(respond: &mut SendResponse<Bytes>, interim: Interim) {
    let mut response = Response::new(());
    *response.status_mut() = interim.status;
    *response.headers_mut() = interim.headers;
    if let Err(error) = respond.send_informational(response) {
        tracing::debug!(%error, "an informational response was not sent");
    }
}

/// Sends a response. One of our own has to be taken in time.
async fn reply<R: Route, A: Authenticate>(
    proxy: &Proxy<R, A>,
    respond: &mut SendResponse<Bytes>,
    response: Response<Reply>,
) -> io::Result<()> {
    let (mut head, body) = response.into_parts();
    let end = body.is_end_stream();
    let lacks_length =
        !head.headers.contains_key(CONTENT_LENGTH) && !end && head.status != StatusCode::NO_CONTENT;
    if lacks_length && let Some(length) = body.size_hint().exact() {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let author = body.author();
    let mut sender =
        respond.send_response(Response::from_parts(head, ()), end).map_err(io::Error::other)?;
    if end {
        return Ok(());
    }
    let passing = outgoing::pass_on(body, &mut sender);
    match author {
        Author::Target => passing.await,
        Author::Gateway => proxy.ingress.deadline().bound(passing).await?,
    }
}
