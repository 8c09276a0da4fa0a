//! One proxied connection: a TCP connection, or a stream of an HTTP/2 connection, relayed with its
//! data stream.
//!
//! The relay itself knows no protocol; here its outcome becomes codes and resets. The rules:
//!
//! - a clean end of one direction is a clean end on the other side, and the other direction goes on;
//! - anything else resets both sides, with the code that names the side that failed;
//! - what was finished is waited for until the peer's transport has acknowledged it, so that nobody
//!   closes the tunnel over a tail that is still under way;
//! - a user who has received everything, and still sends to a target that is gone, is not reset at
//!   once: a reset would overtake the last bytes in its own kernel;
//! - a process that is killed in the middle looks like a reset as well: its kernel closes the TCP
//!   connection, and is told beforehand how ([`NearSide::hold_open`]).

use std::{io, time::Duration};

use anyproxy_runtime::{Deadline, End, IoSide, Outcome, RelayTimeouts, Side, relay};
use anyproxy_wire::codes::StreamCode;
use tokio::io::AsyncReadExt as _;

use crate::{error::StreamError, net::Conn, stream::Stream};

/// How long a user who has received everything may go on sending into the void.
const LINGER: Duration = Duration::from_secs(5);

/// Which end of the proxied connection the TCP connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Near {
    /// The user's, at the gateway.
    User,
    /// The target's, at the client.
    Target,
}

impl Near {
    fn failed(self) -> StreamCode {
        match self {
            Self::User => StreamCode::UserGone,
            Self::Target => StreamCode::TargetReset,
        }
    }
}

/// How a proxied connection ended.
#[derive(Debug)]
pub struct Spliced {
    /// Bytes from the TCP connection into the tunnel.
    pub sent: u64,
    /// Bytes out of the tunnel into the TCP connection.
    pub received: u64,
    /// Why it ended.
    pub end: SplicedEnd,
}

/// Why a proxied connection ended.
#[derive(Debug)]
pub enum SplicedEnd {
    /// Both directions ended cleanly and everything was acknowledged.
    Clean,
    /// The TCP connection failed.
    ConnFailed(io::Error),
    /// The data stream failed: the other side's reset, or a lost tunnel.
    StreamFailed(StreamError),
    /// Nothing moved for the forward's idle time-out.
    Idle,
    /// A receiver took nothing for the forward's stall time-out.
    Stalled,
    /// The session's stall budget was exhausted, and this one had rested longest.
    Evicted,
}

/// The near end of a proxied connection. Dropping it closes it.
pub trait NearSide: Side + Send {
    /// Ends it so that the other end sees that it did not end cleanly. `why` is `None` when the
    /// relay was dropped.
    fn reset(self, why: Option<&SplicedEnd>);

    /// The relay begins: should the process die, the other end shall not see a clean end.
    fn hold_open(&self) {}

    /// The relay is over: a close is a clean end again, and destroys nothing that is unsent.
    fn let_close(&self) {}

    /// Reads one piece into the void; `false` when nothing more will come. Cancel safe.
    fn discard(&mut self) -> impl Future<Output = bool> + Send;
}

impl NearSide for IoSide<Conn> {
    fn reset(self, _: Option<&SplicedEnd>) {
        self.into_inner().0.abort();
    }

    fn hold_open(&self) {
        self.get_ref().hold_open();
    }

    fn let_close(&self) {
        self.get_ref().let_close();
    }

    async fn discard(&mut self) -> bool {
        // On the heap: each relay would carry it to its end, and few come here.
        let mut void = vec![0; 4096];
        matches!(self.get_mut().read(&mut void).await, Ok(1..))
    }
}

/// Relays until both directions have ended, then waits until the peer has acknowledged what was
/// sent. Dropping the future resets both sides.
pub async fn splice<N: NearSide>(
    mut stream: Stream,
    conn: N,
    near: Near,
    timeouts: RelayTimeouts,
) -> Spliced {
    stream.set_stop_code(near.failed());
    let mut conn = ResetOnDrop::new(conn);
    let outcome = match conn.0.as_mut() {
        Some(side) => relay_unless_evicted(side, &mut stream, timeouts).await,
        None => None,
    };
    let Some(Outcome { a_to_b: up, b_to_a: down }) = outcome else {
        stream.reset(StreamCode::Stalled);
        conn.reset(&SplicedEnd::Evicted);
        return Spliced { sent: 0, received: 0, end: SplicedEnd::Evicted };
    };
    let (sent, received) = (up.bytes, down.bytes);
    let (up_finished, down_finished) =
        (matches!(up.end, End::Finished), matches!(down.end, End::Finished));
    let mut end = verdict(up.end, down.end);
    match code(&end, near) {
        Some(code) => stream.reset(code),
        // The end has been passed on; what the kernel still holds of it belongs to the other end.
        None => conn.let_close(),
    }
    if up_finished {
        let acked = stream.acked().await;
        if let (SplicedEnd::Clean, Err(error)) = (&end, acked) {
            end = SplicedEnd::StreamFailed(error);
        }
    }
    match (&end, near) {
        (SplicedEnd::Clean, _) => conn.close(),
        // The TCP connection has ended in both directions; a reset could tell it nothing, only
        // destroy what its kernel has not delivered yet.
        (SplicedEnd::StreamFailed(_), _) if down_finished && up_finished => conn.close(),
        (SplicedEnd::StreamFailed(_), Near::User) if down_finished => conn.linger().await,
        (end, _) => conn.reset(end),
    }
    Spliced { sent, received, end }
}

async fn relay_unless_evicted(
    side: &mut impl NearSide,
    stream: &mut Stream,
    timeouts: RelayTimeouts,
) -> Option<Outcome> {
    let eviction = stream.eviction();
    tokio::select! {
        outcome = relay(side, stream, timeouts) => Some(outcome),
        () = eviction.wait() => None,
    }
}

/// What ended the connection; `up` is TCP to stream, `down` stream to TCP.
fn verdict(up: End, down: End) -> SplicedEnd {
    match (up, down) {
        (End::ReadFailed(error), _) | (_, End::WriteFailed(error)) => SplicedEnd::ConnFailed(error),
        (_, End::ReadFailed(error)) | (End::WriteFailed(error), _) => stream_failed(&error),
        (End::Stalled, _) | (_, End::Stalled) => SplicedEnd::Stalled,
        (End::Idle, _) | (_, End::Idle) => SplicedEnd::Idle,
        (End::Finished | End::Abandoned, End::Finished | End::Abandoned) => SplicedEnd::Clean,
    }
}

fn stream_failed(error: &io::Error) -> SplicedEnd {
    SplicedEnd::StreamFailed(StreamError::from_io(error).cloned().unwrap_or(StreamError::Ended))
}

/// What the peer is told about the directions that still stand.
fn code(end: &SplicedEnd, near: Near) -> Option<StreamCode> {
    Some(match end {
        SplicedEnd::Clean => return None,
        SplicedEnd::ConnFailed(_) => near.failed(),
        SplicedEnd::StreamFailed(error) => echo(error),
        SplicedEnd::Idle => StreamCode::Idle,
        SplicedEnd::Stalled | SplicedEnd::Evicted => StreamCode::Stalled,
    })
}

fn echo(error: &StreamError) -> StreamCode {
    match error {
        StreamError::Reset(code) | StreamError::Stopped(code) => *code,
        StreamError::TunnelLost(_) => StreamCode::TunnelLost,
        StreamError::Wire(_) => StreamCode::Protocol,
        StreamError::Refused { .. } | StreamError::Unanswered | StreamError::ReplyTimedOut => {
            StreamCode::OpenFailed
        }
        StreamError::Ended => StreamCode::Cancelled,
    }
}

/// Resets the connection unless it was closed on purpose: whoever holds the other end must never
/// take a cut for an end.
struct ResetOnDrop<N: NearSide>(Option<N>);

impl<N: NearSide> ResetOnDrop<N> {
    fn new(side: N) -> Self {
        side.hold_open();
        Self(Some(side))
    }

    /// Comes before [`ResetOnDrop::close`]. A reset is still one afterwards.
    fn let_close(&self) {
        if let Some(side) = &self.0 {
            side.let_close();
        }
    }

    fn close(&mut self) {
        self.0 = None;
    }

    fn reset(&mut self, why: &SplicedEnd) {
        if let Some(side) = self.0.take() {
            side.reset(Some(why));
        }
    }

    /// Reads into the void until the other end has closed, then closes. The write side has ended
    /// already; closing with unread bytes would send RST and drop what the kernel has not sent.
    async fn linger(&mut self) {
        let Some(mut side) = self.0.take() else { return };
        side.let_close();
        let until_closed = async { while side.discard().await {} };
        let _ = Deadline::after(LINGER).bound(until_closed).await;
    }
}

impl<N: NearSide> Drop for ResetOnDrop<N> {
    fn drop(&mut self) {
        if let Some(side) = self.0.take() {
            side.reset(None);
        }
    }
}
