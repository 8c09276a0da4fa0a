//! A UDP association (RFC 1928 section 7).
//!
//! ```text
//! user ── TCP: lives as long as the association ──────────────▶ gateway
//! user ── UDP: header, payload ─▶ flow of the target ─ Route::open ─▶ client ─▶ target
//! user ◀─ UDP: header, payload ───────────────────────────────────── any number of replies
//! ```
//!
//! Datagrams count only from the address that the TCP connection comes from, and from one port of
//! it: the one that the request announced, or else the first from which something usable came.
//! Nothing but silence answers others, and replies go nowhere else.
//!
//! A user who is removed, or has another password, opens no flow any more: the association ends.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::{
    Flow, Opening,
    net::{Conn, Datagrams, Received},
};
use anyproxy_wire::message::{Ingress as Entrance, Protocol, Target};
use bytes::Bytes;
use tokio::{io::AsyncReadExt as _, sync::OwnedSemaphorePermit};

use super::datagram::{self, Head, Unusable};
use crate::{
    figures::Reason,
    flows::{Bounds, READ_PAUSE, Table, Unopened, UserSide},
    ingress::{Authenticate, Ends, Ingress, OpenFailure, OpenRequest, Outcome, Route, User},
};

/// Targets of one association; the one that was silent longest gives way.
const BOUNDS: Bounds = Bounds { flows: 256, gives_way: Duration::ZERO };

/// One user's association. Dropping it ends its flows.
pub(super) struct Association<R, A> {
    ingress: Arc<Ingress<R, A>>,
    user: User,
    socket: Arc<Datagrams>,
    /// Where the user sends to.
    bound: SocketAddr,
    peer: Peer,
    table: Arc<Table<String>>,
    flows: FlowScope,
    /// For the socket, which is one more descriptor of this user.
    _permit: OwnedSemaphorePermit,
}

/// Who may use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Peer {
    ip: IpAddr,
    /// 0: whoever comes first.
    port: u16,
}

/// The association's flows, which end with it.
struct FlowScope(Scope);

impl Drop for FlowScope {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl<R: Route, A: Authenticate> Association<R, A> {
    /// Binds a socket where the user reached the gateway. `port` is where the user will send from; 0
    /// if that is not known.
    ///
    /// # Errors
    /// What the system answered, or that there are as many connections as there may be.
    pub(super) fn bind(
        ingress: Arc<Ingress<R, A>>,
        user: User,
        ends: Ends,
        port: u16,
    ) -> io::Result<(Self, SocketAddr)> {
        let permit = Arc::clone(&ingress.permits)
            .try_acquire_owned()
            .map_err(|_| io::Error::other("all connections are in use (max_users)"))?;
        let local = any_port(ends.local.ok_or(io::ErrorKind::NotConnected)?);
        let socket = ingress.flows.told(ingress.flows.net.datagrams(local, None))?;
        let bound = socket.local_addr()?;
        let scope = ingress.flows.scope.child("association");
        let association = Self {
            table: Table::new(Arc::clone(&ingress.flows), scope.clone(), BOUNDS),
            flows: FlowScope(scope),
            _permit: permit,
            peer: Peer { ip: ends.peer.ip().to_canonical(), port },
            ingress,
            user,
            socket: Arc::new(socket),
            bound,
        };
        Ok((association, bound))
    }

    /// Serves datagrams until `conn` ends. In a drain no more are taken, and it ends when the answers
    /// to earlier ones are through.
    pub(super) async fn run(mut self, mut conn: Conn) {
        let scope = self.flows.0.clone();
        let mut ignored = [0; 512];
        let flows = Arc::clone(&self.ingress.flows);
        let mut over = pin!(scope.finished());
        loop {
            tokio::select! {
                read = conn.read(&mut ignored) => match read {
                    // What comes here means nothing, only that the user is still there.
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return,
                },
                () = over.as_mut() => return,
                received = self.socket.recv_through(&flows.buffer), if !scope.is_draining() => match received {
                    Ok((datagram, Received { from, .. })) => self.received(from, &datagram),
                    Err(_) => tokio::time::sleep(READ_PAUSE).await,
                },
            }
        }
    }

    fn received(&mut self, from: SocketAddr, bytes: &Bytes) {
        let counters = &self.ingress.flows.counters;
        counters.came();
        if !self.peer.allows(from) {
            return counters.dropped(Reason::WrongPeer, 1);
        }
        let (head, payload) = match datagram::parse(bytes) {
            Ok(parts) => parts,
            Err(Unusable::Fragment) => return counters.dropped(Reason::Fragment, 1),
            Err(Unusable::Malformed) => return counters.dropped(Reason::Malformed, 1),
        };
        self.peer.port = from.port();
        let key = head.target.to_string();
        self.table.deliver(&key, &payload, || false, || self.to_target(head, from));
    }

    fn to_target(&self, head: Head, from: SocketAddr) -> ToTarget<R, A> {
        let opening = Opening {
            ingress: Entrance::Socks5,
            target: Target::Name(head.target.to_string()),
            source: Some(from),
            destination: Some(self.bound),
            user: self.user.name.to_string(),
            protocol: Protocol::Udp,
        };
        ToTarget {
            ingress: Arc::clone(&self.ingress),
            by: self.user.clone(),
            association: self.flows.0.clone(),
            request: OpenRequest { group: Arc::clone(&self.user.group), opening },
            socket: Arc::clone(&self.socket),
            user: from,
            header: Bytes::new(),
            head,
        }
    }
}

/// The same address, with the scope of a link-local one.
fn any_port(mut addr: SocketAddr) -> SocketAddr {
    addr.set_port(0);
    match addr.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), 0),
        IpAddr::V6(_) => addr,
    }
}

impl Peer {
    fn allows(&self, from: SocketAddr) -> bool {
        from.ip() == self.ip && [0, from.port()].contains(&self.port)
    }
}

/// The flow to one target.
struct ToTarget<R, A> {
    ingress: Arc<Ingress<R, A>>,
    by: User,
    association: Scope,
    request: OpenRequest,
    socket: Arc<Datagrams>,
    user: SocketAddr,
    head: Head,
    /// In front of every reply.
    header: Bytes,
}

impl<R: Route, A: Authenticate> UserSide for ToTarget<R, A> {
    async fn open(&mut self, deadline: Deadline) -> Result<Flow, Unopened> {
        if !self.ingress.credentials.is_still_valid(&self.by) {
            tracing::info!(user = %self.by.name, peer = %self.user, "an association ends: its user is gone");
            self.association.cancel();
            return Err(Unopened("the user is gone".into()));
        }
        match self.ingress.route.open(&self.request, deadline).await {
            Ok(opened) => {
                self.header = self.head.reply(opened.address);
                Ok(Flow::new(opened.stream))
            }
            Err(failure) => Err(self.unopened(&failure)),
        }
    }

    fn reply(&self, payload: &[u8]) -> io::Result<()> {
        let reply = [&self.header, payload].concat();
        self.socket.try_send(&reply, self.user, None)
    }
}

impl<R, A> ToTarget<R, A> {
    fn unopened(&self, failure: &OpenFailure) -> Unopened {
        Unopened(Outcome::of(failure, self.head.target.as_str()).text)
    }
}
