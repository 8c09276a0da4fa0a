//! UDP sockets, as quinn uses them.
//!
//! A transmit of several segments is split, as the kernel does with GSO; each segment then has its
//! own fate. Sending never blocks: a full link drops. ECN is ignored.

use std::{
    collections::VecDeque,
    fmt, io,
    io::IoSliceMut,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use anyproxy_transport::net::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use bytes::Bytes;
use tokio::time::Instant;

use super::{
    address::{covers, destination, shown},
    link::Switch,
    path::Fate,
    state::{Arrival, Inner, State},
    tap::{Carrier, Record},
};

/// Payload bytes that a socket holds for its reader.
const RECEIVE_QUEUE: usize = 1024 * 1024;

/// Segments of one send, as on Linux (`UDP_MAX_SEGMENTS`).
const SEGMENTS: usize = 64;

#[derive(Debug)]
pub(super) struct Datagram {
    from: SocketAddr,
    to: SocketAddr,
    sender: usize,
    bytes: Bytes,
    large: Large,
}

/// What becomes of a datagram over the link's MTU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Large {
    /// It is dropped, as with "don't fragment": QUIC's sockets.
    Dropped,
    /// It goes in fragments, and is lost when one of them is: sockets for proxied datagrams.
    Fragmented,
}

#[derive(Debug)]
pub(super) struct SocketState {
    pub(super) host: usize,
    pub(super) bound: SocketAddr,
    large: Large,
    queue: VecDeque<Datagram>,
    queued: usize,
    reader: Option<Waker>,
    /// ICMP came.
    refused: bool,
}

impl State {
    fn send(&mut self, socket: u64, transmit: &Transmit<'_>) {
        let Some(socket) = self.sockets.get(&socket) else { return };
        let SocketState { host, bound, large, .. } = *socket;
        let mut to = transmit.destination;
        to.set_ip(destination(to.ip()));
        let named = transmit.src_ip.map(|ip| ip.to_canonical());
        let own = |ip: &IpAddr| self.owner(*ip, host) == Some(host);
        let fixed = (!bound.ip().is_unspecified()).then(|| bound.ip().to_canonical());
        let ip = match named.or(fixed) {
            Some(ip) => Some(ip).filter(own),
            None => self.source(host, to.ip()),
        };
        let routable = |ip: &IpAddr| {
            ip.is_ipv4() == to.is_ipv4()
                && (to.is_ipv4() || bound.is_ipv6())
                && (to.ip().is_loopback() || !ip.is_loopback())
        };
        let size = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        let Some(ip) = ip.filter(routable) else {
            let lost = transmit.contents.len().div_ceil(size).max(1) as u64;
            self.path(bound.ip(), to.ip()).stats.unreachable += lost;
            return;
        };
        let from = SocketAddr::new(ip, bound.port());
        if transmit.contents.is_empty() {
            self.send_one(Datagram { from, to, sender: host, bytes: Bytes::new(), large });
        }
        for segment in transmit.contents.chunks(size) {
            let bytes = Bytes::copy_from_slice(segment);
            self.send_one(Datagram { from, to, sender: host, bytes, large });
        }
    }

    fn send_one(&mut self, datagram: Datagram) {
        let now = Instant::now();
        let Datagram { from, to, sender, large, .. } = datagram;
        let mut settings = self.settings(from.ip(), to.ip());
        if large == Large::Fragmented {
            let fragments = datagram.bytes.len().div_ceil(settings.mtu).max(1);
            settings.loss = 1.0 - (1.0 - settings.loss).powf(fragments as f64);
            settings.mtu = usize::MAX;
        }
        let path = self.path(from.ip(), to.ip());
        let bytes = &datagram.bytes;
        path.record(|| Record { at: now, carrier: Carrier::Udp, from, to, bytes: bytes.clone() });
        if path.udp_refused == Switch::On {
            if large == Large::Fragmented {
                let refusal = Arrival::Refusal { host: sender, port: from.port() };
                self.schedule(now + settings.delay * 2, refusal);
            }
            return;
        }
        let (longest, forgot) = (path.longest.udp, path.forgot);
        let began = *self.flows.entry((from.min(to), from.max(to))).or_insert(now);
        let is_old = longest.is_some_and(|age| now - began >= age);
        if is_old || forgot.is_some_and(|at| began <= at) {
            self.path(from.ip(), to.ip()).stats.black_holed += 1;
            return;
        }
        let path = self.path(from.ip(), to.ip());
        match path.datagram(now, bytes.len(), &settings) {
            Fate::Dropped => {}
            Fate::Arrives(at) => self.schedule(at, Arrival::Datagram(datagram)),
            Fate::Twice(at, again) => {
                let copy = Datagram { from, to, sender, bytes: bytes.clone(), large };
                self.schedule(at, Arrival::Datagram(datagram));
                self.schedule(again, Arrival::Datagram(copy));
            }
        }
    }

    /// Gives every socket of the host another port.
    pub(super) fn rebind_udp(&mut self, host: usize) {
        let own = |(id, socket): (&u64, &SocketState)| (socket.host == host).then_some(*id);
        let ids: Vec<u64> = self.sockets.iter().filter_map(own).collect();
        for id in ids {
            let port = self.dynamic_port(host);
            if let Some(socket) = self.sockets.get_mut(&id) {
                socket.bound.set_port(port);
            }
        }
    }

    /// Only sockets for proxied datagrams are connected, and so learn of it.
    pub(super) fn refusal_arrives(&mut self, host: usize, port: u16) {
        let connected = |socket: &&mut SocketState| {
            socket.host == host && socket.bound.port() == port && socket.large == Large::Fragmented
        };
        let Some(socket) = self.sockets.values_mut().find(connected) else { return };
        socket.refused = true;
        let reader = socket.reader.take();
        self.wake(reader);
    }

    /// The addresses count at this moment: what was sent to an address that moved away is lost.
    pub(super) fn datagram_arrives(&mut self, datagram: Datagram) {
        let to = datagram.to;
        let owner = self.owner(to.ip(), datagram.sender);
        let socket = self.sockets.values_mut().find(|socket| {
            Some(socket.host) == owner
                && socket.bound.port() == to.port()
                && covers(socket.bound.ip(), to.ip())
        });
        let (from_ip, to_ip) = (datagram.from.ip(), to.ip());
        let Some(socket) = socket else {
            self.path(from_ip, to_ip).stats.unreachable += 1;
            return;
        };
        if socket.queued + datagram.bytes.len() > RECEIVE_QUEUE {
            self.path(from_ip, to_ip).stats.overflown += 1;
            return;
        }
        socket.queued += datagram.bytes.len();
        socket.queue.push_back(datagram);
        let reader = socket.reader.take();
        self.path(from_ip, to_ip).stats.delivered += 1;
        self.wake(reader);
    }
}

impl SocketState {
    fn receive(&mut self, bufs: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> usize {
        let mut count = 0;
        for (buf, meta) in bufs.iter_mut().zip(metas) {
            let Some(datagram) = self.queue.pop_front() else { break };
            self.queued -= datagram.bytes.len();
            // A buffer that is too short truncates, as recvmsg(2) does.
            let len = datagram.bytes.len().min(buf.len());
            buf[..len].copy_from_slice(&datagram.bytes[..len]);
            let bound = self.bound.ip();
            *meta = RecvMeta {
                addr: shown(bound, datagram.from),
                len,
                stride: len,
                ecn: None,
                dst_ip: Some(shown(bound, datagram.to).ip()),
            };
            count += 1;
        }
        count
    }
}

/// A socket; it owns its port until dropped.
pub(super) struct Socket {
    inner: Arc<Inner>,
    id: u64,
}

impl Socket {
    pub(super) fn bind(
        inner: &Arc<Inner>,
        host: usize,
        addr: SocketAddr,
        large: Large,
    ) -> io::Result<Self> {
        let mut state = inner.lock();
        let taken: Vec<SocketAddr> =
            state.sockets.values().filter(|s| s.host == host).map(|s| s.bound).collect();
        let bound = state.bind(host, addr, &taken)?;
        let id = state.number();
        let socket = SocketState {
            host,
            bound,
            large,
            queue: VecDeque::new(),
            queued: 0,
            reader: None,
            refused: false,
        };
        state.sockets.insert(id, socket);
        Ok(Self { inner: inner.clone(), id })
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("bound", &self.local_addr().ok()).finish_non_exhaustive()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let gone = self.inner.lock().sockets.remove(&self.id);
        drop(gone);
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.lock().send(self.id, transmit);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.inner.lock();
        let Some(socket) = state.sockets.get_mut(&self.id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if std::mem::take(&mut socket.refused) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        if socket.queue.is_empty() {
            socket.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(socket.receive(bufs, meta)))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        let state = self.inner.lock();
        state
            .sockets
            .get(&self.id)
            .map(|socket| socket.bound)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn max_transmit_segments(&self) -> usize {
        SEGMENTS
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
