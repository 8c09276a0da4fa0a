//! What tells about a running gateway or client: metrics and health over TCP, the status over a Unix
//! socket.
//!
//! ```text
//! anyproxy-gateway, -client ─ figures ─▶ subject (here) ─▶ anyproxy-admin ─▶ Prometheus, `anyproxy status`
//! ```
//!
//! Here the two meet that do not know each other: figures become metrics and rows.

mod client;
mod figures;
mod gateway;
mod groups;
mod socket;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use anyproxy_admin::{Door, Offer, Subject, serve};
use anyproxy_runtime::Scope;
use anyproxy_transport::net::{Conn, Listener, LocalStream, Net, Role, UnixDoor};
use thiserror::Error;

pub(crate) use client::ClientSubject;
pub(crate) use gateway::{Expiries, GatewaySubject};
pub(crate) use socket::{Found, found};

use crate::{settings::AdminSettings, values::StatusSocket};

/// Why a process cannot be asked about.
#[derive(Debug, Error)]
pub enum AdminError {
    /// The address of metrics and health cannot be had.
    #[error("cannot listen on {addr} for metrics and health")]
    Address {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The socket of the status cannot be made.
    #[error("cannot make the status socket {}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl AdminError {
    /// What a person can do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::Address { .. } => "give `admin` another port, or \"off\"".into(),
            Self::Socket { .. } => "name a file in a directory that only you can write to, or use \
                 `status_socket = \"off\"`"
                .into(),
        }
    }
}

/// Tells about the process for as long as it is kept.
#[derive(Debug)]
#[must_use = "nothing is told when this is dropped"]
pub(crate) struct Admin {
    scope: Scope,
    addr: Option<SocketAddr>,
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.scope.cancel();
    }
}

struct Tcp(Listener);

impl Door for Tcp {
    type Conn = Conn;

    async fn accept(&self) -> io::Result<Conn> {
        self.0.accept(Role::Proxied).await.map(|(conn, _)| conn)
    }
}

struct Local(UnixDoor);

impl Door for Local {
    type Conn = LocalStream;

    async fn accept(&self) -> io::Result<LocalStream> {
        self.0.accept().await
    }
}

/// A subject that is told where it is asked.
pub(crate) trait Told: Subject {
    /// `gateway` or `client`.
    const NAME: &'static str;
}

impl Admin {
    /// Opens the doors that `settings` name.
    ///
    /// # Errors
    ///
    /// When one that a person named cannot be opened. Without the usual socket the process runs all the same.
    pub(crate) fn start<S: Told>(
        settings: &AdminSettings,
        net: &dyn Net,
        subject: Arc<S>,
    ) -> Result<Self, AdminError> {
        let scope = Scope::root("admin");
        let subject: Arc<dyn Subject> = subject;
        let mut admin = Self { scope: scope.clone(), addr: None };
        if let Some(addr) = settings.addr {
            let bind = || {
                let listener = net.listen(addr)?;
                Ok((listener.local_addr()?, listener))
            };
            let (bound, listener) =
                bind().map_err(|source| AdminError::Address { addr, source })?;
            admin.addr = Some(bound);
            tracing::info!(admin = %bound, "metrics and health started");
            let serving = serve(Tcp(listener), Arc::clone(&subject), Offer::Figures, scope.clone());
            scope.spawn("admin", serving);
        }
        if let Some(door) = local(&settings.socket, S::NAME)? {
            tracing::info!(socket = %door.path().display(), "status socket open");
            let serving = serve(Local(door), subject, Offer::Everything, scope.clone());
            scope.spawn("status", serving);
        }
        Ok(admin)
    }

    /// Where metrics and health are, if they are.
    pub(crate) fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }
}

fn local(socket: &StatusSocket, role: &str) -> Result<Option<UnixDoor>, AdminError> {
    match socket {
        StatusSocket::Off => Ok(None),
        StatusSocket::At(path) => UnixDoor::private(path)
            .map(Some)
            .map_err(|source| AdminError::Socket { path: path.clone(), source }),
        StatusSocket::Usual => match socket::usual(role) {
            Ok(door) => Ok(Some(door)),
            Err(error) => {
                tracing::info!(%error, "no status socket; name one with `status_socket`");
                Ok(None)
            }
        },
    }
}
