//! The accept loop.
//!
//! ```text
//! permit ─▶ accept ─▶ spawn ─▶ (first byte is read in the task)
//! ```
//!
//! Nothing is read here, so one slow peer never holds the next up. When all permits are taken the
//! loop stops accepting: users then wait in the kernel's queue instead of being turned away, and
//! get in as soon as one leaves. Only an address that has all that [one address](PerAddress) may have
//! is turned away. An error of accepting never ends the loop: running out of
//! descriptors passes, and the listener still owns its port.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_runtime::Scope;
use anyproxy_transport::net::{Conn, Listener, Role};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument as _;

use super::per_address::{PerAddress, Place};
use crate::tally::Tally;

/// The first pause after an accept that failed; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How a listener accepts.
#[derive(Debug, Clone)]
pub struct Acceptor {
    /// Names the connections' tasks and the log lines, such as `http`.
    pub name: &'static str,
    /// One permit for each live connection. Listeners may share it; each holds one more while it
    /// waits for its next connection.
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
    let mut health = Health::default();
    loop {
        let next = tokio::select! {
            biased;
            () = scope.draining() => return,
            next = next(&listener, &acceptor, &mut health) => next,
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

/// The next connection that is let in; `None` when there will be no more permits.
async fn next(
    listener: &Listener,
    acceptor: &Acceptor,
    health: &mut Health,
) -> Option<(Admission, Conn, SocketAddr)> {
    let permit = permit(acceptor, health).await?;
    loop {
        match listener.accept(Role::Proxied).await {
            Ok((conn, peer)) => {
                health.accepted(acceptor.name);
                let Some(place) = acceptor.addresses.enter(peer.ip()) else { continue };
                return Some((Admission { _permit: permit, _place: place }, conn, peer));
            }
            Err(error) if is_of_one_connection(&error) => {
                tracing::debug!(listener = acceptor.name, %error, "a peer left before it was accepted");
            }
            Err(error) => {
                acceptor.tally.accept_failed();
                let pause = health.failed(acceptor.name, &error);
                tokio::time::sleep(pause).await;
            }
        }
    }
}

async fn permit(acceptor: &Acceptor, health: &mut Health) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = acceptor.permits.clone().try_acquire_owned() {
        health.permits = Permits::Left;
        return Some(permit);
    }
    if health.permits == Permits::Left {
        health.permits = Permits::Exhausted;
        tracing::warn!(listener = acceptor.name, "all connections are in use; new users wait");
    }
    acceptor.permits.clone().acquire_owned().await.ok()
}

/// Whether the error belongs to the connection that was being accepted, so that the next one may
/// be taken at once. Linux passes pending network errors of the new socket on (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// What keeps the loop from accepting. Each run of trouble is logged once, not at each attempt.
#[derive(Debug, Default)]
struct Health {
    /// The pause after the latest accept, if it failed.
    pause: Option<Duration>,
    permits: Permits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Permits {
    #[default]
    Left,
    Exhausted,
}

impl Health {
    /// Notes a failure and returns how long to wait.
    fn failed(&mut self, listener: &str, error: &io::Error) -> Duration {
        let pause = match self.pause {
            Some(last) => LONGEST_PAUSE.min(last * 2),
            None => {
                tracing::error!(listener, %error, "cannot accept connections; trying on");
                FIRST_PAUSE
            }
        };
        self.pause = Some(pause);
        pause
    }

    fn accepted(&mut self, listener: &str) {
        if self.pause.take().is_some() {
            tracing::info!(listener, "accepts connections again");
        }
    }
}

#[cfg(test)]
mod tests;
