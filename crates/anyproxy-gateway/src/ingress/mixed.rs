//! HTTP and SOCKS on one port.
//!
//! ```text
//! first byte ─┬─ 04, 05 ─▶ socks
//!             └─ else ───▶ http
//! ```
//!
//! SOCKS begins with its version (RFC 1928 section 3), HTTP with a letter. What was read goes on
//! as the first bytes of the one or the other, and so does the time: there is one deadline for the
//! first byte and all that a log-in or head needs.

use std::{io, net::SocketAddr, sync::Arc};

use anyproxy_runtime::Scope;
use anyproxy_transport::net::Conn;
use bytes::BytesMut;
use tokio::{io::AsyncReadExt as _, time::Instant};

use super::{Authenticate, Beginning, Ingress, Route, http, socks5, unless_draining};

/// Bytes that are read to see the first one.
const FIRST_READ: usize = 1024;

/// Serves one user's connection to its end, as HTTP or as SOCKS.
pub(super) async fn serve<R: Route, A: Authenticate>(
    mut conn: Conn,
    peer: SocketAddr,
    ingress: Arc<Ingress<R, A>>,
    scope: Scope,
) {
    let accepted = Instant::now();
    let began = ingress.first_deadline(accepted).bound(begin(&mut conn));
    let Some(Ok(Ok(early))) = unless_draining(&scope, began).await else {
        return tracing::debug!(%peer, "nothing came at a mixed port");
    };
    let first = early.first().copied();
    let beginning = Beginning { early, accepted };
    match first {
        Some(4 | 5) => socks5::serve(conn, beginning, peer, ingress, scope).await,
        Some(_) => http::serve(conn, beginning, peer, ingress, scope).await,
        None => {}
    }
}

/// Waits for the first bytes; none when the user has closed. Cancel safe in that nothing is lost
/// but with `conn`.
pub(super) async fn begin(conn: &mut Conn) -> io::Result<BytesMut> {
    let mut early = BytesMut::with_capacity(FIRST_READ);
    conn.read_buf(&mut early).await?;
    Ok(early)
}
