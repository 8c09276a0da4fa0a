//! Hosts: what a program runs on.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyproxy_transport::net::{
    AsyncUdpSocket, BoxFuture, Conn, Datagrams, Listener, Net, OutsideTime, Role,
};

use super::{
    address::Name,
    state::Inner,
    tcp::{self, Accepting, Vanished},
    udp::{Large, Socket},
};

/// A host of a [`World`](super::World), with its addresses and ports.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
    index: usize,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Host").field(&self.inner.lock().hosts[self.index].name).finish()
    }
}

impl Host {
    pub(super) fn new(inner: Arc<Inner>, index: usize) -> Self {
        Self { inner, index }
    }

    /// The host's sockets and resolver, for a program that runs on it.
    #[must_use]
    pub fn net(&self) -> Arc<dyn Net> {
        Arc::new(HostNet(self.clone()))
    }

    /// The host's first address, or the one that it moved to from there.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        let state = self.inner.lock();
        state.hosts[self.index].ips[0]
    }

    /// Gives the host one more address.
    ///
    /// # Panics
    /// When a host has it already.
    pub fn add_ip(&self, ip: IpAddr) {
        self.inner.lock().add_ip(self.index, ip);
    }

    /// Moves the host to another address of the same family, as when a laptop changes networks.
    ///
    /// Datagrams of existing sockets leave from it, and what arrives at the old address is lost,
    /// packets under way included. TCP connections of the old address stall, for they consist of
    /// it; they go on if the host moves back. Links of the new address have their own settings.
    ///
    /// # Panics
    /// When another host has it.
    pub fn set_ip(&self, ip: IpAddr) {
        self.inner.lock().set_ip(self.index, ip);
    }

    /// Gives the host other ports towards the world, as a NAT does that forgot it (RFC 4787, 4.3): datagrams leave from new
    /// ports, and what arrives at the former ones is lost. A TCP connection that was there is dead:
    /// what the host sends on it is answered with RST, and what is sent to the host is lost.
    pub fn rebind(&self) {
        self.inner.lock().rebind_udp(self.index);
        self.rebind_tcp();
    }

    /// Only TCP: those at the other ends have forgotten it.
    pub fn rebind_tcp(&self) {
        self.inner.lock().vanish_tcp(self.index, Vanished::FarEnd);
    }

    /// Makes the host forget its TCP connections without a word, as when its power was cut and is back: what it sends on
    /// them is lost, and what is sent to it is answered with RST.
    pub fn lose_tcp(&self) {
        self.inner.lock().vanish_tcp(self.index, Vanished::ThisEnd);
    }

    /// Makes the host have slept for `time`, of which the runtime's clock counts nothing. The rest of the world
    /// does not live through that time.
    pub fn sleep(&self, time: Duration) {
        self.inner.lock().hosts[self.index].slept += time;
    }

    /// What only this host's resolver knows, such as a private name. Goes before
    /// [`World::name`](super::World::name).
    pub fn name(&self, name: &str, addrs: &[IpAddr]) {
        let answer = Name::Addresses(addrs.to_vec());
        self.inner.lock().names.insert((Some(self.index), normal(name)), answer);
    }

    /// Every name that was looked up here, in order; address literals are not.
    #[must_use]
    pub fn lookups(&self) -> Vec<String> {
        self.inner.lock().hosts[self.index].lookups.clone()
    }
}

/// Case and the root's dot make no difference to a name (RFC 4343).
pub(super) fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

struct HostNet(Host);

impl fmt::Debug for HostNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl HostNet {
    async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![ip]);
        }
        let name = normal(host);
        let (answer, delay) = {
            let mut state = self.0.inner.lock();
            state.hosts[self.0.index].lookups.push(name.clone());
            let private = state.names.get(&(Some(self.0.index), name.clone()));
            let answer = private.or_else(|| state.names.get(&(None, name.clone()))).cloned();
            (answer, state.lookup_delay)
        };
        if answer.is_none() && name == "localhost" {
            return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
        }
        tokio::time::sleep(delay).await;
        match answer {
            Some(Name::Addresses(found)) => Ok(found),
            Some(Name::Failure(kind)) => Err(kind.into()),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
        }
    }
}

impl Net for HostNet {
    fn listen(&self, addr: SocketAddr) -> io::Result<Listener> {
        let listener = Accepting::bind(&self.0.inner, self.0.index, addr)?;
        Ok(Listener::Virtual(Box::new(listener)))
    }

    fn connect(&self, addr: SocketAddr, _: Role) -> BoxFuture<'_, io::Result<Conn>> {
        Box::pin(tcp::connect(self.0.inner.clone(), self.0.index, addr))
    }

    fn udp(&self, addr: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(Socket::bind(&self.0.inner, self.0.index, addr, Large::Dropped)?))
    }

    fn datagrams(&self, local: SocketAddr, peer: Option<SocketAddr>) -> io::Result<Datagrams> {
        let socket = Socket::bind(&self.0.inner, self.0.index, local, Large::Fragmented)?;
        Ok(Datagrams::simulated(Arc::new(socket), peer))
    }

    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            let found = self.look_up(host).await?;
            Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
        })
    }

    fn source(&self, peer: SocketAddr) -> Option<IpAddr> {
        self.0.inner.lock().source(self.0.index, peer.ip())
    }

    fn outside_time(&self) -> Option<OutsideTime> {
        let state = self.0.inner.lock();
        let awake = state.born.elapsed();
        Some(OutsideTime::Boot(awake + state.hosts[self.0.index].slept))
    }
}
