//! Loopback for users who shall stall soon.

use std::{io, net::SocketAddr, sync::Arc};

use anyproxy_transport::net::{AsyncUdpSocket, BoxFuture, Conn, Listener, Net, Role, System};
use tokio::net::TcpSocket;

use crate::lab::Site;

/// Bytes asked of the kernel for what is not read yet; it takes twice as many at most.
const RECEIVE_BUFFER: u32 = 16 * 1024;

/// The system's network with small receive buffers on connections that it makes. The kernel's own
/// choice may swallow megabytes before a writer notices that nobody reads.
#[derive(Debug)]
pub struct Narrow(System);

impl Site {
    /// Loopback with users who have little room for what they do not read.
    #[must_use]
    pub fn narrow_loopback() -> Self {
        Self { user: Arc::new(Narrow(System::default())), ..Self::loopback() }
    }
}

impl Net for Narrow {
    fn listen(&self, addr: SocketAddr) -> io::Result<Listener> {
        self.0.listen(addr)
    }

    fn connect(&self, addr: SocketAddr, _: Role) -> BoxFuture<'_, io::Result<Conn>> {
        Box::pin(async move {
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
            Ok(Conn::Tcp(socket.connect(addr).await?))
        })
    }

    fn udp(&self, addr: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        self.0.udp(addr)
    }

    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        self.0.resolve(host, port)
    }
}
