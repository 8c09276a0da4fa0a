//! Loopback for users who shall stall soon.

use std::{io, net::SocketAddr, sync::Arc};

use anyproxy_transport::net::{AsyncUdpSocket, BoxFuture, Conn, Listener, Net, Role, System};
use tokio::net::TcpSocket;

use crate::lab::Site;

/// Bytes asked of the kernel for what is not read yet; it takes twice as many at most.
const RECEIVE_BUFFER: u32 = 16 * 1024;
/// The same for what is not sent yet.
const SEND_BUFFER: u32 = 64 * 1024;

/// The system's network with small receive buffers on connections that it makes, and small send
/// buffers on those that it accepts. The kernel's own choice may swallow megabytes of each
/// connection before a writer notices that nobody reads, and the kernel cuts connections when all of
/// them hold too much.
#[derive(Debug)]
pub struct Narrow(System);

impl Site {
    /// Loopback with users who have little room for what they do not read, and a gateway and targets
    /// with little room for what they have not sent.
    #[must_use]
    pub fn narrow_loopback() -> Self {
        let narrow: Arc<dyn Net> = Arc::new(Narrow(System::default()));
        Self { gateway: narrow.clone(), user: narrow.clone(), target: narrow, ..Self::loopback() }
    }
}

impl Net for Narrow {
    fn listen(&self, addr: SocketAddr) -> io::Result<Listener> {
        let socket = TcpSocket::new_v4()?;
        // Accepted connections inherit it.
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(addr)?;
        socket.listen(1024).map(Listener::Tcp)
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
