//! TCP connections and listeners, real or simulated, and a user's connection behind TLS.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

use tokio_rustls::{client, server::TlsStream};

use super::{
    BoxFuture,
    options::{self, Role},
};
use crate::{quic::Congestion, tls::Prefixed};

/// A TCP connection of a simulated network.
pub trait VirtualConn: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static {
    /// The other end's address.
    fn peer_addr(&self) -> SocketAddr;
    /// This end's address.
    fn local_addr(&self) -> SocketAddr;
    /// Sends RST instead of FIN when dropped.
    fn abort(&mut self);
}

/// A TCP listener of a simulated network.
pub trait VirtualListener: Send + Sync + 'static {
    /// Waits for the next connection. Cancel safe.
    fn accept(&self) -> BoxFuture<'_, io::Result<Box<dyn VirtualConn>>>;
    /// Where it listens.
    fn local_addr(&self) -> SocketAddr;
}

/// One TCP connection.
///
/// Shutting the write side down half-closes; dropping closes; [`Conn::abort`] resets.
pub enum Conn {
    /// A socket of the operating system.
    Tcp(TcpStream),
    /// A connection of a simulated network.
    Virtual(Box<dyn VirtualConn>),
    /// A proxy user's, behind TLS. It is shut down with `close_notify`.
    Tls(Box<TlsStream<Prefixed>>),
    /// To an HTTP proxy that is itself behind TLS.
    Proxy(Box<client::TlsStream<Conn>>),
}

impl std::fmt::Debug for Conn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conn").field("peer", &self.peer_addr().ok()).finish_non_exhaustive()
    }
}

impl Conn {
    /// The other end's address.
    ///
    /// # Errors
    /// When the connection is already gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(tcp) => tcp.peer_addr(),
            Self::Virtual(conn) => Ok(conn.peer_addr()),
            Self::Tls(tls) => tls.get_ref().0.get_ref().peer_addr(),
            Self::Proxy(tls) => tls.get_ref().0.peer_addr(),
        }
    }

    /// This end's address.
    ///
    /// # Errors
    /// When the connection is already gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(tcp) => tcp.local_addr(),
            Self::Virtual(conn) => Ok(conn.local_addr()),
            Self::Tls(tls) => tls.get_ref().0.get_ref().local_addr(),
            Self::Proxy(tls) => tls.get_ref().0.local_addr(),
        }
    }

    /// Closes with RST, so that the other end sees that the stream did not end cleanly.
    ///
    /// `SO_LINGER` of zero seconds makes `close` send RST and drop what is unsent (socket(7)).
    pub fn abort(self) {
        match self {
            Self::Tcp(tcp) => options::abort(&tcp),
            Self::Virtual(mut conn) => conn.abort(),
            Self::Tls(tls) => tls.into_inner().0.into_inner().abort(),
            Self::Proxy(tls) => tls.into_inner().0.abort(),
        }
    }

    /// Who decides how much may be in flight, as far as the system lets us choose.
    pub(crate) fn set_congestion(&self, congestion: Congestion) {
        match self {
            Self::Tcp(tcp) => options::set_congestion(tcp, congestion),
            Self::Virtual(_) => {}
            Self::Tls(tls) => tls.get_ref().0.get_ref().set_congestion(congestion),
            Self::Proxy(tls) => tls.get_ref().0.set_congestion(congestion),
        }
    }

    /// How long sent bytes may stay unacknowledged before the connection has failed.
    pub(crate) fn set_user_timeout(&self, timeout: Duration) {
        match self {
            Self::Tcp(tcp) => options::set_user_timeout(tcp, timeout),
            Self::Virtual(_) => {}
            Self::Tls(tls) => tls.get_ref().0.get_ref().set_user_timeout(timeout),
            Self::Proxy(tls) => tls.get_ref().0.set_user_timeout(timeout),
        }
    }

    /// From now on a close sends RST, above all the one that the kernel does when this process is
    /// killed: whoever is at the other end must not take what they have got for all there is. Ending
    /// the write side still sends FIN. See [`Conn::let_close`].
    pub(crate) fn hold_open(&self) {
        match self {
            Self::Tcp(tcp) => options::abort(tcp),
            Self::Virtual(_) => {}
            Self::Tls(tls) => tls.get_ref().0.get_ref().hold_open(),
            Self::Proxy(tls) => tls.get_ref().0.hold_open(),
        }
    }

    /// Undoes [`Conn::hold_open`]: a close delivers what is unsent, and then sends FIN.
    pub(crate) fn let_close(&self) {
        match self {
            Self::Tcp(tcp) => options::close_gently(tcp),
            Self::Virtual(_) => {}
            Self::Tls(tls) => tls.get_ref().0.get_ref().let_close(),
            Self::Proxy(tls) => tls.get_ref().0.let_close(),
        }
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Virtual(conn) => Pin::new(conn).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
            Self::Proxy(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Conn {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Virtual(conn) => Pin::new(conn).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
            Self::Proxy(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Virtual(conn) => Pin::new(conn).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
            Self::Proxy(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.is_write_vectored(),
            Self::Virtual(conn) => conn.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
            Self::Proxy(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Virtual(conn) => Pin::new(conn).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
            Self::Proxy(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Virtual(conn) => Pin::new(conn).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Self::Proxy(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// A TCP listener; it owns its port until dropped.
pub enum Listener {
    /// A socket of the operating system.
    Tcp(TcpListener),
    /// A listener of a simulated network.
    Virtual(Box<dyn VirtualListener>),
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("addr", &self.local_addr().ok()).finish_non_exhaustive()
    }
}

impl Listener {
    /// Waits for the next connection and gives it the options of `role`. Cancel safe.
    ///
    /// # Errors
    /// What `accept` answered. Running out of descriptors is an error of the moment, not of the
    /// listener: callers go on after a pause.
    pub async fn accept(&self, role: Role) -> io::Result<(Conn, SocketAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (tcp, peer) = listener.accept().await?;
                options::apply(&tcp, role);
                Ok((Conn::Tcp(tcp), peer))
            }
            Self::Virtual(listener) => {
                let conn = listener.accept().await?;
                let peer = conn.peer_addr();
                Ok((Conn::Virtual(conn), peer))
            }
        }
    }

    /// Where it listens, with the port that the system chose.
    ///
    /// # Errors
    /// What `getsockname` answered.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
            Self::Virtual(listener) => Ok(listener.local_addr()),
        }
    }
}
