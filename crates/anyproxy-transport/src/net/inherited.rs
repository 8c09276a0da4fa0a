//! Sockets that another process bound for this one.
//!
//! A service manager that holds the listening sockets (systemd's socket activation) lets connections wait in the
//! kernel's queue while a gateway restarts: none is refused. Sockets are told apart by their addresses alone, so that
//! what is configured is what is listened at. Each is given out once: whoever closes it cannot have it again, because the
//! other process still holds the port.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Sockets that wait to be asked for.
#[derive(Debug, Default)]
pub(super) struct Inherited(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    listeners: Vec<(SocketAddr, TcpListener)>,
    sockets: Vec<(SocketAddr, UdpSocket)>,
}

impl Inherited {
    /// # Errors
    /// When a socket has no address of the internet.
    pub(super) fn new(listeners: Vec<TcpListener>, sockets: Vec<UdpSocket>) -> io::Result<Self> {
        let listeners = listeners.into_iter().map(|it| Ok((it.local_addr()?, it)));
        let sockets = sockets.into_iter().map(|it| Ok((it.local_addr()?, it)));
        Ok(Self(Mutex::new(Waiting {
            listeners: listeners.collect::<io::Result<_>>()?,
            sockets: sockets.collect::<io::Result<_>>()?,
        })))
    }

    /// The listener at `addr`, if there is one. It can be had once.
    pub(super) fn listener(&self, addr: SocketAddr) -> Option<TcpListener> {
        take(&mut self.waiting().listeners, addr)
    }

    /// The UDP socket at `addr`, if there is one. It can be had once.
    pub(super) fn socket(&self, addr: SocketAddr) -> Option<UdpSocket> {
        take(&mut self.waiting().sockets, addr)
    }

    /// What nobody has asked for, as `address/protocol`.
    pub(super) fn unused(&self) -> Vec<String> {
        let waiting = self.waiting();
        let listeners = waiting.listeners.iter().map(|(addr, _)| format!("{addr}/tcp"));
        listeners.chain(waiting.sockets.iter().map(|(addr, _)| format!("{addr}/udp"))).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take<T>(waiting: &mut Vec<(SocketAddr, T)>, addr: SocketAddr) -> Option<T> {
    let index = waiting.iter().position(|(at, _)| *at == addr)?;
    Some(waiting.swap_remove(index).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Net as _, Role, System};

    fn bound() -> (TcpListener, UdpSocket) {
        (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap())
    }

    #[tokio::test]
    async fn an_address_that_is_held_is_listened_at_and_its_queue_is_kept() {
        let (listener, socket) = bound();
        let (tcp, udp) = (listener.local_addr().unwrap(), socket.local_addr().unwrap());
        // Somebody connects before this process looks.
        let early = std::net::TcpStream::connect(tcp).unwrap();
        let system = System::with_inherited(vec![listener], vec![socket]).unwrap();
        assert_eq!(system.unused_sockets(), [format!("{tcp}/tcp"), format!("{udp}/udp")]);
        let listener = system.listen(tcp).unwrap();
        let (_conn, peer) = listener.accept(Role::Proxied).await.unwrap();
        assert_eq!(peer, early.local_addr().unwrap());
        let socket = system.udp(udp).unwrap();
        assert_eq!(socket.local_addr().unwrap(), udp);
        assert!(system.unused_sockets().is_empty());
        let again = system.listen(tcp).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse, "each can be had once");
    }

    #[tokio::test]
    async fn other_addresses_are_bound_as_ever() {
        let (listener, socket) = bound();
        let held = listener.local_addr().unwrap();
        let system = System::with_inherited(vec![listener], vec![socket]).unwrap();
        let other = system.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(other.local_addr().unwrap(), held);
        assert_eq!(system.unused_sockets().len(), 2);
    }
}
