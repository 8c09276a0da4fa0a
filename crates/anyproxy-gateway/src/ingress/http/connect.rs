//! CONNECT, and what follows when a connection stops being HTTP.
//!
//! ```text
//! CONNECT ─▶ Route::open ─▶ 200 ─▶ hyper gives the socket back ─▶ splice
//! Upgrade ─▶ forward ─▶ 101 ─▶ both give their sockets back ─▶ splice
//! ```
//!
//! What the user sent behind the request (hyper has read it already) goes first.

use anyproxy_runtime::RelayTimeouts;
use anyproxy_transport::{Near, Spliced, Stream, net::Conn, splice};
use anyproxy_wire::{codes::StreamCode, message::Ingress as Entrance};
use bytes::Bytes;
use http::Response;
use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;

use super::{After, Line, Proxy, body::Reply, response, response::Problem};
use crate::ingress::{Authenticate, Outcome, Route, Unserved, User, side, target::TargetAddr};

/// Opens the tunnel; the connection is the target's once the 200 has been written.
pub(super) async fn connect<R: Route, A: Authenticate>(
    proxy: &Proxy<R, A>,
    target: &TargetAddr,
    user: &User,
) -> Result<Response<Reply>, Problem> {
    let opened = proxy
        .ingress
        .open(Entrance::HttpConnect, target.as_str(), user, proxy.line.ends)
        .await
        .map_err(|failure| Outcome::of(&failure, target.as_str()))?;
    proxy.line.then(After::Tunnel(opened.stream));
    Ok(response::connected(&proxy.line.pace))
}

/// Relays what follows the HTTP part of a connection; `early` is what was read past it.
pub(super) async fn follow(line: &Line, after: After, conn: Conn, early: Bytes) {
    match after {
        After::Tunnel(stream) => relay(line, stream, conn, early).await,
        After::Switched(upgrade) => switched(line, upgrade, conn, early).await,
    }
}

async fn switched(line: &Line, upgrade: OnUpgrade, conn: Conn, early: Bytes) {
    let mut user = Unserved::new(conn);
    // The target has sent its 101 already, so this waits for a task of our own only.
    let parts = match upgrade.await.map(hyper::upgrade::Upgraded::downcast::<TokioIo<Stream>>) {
        Ok(Ok(parts)) => parts,
        Ok(Err(_)) | Err(_) => {
            tracing::debug!(peer = %line.ends.peer, "the target's connection broke at the switch");
            return;
        }
    };
    let Parts { io, read_buf, .. } = parts;
    let mut stream = io.into_inner();
    let Some(conn) = user.conn_mut() else { return };
    // At most one read buffer, so the other direction does not wait for long.
    if conn.write_all(&read_buf).await.is_err() {
        return stream.reset(StreamCode::UserGone);
    }
    let Some(conn) = user.into_conn() else { return };
    relay(line, stream, conn, early).await;
}

async fn relay(line: &Line, stream: Stream, conn: Conn, early: Bytes) {
    let Spliced { sent, received, end } =
        splice(stream, side(conn, early), Near::User, RelayTimeouts::default()).await;
    tracing::debug!(peer = %line.ends.peer, sent, received, ?end, "a tunnelled connection ended");
}
