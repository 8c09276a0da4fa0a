//! What may carry a WebSocket: TLS, or a Unix socket.
//!
//! There is no arm for TCP without TLS, so no listener and no dialler can come to use it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use super::heard::Heard;
use crate::net::{Conn, LocalStream};

/// A connection that nobody on the network can read.
#[derive(Debug)]
pub(crate) enum Wire {
    /// TLS over TCP.
    Tls(Box<TlsStream<Heard<Conn>>>),
    /// From a reverse proxy on this machine.
    Local(Heard<LocalStream>),
}

impl<S: Into<TlsStream<Heard<Conn>>>> From<S> for Wire {
    fn from(tls: S) -> Self {
        Self::Tls(Box::new(tls.into()))
    }
}

impl Wire {
    /// Bytes that have come, TLS and all: on a slow link a record takes seconds, and each part of it shows that the
    /// peer lives.
    pub(crate) fn heard(&self) -> u64 {
        match self {
            Self::Tls(tls) => tls.get_ref().0.bytes(),
            Self::Local(local) => local.bytes(),
        }
    }

    /// Bytes that have left, TLS and all.
    pub(crate) fn sent(&self) -> u64 {
        match self {
            Self::Tls(tls) => tls.get_ref().0.sent(),
            Self::Local(local) => local.sent(),
        }
    }

    /// The version of TLS, as people write it; `None` on a Unix socket.
    pub(crate) fn tls(&self) -> Option<&'static str> {
        let Self::Tls(tls) = self else { return None };
        let version = tls.get_ref().1.protocol_version()?;
        let names = [
            (rustls::ProtocolVersion::TLSv1_3, "TLS 1.3"),
            (rustls::ProtocolVersion::TLSv1_2, "TLS 1.2"),
        ];
        names.into_iter().find_map(|(one, name)| (one == version).then_some(name))
    }

    /// What the client has shown in TLS. Before version 1.3 anybody on the way could read it, and a session
    /// could be tied to another (RFC 7627).
    pub(crate) fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        let Self::Tls(tls) = self else { return None };
        let tls = tls.get_ref().1;
        let new = tls.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
        tls.peer_certificates().filter(|_| new)
    }

    /// 32 bytes that only the two ends of this TLS session know.
    pub(crate) fn exporter(&self, label: &[u8]) -> Option<[u8; 32]> {
        let Self::Tls(tls) = self else { return None };
        let exported = match &**tls {
            TlsStream::Client(tls) => {
                tls.get_ref().1.export_keying_material([0; 32], label, Some(&[]))
            }
            TlsStream::Server(tls) => {
                tls.get_ref().1.export_keying_material([0; 32], label, Some(&[]))
            }
        };
        exported.ok()
    }

    /// How long sent bytes may stay unacknowledged. A reverse proxy on this machine has its own rules.
    pub(crate) fn set_user_timeout(&self, timeout: Duration) {
        match self {
            Self::Tls(tls) => tls.get_ref().0.get_ref().set_user_timeout(timeout),
            Self::Local(_) => {}
        }
    }

    /// Closes with RST, and drops what is not sent.
    pub(crate) fn abort(self) {
        match self {
            Self::Tls(tls) => match *tls {
                TlsStream::Client(tls) => tls.into_inner().0.into_inner().abort(),
                TlsStream::Server(tls) => tls.into_inner().0.into_inner().abort(),
            },
            Self::Local(_) => {}
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
            Self::Local(local) => Pin::new(local).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
            Self::Local(local) => Pin::new(local).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bytes),
            Self::Local(local) => Pin::new(local).poll_write_vectored(cx, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tls(tls) => tls.is_write_vectored(),
            Self::Local(local) => local.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
            Self::Local(local) => Pin::new(local).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Self::Local(local) => Pin::new(local).poll_shutdown(cx),
        }
    }
}
