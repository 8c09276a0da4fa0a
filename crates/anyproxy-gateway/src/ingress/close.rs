//! Closing a user's connection so that the last reply arrives.
//!
//! Closing a TCP socket with unread bytes in it sends RST, and a RST makes the other end throw away
//! what it has not read yet: the reply that explains everything. RFC 9112 section 9.6 asks for a
//! close in stages: end the sending direction, then read until the other end closes, for a while.

use std::time::Duration;

use anyproxy_runtime::Deadline;
use anyproxy_transport::net::Conn;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How long a peer gets to read the last reply and close.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes that are read and thrown away at most. A peer that sends more does not listen.
const MOST_DISCARDED: usize = 256 * 1024;

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
    let mut scratch = [0; 4096];
    while left > 0 {
        match conn.read(&mut scratch).await {
            Ok(0) | Err(_) => return,
            Ok(read) => left = left.saturating_sub(read),
        }
    }
}
