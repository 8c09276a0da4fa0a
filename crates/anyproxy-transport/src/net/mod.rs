//! Every socket of the product is made here.
//!
//! ```text
//! gateway, client ──▶ dyn Net ──▶ System   sockets of the operating system, options by socket2
//!                          └────▶ a test's own network: delay, loss, black holes, virtual time
//! ```
//!
//! The trait sits at the *making* of sockets only, so that a whole gateway and a whole client run
//! unchanged on a simulated network. The data path sees [`Conn`], an enum: its system arm costs a
//! branch, not a virtual call.

mod accepting;
mod clock;
mod conn;
mod datagrams;
mod files;
mod inherited;
mod local;
mod options;
mod system;
mod unix;

use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    pin::Pin,
    sync::Arc,
};

pub use accepting::{Accepting, is_of_one_connection};
pub use clock::OutsideTime;
pub use conn::{Conn, Listener, VirtualConn, VirtualListener};
pub use datagrams::{Datagrams, Received, is_icmp};
pub use files::{MORE_FILES, is_out_of_files};
pub use options::{Role, UdpBuffers};
pub use quinn::{AsyncUdpSocket, UdpPoller, udp};
pub use system::System;
pub use unix::{LocalStream, UnixDoor};

/// A boxed future, for the rare calls that make sockets.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Makes sockets and looks names up.
///
/// Implementations must be cheap to share; all methods may be called from any task.
pub trait Net: Send + Sync + fmt::Debug + 'static {
    /// Listens for TCP connections on `addr` (port 0: any free port).
    ///
    /// # Errors
    /// What `bind` or `listen` answered, for example [`io::ErrorKind::AddrInUse`].
    fn listen(&self, addr: SocketAddr) -> io::Result<Listener>;

    /// Listens on a Unix socket, which only its owner and group may open. A network in memory has
    /// none.
    ///
    /// # Errors
    /// What making it answered; [`io::ErrorKind::AddrInUse`] when somebody listens there already.
    fn listen_unix(&self, path: &Path) -> io::Result<UnixDoor> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Connects to `addr` with the options of `role`. Dropping the future gives the attempt up.
    ///
    /// # Errors
    /// What `connect` answered; its kind is what users are told.
    fn connect(&self, addr: SocketAddr, role: Role) -> BoxFuture<'_, io::Result<Conn>>;

    /// Makes the UDP socket that QUIC runs on.
    ///
    /// # Errors
    /// What `bind` answered.
    fn udp(&self, addr: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>>;

    /// Makes a UDP socket for proxied datagrams, bound to `local`. With a `peer`, only its datagrams are
    /// received.
    ///
    /// # Errors
    /// What `bind` or `connect` answered, for example [`io::ErrorKind::AddrInUse`].
    ///
    /// What a simulated network need not implement: its sockets do for this what they do for QUIC.
    fn datagrams(&self, local: SocketAddr, peer: Option<SocketAddr>) -> io::Result<Datagrams> {
        Ok(Datagrams::simulated(self.udp(local)?, peer))
    }

    /// Looks `host` up and returns every address found, with `port`. IP literals are not looked up.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when the name does not exist; anything else is a failure of the
    /// look-up itself.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;

    /// The address that packets to `peer` would leave from now; `None` where no route leads there, or where that is
    /// not known. Sends nothing.
    fn source(&self, peer: SocketAddr) -> Option<IpAddr> {
        let _ = peer;
        None
    }

    /// A clock that goes on while the machine sleeps, if there is one.
    fn outside_time(&self) -> Option<OutsideTime> {
        None
    }
}
