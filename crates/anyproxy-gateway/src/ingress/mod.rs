//! Where users come in.
//!
//! ```text
//! listener ─ accept ─▶ http, with or without TLS ─┐
//! listener ─ accept ─▶ mixed ─────────────────────┤
//! listener ─ accept ─▶ socks5 ────────────────────┴▶ authenticate ─▶ Route::open ─▶ answer ─▶ relay
//! ```
//!
//! The user is answered only after the target is connected, and a failure is told as what it is:
//! [`outcome`] maps it once, to HTTP and to SOCKS5. Names are never looked up here.
//!
//! Every connection runs in a task of the caller's scope that is spawned before its first byte is
//! read. A user who leaves takes everything with it: the futures of one connection hang on its
//! task, so a pending open is dropped and its data stream reset.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod accept;
mod close;
pub mod http;
mod mixed;
mod outcome;
mod per_address;
mod route;
pub mod socks5;
pub mod target;
#[cfg(test)]
pub(crate) mod testing;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, IoSide, Scope};
use anyproxy_transport::{
    Opening, Opens, ProxyTls,
    net::{Conn, Listener},
};
use anyproxy_wire::message::{Ingress as Entrance, Protocol, Target};
use bytes::{Bytes, BytesMut};
use tokio::{sync::Semaphore, time::Instant};

use crate::flows::Flows;

pub use accept::{Acceptor, serve};
pub(crate) use close::Unserved;
pub use outcome::Outcome;
pub use per_address::PerAddress;
pub(crate) use per_address::counted;
pub(crate) use route::Pulse;
pub use route::{Authenticate, Carrier, Denied, OpenFailure, OpenRequest, Opened, Route, User};

/// What the HTTP and SOCKS5 proxies of one gateway share.
pub struct Ingress<R, A> {
    /// Opens connections.
    pub route: Arc<R>,
    /// Checks users.
    pub credentials: Arc<A>,
    /// For UDP associations.
    pub(crate) flows: Arc<Flows>,
    /// The permits of all users' connections: an association has a socket besides its connection, and
    /// takes another permit for it.
    pub(crate) permits: Arc<Semaphore>,
    /// Bounds each step before bytes are relayed: reading a proxy request's head, the wait for the
    /// target, and writing an error reply. 30 s by default.
    pub proxy_timeout: Duration,
    /// This gateway's name in `Proxy-Status`, such as `anyproxy`.
    pub name: Arc<str>,
    /// Counts what becomes of connections.
    pub(crate) opens: Arc<Opens>,
    /// Connections to HTTP targets that wait for their next request.
    pub kept: Arc<http::Kept>,
}

impl<R, A> fmt::Debug for Ingress<R, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingress")
            .field("proxy_timeout", &self.proxy_timeout)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A user's connection as one side of a relay; what was read from it already goes first.
pub(crate) fn side(conn: Conn, early: Bytes) -> IoSide<Conn> {
    // An empty slice of a read buffer would keep the whole buffer for as long as the relay lasts.
    match early.is_empty() {
        true => IoSide::new(conn),
        false => IoSide::with_prefix(conn, early),
    }
}

/// How a user's connection began. The time for its first request counts from there, whatever has to be
/// told apart before.
#[derive(Debug)]
pub struct Beginning {
    /// What was read from it already.
    pub early: BytesMut,
    /// When it was accepted.
    pub accepted: Instant,
}

impl Beginning {
    /// Of a connection that was accepted just now.
    #[must_use]
    pub fn now() -> Self {
        Self { early: BytesMut::new(), accepted: Instant::now() }
    }
}

/// Does `work` for a user who has not asked for anything yet, unless a drain of `scope` begins first:
/// nobody is owed the wait for a request that may never come.
pub(crate) async fn unless_draining<T>(scope: &Scope, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = scope.draining() => None,
    }
}

/// The two ends of a user's connection to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The user's address.
    pub(crate) peer: SocketAddr,
    /// The gateway's address that the user reached.
    pub(crate) local: Option<SocketAddr>,
}

impl<R: Route, A: Authenticate> Ingress<R, A> {
    /// Serves HTTP proxy users until `scope` drains; then the port is free. Connections live on in
    /// `scope`. Never fails: errors of accepting are waited out.
    pub async fn serve_http(self: Arc<Self>, listener: Listener, scope: Scope, accept: Acceptor) {
        let users = scope.clone();
        serve(listener, scope, accept, move |conn: Conn, peer| {
            http::serve(conn, Beginning::now(), peer, self.clone(), users.clone())
        })
        .await;
    }

    /// Serves HTTP proxy users behind TLS until `scope` drains; otherwise as
    /// [`Ingress::serve_http`].
    pub async fn serve_https(
        self: Arc<Self>,
        listener: Listener,
        tls: ProxyTls,
        scope: Scope,
        accept: Acceptor,
    ) {
        let users = scope.clone();
        serve(listener, scope, accept, move |conn: Conn, peer| {
            http::serve_tls(conn, peer, self.clone(), users.clone(), tls.clone())
        })
        .await;
    }

    /// Serves HTTP and SOCKS users at one port until `scope` drains; otherwise as
    /// [`Ingress::serve_http`].
    pub async fn serve_mixed(self: Arc<Self>, listener: Listener, scope: Scope, accept: Acceptor) {
        let users = scope.clone();
        serve(listener, scope, accept, move |conn: Conn, peer| {
            mixed::serve(conn, peer, self.clone(), users.clone())
        })
        .await;
    }

    /// Serves SOCKS5 users until `scope` drains; otherwise as [`Ingress::serve_http`].
    pub async fn serve_socks5(self: Arc<Self>, listener: Listener, scope: Scope, accept: Acceptor) {
        let users = scope.clone();
        serve(listener, scope, accept, move |conn: Conn, peer| {
            socks5::serve(conn, Beginning::now(), peer, self.clone(), users.clone())
        })
        .await;
    }

    /// A deadline for the next step of a user's connection.
    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(self.proxy_timeout)
    }

    /// The deadline for the first step of a connection that was accepted at that time.
    pub(crate) fn first_deadline(&self, accepted: Instant) -> Deadline {
        accepted.checked_add(self.proxy_timeout).map_or(Deadline::never(), Deadline::at)
    }

    /// Opens a connection to `target` for `user`, within the proxy deadline. Cancel safe.
    pub(crate) async fn open(
        &self,
        entrance: Entrance,
        target: &str,
        user: &User,
        ends: Ends,
    ) -> Result<Opened, OpenFailure> {
        let request = OpenRequest {
            group: user.group.clone(),
            opening: Opening {
                ingress: entrance,
                target: Target::Name(target.to_owned()),
                source: Some(ends.peer),
                destination: ends.local,
                user: user.name.to_string(),
                protocol: Protocol::Tcp,
            },
        };
        let counting = self.opens.begin(entrance);
        let deadline = self.deadline();
        // The route keeps the deadline itself; bounding it here as well means that no fault of a
        // session can make a user wait for ever.
        let opened = deadline.bound(self.route.open(&request, deadline)).await;
        let opened = opened.unwrap_or(Err(OpenFailure::TimedOut));
        counting.done(outcome::counted(&opened));
        let (peer, user) = (ends.peer, &user.name);
        match &opened {
            Ok(Opened { stream, .. }) => {
                tracing::debug!(connection = %stream.label(), target, %peer, %user, "connection opened");
            }
            // What became of each Open is told where it went out.
            Err(failure) => {
                tracing::debug!(target, %peer, %user, ?failure, "connection not opened");
            }
        }
        opened
    }
}
