//! TLS between proxy users and the gateway.
//!
//! A user's connection stays a [`Conn`] behind TLS, so that relays, half-closes and resets work on
//! it as on any other:
//!
//! - shutting down sends `close_notify` and then FIN; reading goes on (RFC 8446, 6.1);
//! - [`Conn::abort`] resets the TCP connection, with nothing said in TLS;
//! - a FIN without `close_notify` is an **error**, not an end of file. Anybody on the path can
//!   forge a FIN, and some programs close their socket just so when they are killed: whoever took
//!   that for an end would pass a cut-off upload on as a complete one. What came before it is
//!   passed on all the same. An HTTP user who is between two requests loses nothing by it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;

use super::{ALPN_HTTP2, Identity, IdentityError, Shown};
use crate::net::Conn;

/// What proxy users find behind TLS.
#[derive(Clone)]
pub struct ProxyTls {
    acceptor: TlsAcceptor,
    shown: Arc<Shown>,
}

impl std::fmt::Debug for ProxyTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProxyTls")
    }
}

/// The protocol that a TLS handshake has settled on (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/1.1, or nothing was said.
    Http1,
    /// HTTP/2.
    Http2,
}

impl ProxyTls {
    /// TLS 1.2 and 1.3 with the certificate of `identity`, for HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// [`IdentityError::Mismatch`] when the certificate cannot serve.
    pub fn new(identity: &Identity) -> Result<Self, IdentityError> {
        let shown = Shown::new(identity);
        Ok(Self { acceptor: TlsAcceptor::from(shown.proxy()?), shown })
    }

    /// Shows new users another certificate from now on, in all clones. Connections that are up go on.
    pub fn set_identity(&self, identity: &Identity) {
        self.shown.set(identity);
    }

    /// Shakes hands as the server; `early` was read from `conn` already. Has no limit of its own:
    /// bound it. Dropping the future closes the connection.
    ///
    /// # Errors
    /// What went wrong, in words of TLS. The user was sent an alert, if it could be.
    pub async fn accept(&self, conn: Conn, early: BytesMut) -> io::Result<(Conn, Alpn)> {
        let tls = self.acceptor.accept(Prefixed { early, conn }).await?;
        let alpn = match tls.get_ref().1.alpn_protocol() {
            Some(name) if name == ALPN_HTTP2 => Alpn::Http2,
            _ => Alpn::Http1,
        };
        Ok((Conn::Tls(Box::new(tls)), alpn))
    }
}

/// A connection from which bytes were read already: they come first.
#[derive(Debug)]
pub struct Prefixed {
    early: BytesMut,
    conn: Conn,
}

impl Prefixed {
    /// The connection below.
    pub(crate) fn get_ref(&self) -> &Conn {
        &self.conn
    }

    /// The connection below, without what was read early.
    pub(crate) fn into_inner(self) -> Conn {
        self.conn
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.conn).poll_read(cx, buf);
        }
        let some = self.early.len().min(buf.remaining());
        buf.put_slice(&self.early.split_to(some));
        if self.early.is_empty() {
            // An emptied buffer would keep its memory.
            self.early = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.conn).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.conn).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.conn.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_shutdown(cx)
    }
}
