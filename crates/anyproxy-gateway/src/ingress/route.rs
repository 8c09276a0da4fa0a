//! What an ingress asks of the rest of the gateway.
//!
//! Ingress and sessions meet only here: an ingress knows who asks and for what, not which session
//! serves it nor how secrets are kept.

use std::{
    fmt,
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use anyproxy_runtime::Deadline;
use anyproxy_transport::{Opening, Stream};
use anyproxy_wire::codes::OpenCode;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// A connection that a user wants.
#[derive(Debug, Clone)]
pub struct OpenRequest {
    /// The group whose sessions may serve it.
    pub group: Arc<str>,
    /// What goes into the Open.
    pub opening: Opening,
}

/// A connection that the target has accepted.
#[derive(Debug)]
pub struct Opened {
    /// Carries the connection's bytes.
    pub stream: Stream,
    /// The address that the client dialled, when it says so.
    pub address: Option<SocketAddr>,
    /// Whoever serves it.
    pub carrier: Carrier,
}

/// What becomes of the session that carries a connection. What is only kept for later should end
/// when the session leaves, as it waits for those that it has; and nothing should be sent along one
/// whose client is silent.
#[derive(Debug, Clone)]
pub struct Carrier {
    leaving: watch::Receiver<bool>,
    pulse: Arc<dyn Pulse>,
}

/// Whether a session's client still answers.
pub(crate) trait Pulse: fmt::Debug + Send + Sync {
    /// Whether it was found silent, and nothing has come since.
    fn is_silent(&self) -> bool;

    /// Waits until nothing has come for long enough after now; for ever if something comes.
    fn silent(&self) -> BoxFuture<'_, ()>;
}

impl Carrier {
    pub(crate) fn new(leaving: watch::Receiver<bool>, pulse: Arc<dyn Pulse>) -> Self {
        Self { leaving, pulse }
    }

    /// Whether it takes no new connections any more.
    #[must_use]
    pub fn has_departed(&self) -> bool {
        *self.leaving.borrow()
    }

    /// Waits until it takes no new connections any more. Cancel safe.
    pub async fn departed(&mut self) {
        // A session that is gone has left.
        let _ = self.leaving.wait_for(|leaving| *leaving).await;
    }

    /// Whether its client was found silent, and nothing has come since.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.pulse.is_silent()
    }

    /// Waits until nothing has come from the client for long enough after now that it is taken for
    /// silent; for ever if something comes. Cancel safe.
    pub async fn silent(&self) {
        self.pulse.silent().await;
    }
}

/// Why a connection was not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenFailure {
    /// The group has no session.
    NoSession,
    /// The client answered with a code other than connected.
    Refused {
        /// The client's code.
        code: OpenCode,
        /// The client's words, for people. Whatever a peer wrote: not to be trusted.
        detail: String,
    },
    /// The session ended before it answered, and no other took over.
    Lost,
    /// No answer within the deadline.
    TimedOut,
}

/// Opens connections through the sessions of a group.
pub trait Route: Send + Sync + 'static {
    /// Opens a connection and waits for the client's answer, at most until `deadline`.
    ///
    /// Cancel safe: dropping the future gives the open up, so that neither a data stream nor a
    /// connection to the target is left behind.
    ///
    /// # Errors
    /// The [`OpenFailure`] that the user is told.
    fn open(
        &self,
        request: &OpenRequest,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Opened, OpenFailure>> + Send;
}

/// Who authenticated at an ingress.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct User {
    /// The group whose sessions the user may use.
    pub group: Arc<str>,
    /// The user's name.
    pub name: Arc<str>,
    /// Which credential of that name it was: another one has another number.
    pub credential: u64,
}

/// Why a user was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Unknown user or wrong password; which of both is never said.
    Wrong,
    /// Too many failures, or too many checks at once. Another try later may succeed.
    Busy,
}

/// Checks the passwords of users.
pub trait Authenticate: Send + Sync + 'static {
    /// Who `name` with `password` is. `peer` is where the attempt comes from.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// [`Denied`], which says as little as possible.
    fn check_user(
        &self,
        name: &str,
        password: &[u8],
        peer: IpAddr,
    ) -> impl Future<Output = Result<User, Denied>> + Send;

    /// Whether `user` would still be let in with what it proved. Cheap: nothing is hashed.
    fn is_still_valid(&self, user: &User) -> bool;
}
