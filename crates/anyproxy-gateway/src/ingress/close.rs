//! Closing a user's connection so that the last reply arrives.
//!
//! Closing a TCP socket with unread bytes in it sends RST, and a RST makes the other end throw away
//! what it has not read yet: the reply that explains everything. RFC 9112 section 9.6 asks for a
//! close in stages: end the sending direction, then read until the other end closes, for a while.
//!
//! Where bytes start to flow without any reply, it is the other way round: a plain close would say
//! "this is all", so a connection that was not served has to be reset.

use std::{net::SocketAddr, time::Duration};

use anyproxy_runtime::Deadline;
use anyproxy_transport::net::Conn;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How long a peer gets to read the last reply and close.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes that are read and thrown away at most. A peer that sends more does not listen.
const MOST_DISCARDED: usize = 256 * 1024;

/// A user's connection of which nobody has taken care yet. Dropped, for example with a task that
/// was cancelled before it ran, it is reset.
#[derive(Debug)]
pub(crate) struct Unserved(Option<Conn>);

impl Unserved {
    pub(crate) fn new(conn: Conn) -> Self {
        Self(Some(conn))
    }

    /// The gateway's address that the user reached.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.0.as_ref()?.local_addr().ok()
    }

    /// To write to it while it is still unserved; `None` never happens.
    pub(crate) fn conn_mut(&mut self) -> Option<&mut Conn> {
        self.0.as_mut()
    }

    /// Takes the connection out; `None` never happens, since this is the only way to empty it.
    pub(crate) fn into_conn(mut self) -> Option<Conn> {
        self.0.take()
    }
}

impl Drop for Unserved {
    fn drop(&mut self) {
        if let Some(conn) = self.0.take() {
            conn.abort();
        }
    }
}

/// Ends the sending direction and waits for the peer to close, at most [`LINGER`].
pub(crate) async fn gently(mut conn: Conn) {
    // Elapsed or done, the connection is closed now.
    let _ = Deadline::after(LINGER).bound(discard(&mut conn)).await;
}

async fn discard(conn: &mut Conn) {
    if conn.shutdown().await.is_err() {
        return;
    }
    let mut left = MOST_DISCARDED;
    let mut scratch = vec![0; 4096];
    while left > 0 {
        match conn.read(&mut scratch).await {
            Ok(0) | Err(_) => return,
            Ok(read) => left = left.saturating_sub(read),
        }
    }
}
