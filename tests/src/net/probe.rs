//! Plain datagrams over a socket made for quinn.

use std::{
    future::poll_fn,
    io::{self, IoSliceMut},
    net::SocketAddr,
    sync::Arc,
    task::{Poll, ready},
};

use anyproxy_transport::net::{
    AsyncUdpSocket, Net,
    udp::{RecvMeta, Transmit},
};

/// A UDP socket for tests that send and receive by themselves.
#[derive(Debug, Clone)]
pub struct Datagrams(Arc<dyn AsyncUdpSocket>);

impl Datagrams {
    /// A socket bound to `addr`; port 0: any free port.
    ///
    /// # Errors
    /// What the bind answered.
    pub fn bind(net: &dyn Net, addr: SocketAddr) -> io::Result<Self> {
        Ok(Self(net.udp(addr)?))
    }

    /// Where it is bound.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// What the socket answered.
    pub fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        self.transmit(bytes, None, to)
    }

    /// Sends datagrams of `size` bytes each, the last one perhaps shorter, in one call (GSO).
    ///
    /// # Errors
    /// What the socket answered.
    pub fn send_segments(&self, bytes: &[u8], size: usize, to: SocketAddr) -> io::Result<()> {
        self.transmit(bytes, Some(size), to)
    }

    fn transmit(&self, bytes: &[u8], size: Option<usize>, to: SocketAddr) -> io::Result<()> {
        let transmit = Transmit {
            destination: to,
            ecn: None,
            contents: bytes,
            segment_size: size,
            src_ip: None,
        };
        self.0.try_send(&transmit)
    }

    /// Receives one datagram and its sender. Cancel safe.
    ///
    /// # Errors
    /// What the socket answered.
    pub async fn recv_from(&self) -> io::Result<(Vec<u8>, SocketAddr)> {
        let mut buf = vec![0; 65_535];
        let mut meta = [RecvMeta::default()];
        poll_fn(|cx| {
            let bufs = &mut [IoSliceMut::new(&mut buf)];
            ready!(self.0.poll_recv(cx, bufs, &mut meta))?;
            Poll::Ready(Ok::<_, io::Error>(()))
        })
        .await?;
        buf.truncate(meta[0].len);
        Ok((buf, meta[0].addr))
    }
}
