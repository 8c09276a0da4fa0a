//! The accept loop.
//!
//! ```text
//! accept ─▶ permit ─▶ spawn ─▶ (first byte is read in the task)
//! ```
//!
//! Nothing is read here, so one slow peer never holds the next up. When all permits are taken the
//! loop stops at the next user: it waits accepted and unread, those behind it wait in the kernel's
//! queue, and nobody is turned away. They get in as soon as one leaves. A listener without users
//! holds no permit, so that many of them take nobody's place. Only an address that has all that [one address](PerAddress) may have
//! is turned away. [No error of accepting](Accepting) ends the loop.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use anyproxy_runtime::{Scope, Trouble};
use anyproxy_transport::net::{Accepting, Conn, Listener, Role, is_of_one_connection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument as _;

use super::per_address::{PerAddress, Place};
use crate::tally::Tally;

/// How a listener accepts.
#[derive(Debug, Clone)]
pub struct Acceptor {
    /// Names the connections' tasks and the log lines, such as `http`.
    pub name: &'static str,
    /// One permit for each live connection. Listeners may share it.
    pub permits: Arc<Semaphore>,
    /// How many of them one address may have. Listeners may share it.
    pub addresses: Arc<PerAddress>,
    /// Listeners may share it.
    pub(crate) tally: Arc<Tally>,
}

impl Acceptor {
    /// The same under another name.
    #[must_use]
    pub fn named(&self, name: &'static str) -> Self {
        Self { name, ..self.clone() }
    }
}

/// What a live connection holds.
#[derive(Debug)]
struct Admission {
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

/// Accepts connections and runs `handler` on each, as a task of `scope` that holds a permit.
///
/// Ends when `scope` drains, or when the permits' semaphore is closed; the listener is dropped
/// then, so that its port is free at once. Connections that run go on.
///
/// Cancel safe: dropping it closes the listener, nothing else.
pub async fn serve<H, F>(listener: Listener, scope: Scope, acceptor: Acceptor, handler: H)
where
    H: Fn(Conn, SocketAddr) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let health = Health::new(acceptor.name);
    loop {
        let next = tokio::select! {
            biased;
            () = scope.draining() => return,
            next = next(&listener, &acceptor, &health) => next,
        };
        let Some((admission, conn, peer)) = next else { return };
        let number = acceptor.tally.accepted();
        let span = tracing::debug_span!("user", number, ingress = acceptor.name, %peer);
        let task = span.in_scope(|| handler(conn, peer));
        let serving = async move {
            task.await;
            drop(admission);
        };
        scope.spawn(acceptor.name, serving.instrument(span));
    }
}

/// What keeps the loop from accepting.
#[derive(Debug)]
struct Health {
    accepting: Accepting,
    permits: Trouble,
}

impl Health {
    fn new(name: &'static str) -> Self {
        Self { accepting: Accepting::new(name), permits: Trouble::default() }
    }
}

async fn accept(listener: &Listener, acceptor: &Acceptor) -> io::Result<(Conn, SocketAddr)> {
    let accepted = listener.accept(Role::Proxied).await;
    if accepted.as_ref().is_err_and(|error| !is_of_one_connection(error)) {
        acceptor.tally.accept_failed();
    }
    accepted
}

/// The next connection that is let in; `None` when there will be no more permits.
async fn next(
    listener: &Listener,
    acceptor: &Acceptor,
    health: &Health,
) -> Option<(Admission, Conn, SocketAddr)> {
    loop {
        let accepted = health.accepting.next(|| accept(listener, acceptor));
        let (conn, peer) = accepted.await;
        // Before the place: where all users have one address, who is one too many waits too.
        let permit = permit(acceptor, &health.permits).await?;
        let Some(place) = acceptor.addresses.enter(peer.ip()) else { continue };
        return Some((Admission { _permit: permit, _place: place }, conn, peer));
    }
}

async fn permit(acceptor: &Acceptor, trouble: &Trouble) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = acceptor.permits.clone().try_acquire_owned() {
        if trouble.is_over() {
            tracing::info!(listener = acceptor.name, "there is room for users again");
        }
        return Some(permit);
    }
    if let Some(times) = trouble.happened() {
        tracing::warn!(
            listener = acceptor.name,
            times,
            "all connections are in use (max_users); new users wait"
        );
    }
    acceptor.permits.clone().acquire_owned().await.ok()
}

#[cfg(test)]
mod tests;
