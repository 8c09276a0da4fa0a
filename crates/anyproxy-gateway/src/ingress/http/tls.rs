//! The HTTP proxy behind TLS.
//!
//! ```text
//! first byte ─┬─ TLS ─▶ handshake ─▶ ALPN ─┬─ h2 ─────────────▶ HTTP/2
//!             │                            └─ http/1.1, none ─▶ HTTP/1
//!             └─ else ─▶ 400 in plain text
//! ```
//!
//! What the two ends settle on is what they get: HTTP/2 is offered because it is served, CONNECT
//! and all. Up to the first request everything has to happen within one proxy deadline. In a
//! drain nobody is waited for who has sent nothing, and a handshake under way has to be quick; then the
//! connection is ended as its protocol wants it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_runtime::Scope;
use anyproxy_transport::{Alpn, ProxyTls, net::Conn};
use bytes::BytesMut;
use tokio::{io::AsyncWriteExt as _, time::Instant};

use super::{Ingress, close, h1, h2, io, response::Problem};
use crate::ingress::{Authenticate, Beginning, Route, mixed, unless_draining};

/// For a user who speaks HTTP where TLS is expected.
const PLAIN: &str = "this port speaks TLS; use the proxy with https://, not with http://host";

/// How long a handshake may go on in a drain.
const LAST_HANDSHAKE: Duration = Duration::from_secs(1);

/// Ends a while after a drain begins. Cancel safe.
async fn last_call(scope: &Scope) {
    scope.draining().await;
    tokio::time::sleep(LAST_HANDSHAKE).await;
}

/// Serves one user's connection to its end, as [`h1::serve`] does, behind TLS.
pub async fn serve<R: Route, A: Authenticate>(
    mut conn: Conn,
    peer: SocketAddr,
    ingress: Arc<Ingress<R, A>>,
    scope: Scope,
    tls: ProxyTls,
) {
    let accepted = Instant::now();
    let deadline = ingress.first_deadline(accepted);
    let began = deadline.bound(mixed::begin(&mut conn));
    let Some(Ok(Ok(early))) = unless_draining(&scope, began).await else {
        return tracing::debug!(%peer, "nothing came at the TLS port");
    };
    if early.first().is_some_and(|first| *first != io::TLS) {
        tracing::debug!(%peer, "a user speaks no TLS at the TLS port");
        // A few bytes into an empty send buffer: nothing to wait for.
        let answer = Problem::bad_request(PLAIN).last_words(&ingress.name);
        let _ = conn.write(answer.as_bytes()).await;
        return close::gently(conn).await;
    }
    let shaken = tokio::select! {
        biased;
        shaken = deadline.bound(tls.accept(conn, early)) => Some(shaken),
        () = last_call(&scope) => None,
    };
    let Some(shaken) = shaken else {
        return tracing::debug!(%peer, "a TLS handshake was under way when the drain began");
    };
    let beginning = Beginning { early: BytesMut::new(), accepted };
    match shaken {
        Ok(Ok((conn, Alpn::Http2))) => h2::serve(conn, beginning, peer, ingress, scope).await,
        Ok(Ok((conn, Alpn::Http1))) => {
            h1::serve(conn, beginning, peer, ingress, scope).await;
        }
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "a TLS handshake was too slow"),
    }
}
