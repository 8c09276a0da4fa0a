//! The SOCKS5 proxy (RFC 1928, log-in by RFC 1929): CONNECT and UDP ASSOCIATE.
//!
//! ```text
//! user                                     gateway
//!   | 05 methods                              |
//!   |---------------------------------------->|
//!   |                    05 02, or 05 FF      |
//!   |<----------------------------------------|
//!   | 01 user name, password                  |
//!   |---------------------------------------->|
//!   |                    01 00, or 01 01      |
//!   |<----------------------------------------|
//!   | 05 CONNECT target                       |
//!   |---------------------------------------->|   Route::open
//!   |                    05 reply             |
//!   |<----------------------------------------|
//!   | raw bytes                               |
//! ```
//!
//! An [`association`] takes datagrams through the tunnel as well: sent from here, they would bypass
//! the client's policy. BIND is refused with 0x07: it waits for a connection from outside to the
//! client's side, which a tunnel has no use for. SOCKS4 and 4a are refused with their own 0x5B.

pub mod address;
mod association;
pub mod datagram;
pub mod handshake;
mod head;

use std::{io, net::SocketAddr, sync::Arc};

use anyproxy_runtime::{Deadline, RelayTimeouts, Scope};
use anyproxy_transport::{Near, Spliced, net::Conn, splice};
use anyproxy_wire::{codes::StreamCode, message::Ingress as Entrance};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use self::{
    association::Association,
    handshake::{Handshake, Violation},
    head::Asked,
};
use super::{
    Authenticate, Beginning, Ends, Ingress, OpenFailure, Opened, Outcome, Route, User, close, side,
    target::TargetAddr, unless_draining,
};

/// Bytes read ahead at most: every message of the handshake fits, whatever comes behind.
const MOST_AHEAD: usize = 4096;

/// Why a connection ended before bytes were relayed.
#[derive(Debug, thiserror::Error)]
enum Ended {
    /// The user's connection broke or was closed.
    #[error("the user left: {0}")]
    Left(#[from] io::Error),
    /// What the user sent is not SOCKS5.
    #[error("{0}")]
    Violation(#[from] Violation),
    /// Refused, and the user was told.
    #[error("{0}")]
    Refused(String),
    /// The user took too long.
    #[error("the user was too slow")]
    Slow,
    /// A drain began before the user had asked for anything.
    #[error("the gateway is shutting down")]
    Draining,
}

/// Serves one user's connection to its end.
///
/// Dropping it ends everything that belongs to the connection. So does a drain of `scope`, as long as
/// there is no whole request.
pub async fn serve<R: Route, A: Authenticate>(
    conn: Conn,
    beginning: Beginning,
    peer: SocketAddr,
    ingress: Arc<Ingress<R, A>>,
    scope: Scope,
) {
    let ends = Ends { peer, local: conn.local_addr().ok() };
    let Beginning { early: ahead, accepted } = beginning;
    let within = ingress.first_deadline(accepted);
    let mut visit = Visit { conn, ends, ahead, handshake: Handshake::default() };
    match visit.begin(&ingress, &scope, within).await {
        Ok(Begun::Connected(opened)) => visit.relay(*opened).await,
        Ok(Begun::Associated(association)) => association.run(visit.conn).await,
        Err(ended) => {
            tracing::debug!(%peer, %ended, "a socks5 connection ended early");
            match ended {
                Ended::Left(_) | Ended::Draining => {}
                Ended::Violation(_) | Ended::Refused(_) | Ended::Slow => {
                    close::gently(visit.conn).await;
                }
            }
        }
    }
}

/// What a user's connection is for.
enum Begun<R, A> {
    /// It carries the target's bytes.
    Connected(Box<Opened>),
    /// It lives as long as the association.
    Associated(Box<Association<R, A>>),
}

/// One user's connection.
#[derive(Debug)]
struct Visit {
    conn: Conn,
    ends: Ends,
    /// Read but not used. After the request these are the first bytes for the target.
    ahead: BytesMut,
    handshake: Handshake,
}

impl Visit {
    /// Everything up to the reply.
    async fn begin<R: Route, A: Authenticate>(
        &mut self,
        ingress: &Arc<Ingress<R, A>>,
        scope: &Scope,
        within: Deadline,
    ) -> Result<Begun<R, A>, Ended> {
        let head = unless_draining(scope, within.bound(self.head(ingress))).await;
        let (user, asked) = head.ok_or(Ended::Draining)?.unwrap_or(Err(Ended::Slow))?;
        match asked {
            Asked::Target(target) => self.connect(ingress, &user, &target).await,
            Asked::Association(port) => self.associate(ingress, user, port).await,
        }
    }

    async fn connect<R: Route, A: Authenticate>(
        &mut self,
        ingress: &Ingress<R, A>,
        user: &User,
        target: &TargetAddr,
    ) -> Result<Begun<R, A>, Ended> {
        let opened = self.open(ingress, user, target).await?;
        match self.tell(ingress.deadline(), &handshake::reply(0)).await {
            Ok(()) => Ok(Begun::Connected(Box::new(opened))),
            Err(ended) => Err(user_gone(opened, ended)),
        }
    }

    async fn associate<R: Route, A: Authenticate>(
        &mut self,
        ingress: &Arc<Ingress<R, A>>,
        user: User,
        port: u16,
    ) -> Result<Begun<R, A>, Ended> {
        match Association::bind(Arc::clone(ingress), user, self.ends, port) {
            Ok((association, bound)) => {
                self.tell(ingress.deadline(), &handshake::reply_with(0, bound)).await?;
                Ok(Begun::Associated(Box::new(association)))
            }
            Err(error) => {
                self.tell(ingress.deadline(), &handshake::reply(handshake::FAILED)).await?;
                Err(Ended::Refused(format!("no UDP socket: {error}")))
            }
        }
    }

    /// Opens the target while watching whether the user is still there.
    async fn open<R: Route, A: Authenticate>(
        &mut self,
        ingress: &Ingress<R, A>,
        user: &User,
        target: &TargetAddr,
    ) -> Result<Opened, Ended> {
        let opening = ingress.open(Entrance::Socks5, target.as_str(), user, self.ends);
        let opened = tokio::select! {
            biased;
            opened = opening => opened,
            error = left(&mut self.conn, &mut self.ahead) => return Err(Ended::Left(error)),
        };
        match opened {
            Ok(opened) => Ok(opened),
            Err(failure) => Err(self.refuse(ingress.deadline(), &failure, target).await),
        }
    }

    async fn refuse(&mut self, by: Deadline, failure: &OpenFailure, target: &TargetAddr) -> Ended {
        let outcome = Outcome::of(failure, target.as_str());
        match self.tell(by, &handshake::reply(outcome.socks)).await {
            Ok(()) => Ended::Refused(outcome.text),
            Err(ended) => ended,
        }
    }

    async fn relay(self, opened: Opened) {
        let (peer, connection) = (self.ends.peer, opened.stream.label());
        let side = side(self.conn, self.ahead.freeze());
        let Spliced { sent, received, end } =
            splice(opened.stream, side, Near::User, RelayTimeouts::default()).await;
        tracing::debug!(%connection, %peer, sent, received, ?end, "a socks5 connection ended");
    }

    /// Sends a reply, which takes no longer than the user may take.
    async fn tell(&mut self, by: Deadline, bytes: &[u8]) -> Result<(), Ended> {
        Ok(by.bound(self.send(bytes)).await.map_err(|_| Ended::Slow)??)
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.conn.write_all(bytes).await
    }
}

/// Drops an opened connection that its user did not wait for.
fn user_gone(mut opened: Opened, ended: Ended) -> Ended {
    tracing::debug!(connection = %opened.stream.label(), %ended, "the user was gone");
    opened.stream.reset(StreamCode::UserGone);
    ended
}

/// Reads some more, up to [`MOST_AHEAD`] in all. Cancel safe.
async fn read_ahead(conn: &mut Conn, ahead: &mut BytesMut) -> io::Result<()> {
    let room = MOST_AHEAD.saturating_sub(ahead.len());
    if room == 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    ahead.reserve(room);
    match conn.take(room as u64).read_buf(ahead).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Ends when the user does. Once the user has sent something ahead, only the relay can tell an end
/// from a half-close, so then this never ends. Cancel safe.
async fn left(conn: &mut Conn, ahead: &mut BytesMut) -> io::Error {
    if ahead.is_empty()
        && let Err(error) = read_ahead(conn, ahead).await
    {
        return error;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests;
