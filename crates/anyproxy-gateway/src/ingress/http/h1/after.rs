//! What follows when a connection stops being HTTP.
//!
//! ```text
//! CONNECT ─▶ Route::open ─▶ 200 ─▶ hyper gives the socket back ─▶ splice
//! Upgrade ─▶ forward ─▶ 101 ─▶ both give their sockets back ─▶ splice
//! ```
//!
//! What the user sent behind the request (hyper has read it already) goes first.

use std::net::SocketAddr;

use anyproxy_runtime::RelayTimeouts;
use anyproxy_transport::{Near, Spliced, Stream, net::Conn, splice};
use anyproxy_wire::codes::StreamCode;
use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;

use crate::ingress::{Unserved, side};

/// What follows the HTTP part of a connection.
#[derive(Debug)]
pub(super) enum After {
    /// CONNECT: the target's bytes.
    Tunnel(Stream),
    /// 101: the bytes of another protocol.
    Switched(OnUpgrade),
}

impl After {
    /// Relays it; `early` is what was read past the HTTP part.
    pub(super) async fn follow(self, peer: SocketAddr, conn: Conn, early: Bytes) {
        match self {
            Self::Tunnel(stream) => relay(peer, stream, conn, early).await,
            Self::Switched(upgrade) => switched(peer, upgrade, conn, early).await,
        }
    }

    /// Ends it, for want of a user who has got the response.
    pub(super) fn give_up(self, peer: SocketAddr) {
        match self {
            Self::Tunnel(stream) => user_gone(peer, stream),
            // The task of the target's connection tells of its end.
            Self::Switched(_) => {}
        }
    }
}

fn user_gone(peer: SocketAddr, mut stream: Stream) {
    tracing::debug!(connection = %stream.label(), %peer, "the user was gone");
    stream.reset(StreamCode::UserGone);
}

async fn switched(peer: SocketAddr, upgrade: OnUpgrade, conn: Conn, early: Bytes) {
    let mut user = Unserved::new(conn);
    // The target has sent its 101 already, so this waits for a task of our own only.
    let parts = match upgrade.await.map(Upgraded::downcast::<TokioIo<Stream>>) {
        Ok(Ok(parts)) => parts,
        Ok(Err(_)) | Err(_) => {
            tracing::debug!(%peer, "the target's connection broke at the switch");
            return;
        }
    };
    let Parts { io, read_buf, .. } = parts;
    let stream = io.into_inner();
    let Some(conn) = user.conn_mut() else { return };
    // At most one read buffer, so the other direction does not wait for long.
    if conn.write_all(&read_buf).await.is_err() || conn.flush().await.is_err() {
        return user_gone(peer, stream);
    }
    let Some(conn) = user.into_conn() else { return };
    relay(peer, stream, conn, early).await;
}

async fn relay(peer: SocketAddr, stream: Stream, conn: Conn, early: Bytes) {
    let connection = stream.label();
    let Spliced { sent, received, end } =
        splice(stream, side(conn, early), Near::User, RelayTimeouts::default()).await;
    tracing::debug!(%connection, %peer, sent, received, ?end, "a tunnelled connection ended");
}
