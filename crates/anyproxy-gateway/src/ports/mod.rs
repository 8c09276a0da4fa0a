//! Forwarded ports.
//!
//! ```text
//! ForwardRequest ─ allowed? ─ bound by this group already? ─┬─ yes: one more holder
//!                                                           └─ no:  bind, accept loop
//! user ─▶ port ─▶ least loaded holder ─▶ Open(forward) ─▶ relay, while the answer is still to come
//! ```
//!
//! A port belongs to a group as long as one of its sessions holds it. A client that reconnects
//! therefore finds its port open, and replicas share it.
//!
//! TCP and UDP ports of the same number have nothing to do with each other.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod figures;
mod opening;
mod own;
mod reply;
mod rules;
mod tcp;
mod udp;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::{Opening, Stream, net::Net};
use anyproxy_wire::{
    codes::ForwardCode,
    message::{ForwardReply, ForwardRequest, Protocol, Target},
};

pub use figures::PortFigures;
use opening::Bearer;
pub(crate) use own::Own;
pub use reply::listen_address;
use reply::{reply, unbound};
use rules::Rules;

use crate::{
    config::GroupConfig,
    flows::Flows,
    ingress::{Acceptor, Unserved, serve},
    registry::{Candidate as _, Health, Session, least_loaded},
};

/// How long a listener may take to close.
const CLOSING: Duration = Duration::from_secs(1);

/// All forwarded ports of a gateway.
pub(crate) struct Ports {
    net: Arc<dyn Net>,
    rules: RwLock<Rules>,
    own: Own,
    /// How many there may be.
    max_ports: usize,
    bound: Mutex<HashMap<Key, Arc<Port>>>,
    /// Ports that were told to end and may still own their socket.
    closing: Mutex<HashMap<Key, Scope>>,
    scope: Scope,
    acceptor: Acceptor,
    flows: Arc<Flows>,
    proxy_timeout: Duration,
}

type Key = (Protocol, SocketAddr);

struct Port {
    group: Arc<str>,
    protocol: Protocol,
    addr: SocketAddr,
    /// What was asked for; port 0 stands for any.
    asked: SocketAddr,
    holders: Mutex<Vec<Holder>>,
    turn: AtomicUsize,
    /// Ends the accept loop, or the socket's task and its flows, when the last holder is gone.
    accepting: Scope,
}

struct Holder {
    session: Arc<Session>,
    forward: u64,
}

/// A session's hold on a port; dropping it lets go.
pub(crate) struct Hold {
    ports: Arc<Ports>,
    port: Arc<Port>,
    session: u64,
    forward: u64,
}

impl Ports {
    pub(crate) fn new(
        groups: &[GroupConfig],
        (own, max_ports): (Own, usize),
        acceptor: Acceptor,
        flows: Arc<Flows>,
    ) -> Arc<Self> {
        Arc::new(Self {
            net: Arc::clone(&flows.net),
            rules: RwLock::new(rules::of(groups)),
            own,
            max_ports,
            bound: Mutex::default(),
            closing: Mutex::default(),
            scope: flows.scope.clone(),
            acceptor,
            proxy_timeout: flows.open_within,
            flows,
        })
    }

    /// Takes note of another port of the gateway's own.
    pub(crate) fn keep(&self, port: (Protocol, SocketAddr), what: &'static str) {
        self.own.add(port, what);
    }

    /// Answers a request; with a [`Hold`] when the port is the session's.
    pub(crate) async fn request(
        self: &Arc<Self>,
        session: &Arc<Session>,
        request: &ForwardRequest,
    ) -> (ForwardReply, Option<Hold>) {
        self.closed(request).await;
        match self.hold(session, request) {
            Ok(hold) => {
                let bound = Some(hold.port.addr);
                let reply = reply(request, ForwardCode::Bound, bound, String::new());
                (reply, Some(hold))
            }
            Err((code, detail)) => (reply(request, code, None, detail), None),
        }
    }

    fn hold(
        self: &Arc<Self>,
        session: &Arc<Session>,
        request: &ForwardRequest,
    ) -> Result<Hold, (ForwardCode, String)> {
        let addr = listen_address(&request.listen).ok_or_else(|| {
            let detail = format!("{:?} is not ip:port", request.listen);
            (ForwardCode::InvalidAddress, detail)
        })?;
        if let Some(what) = self.own.at(request.protocol, addr) {
            let detail =
                format!("port {} is the gateway's own, for {what}; choose another", addr.port());
            return Err((ForwardCode::NotAllowed, detail));
        }
        // Held until the port is bound: rules that change meanwhile find it.
        let rules = self.rules();
        let allows = |addr| rules::allow(&rules, &session.group, addr);
        let mut bound = self.bound();
        // Who may have a port of the gateway's choice may share the one that it chose.
        let shares =
            bound.get(&(request.protocol, addr)).is_some_and(|port| port.group == session.group)
                && allows(SocketAddr::new(addr.ip(), 0));
        if !allows(addr) && !shares {
            let detail = format!(
                "group {0:?} may not listen on {addr}; on the gateway, add the port to `forwards` of \
                 the group in the configuration file, or with `anyproxy group set {0} --forwards \
                 PORTS` if it is a stored one",
                session.group
            );
            return Err((ForwardCode::NotAllowed, detail));
        }
        let port = match bound.get(&(request.protocol, addr)) {
            Some(port) if port.group == session.group => Arc::clone(port),
            Some(_) => {
                let detail = format!("{addr} is held by another group");
                return Err((ForwardCode::HeldByOther, detail));
            }
            None if bound.len() >= self.max_ports => {
                let detail =
                    format!("the gateway has all the {} ports it may have", self.max_ports);
                return Err((ForwardCode::Limit, detail));
            }
            None => {
                let port = self
                    .bind(&session.group, (request.protocol, addr))
                    .map_err(|error| (ForwardCode::System, unbound(addr, &error)))?;
                bound.insert(port.key(), Arc::clone(&port));
                port
            }
        };
        port.holders().push(Holder { session: Arc::clone(session), forward: request.id });
        drop(bound);
        let (session, forward) = (session.number, request.id);
        Ok(Hold { ports: Arc::clone(self), port, session, forward })
    }

    /// Waits until a port that was given up a moment ago is free again. Its tasks only have to be
    /// dropped.
    async fn closed(&self, request: &ForwardRequest) {
        let Some(addr) = listen_address(&request.listen) else { return };
        let closing = self.closing().remove(&(request.protocol, addr));
        if let Some(scope) = closing {
            let _ = Deadline::after(CLOSING).bound(scope.finished()).await;
        }
    }

    fn bind(&self, group: &Arc<str>, (protocol, addr): Key) -> io::Result<Arc<Port>> {
        self.flows.told(match protocol {
            Protocol::Tcp => self.bind_tcp(group, addr),
            Protocol::Udp => self.bind_udp(group, addr),
        })
    }

    fn bind_tcp(&self, group: &Arc<str>, addr: SocketAddr) -> io::Result<Arc<Port>> {
        let listener = self.net.listen(addr)?;
        let port = self.port(group, (Protocol::Tcp, listener.local_addr()?), addr)?;
        let (target, timeout) = (Arc::clone(&port), self.proxy_timeout);
        let opens = Arc::clone(&self.acceptor.tally.opens);
        let handler = move |conn, peer| {
            let bounds = (timeout, Arc::clone(&opens));
            tcp::relay(Arc::clone(&target), Unserved::new(conn), peer, bounds)
        };
        // Users live in the gateway's scope, not in the port's: they stay when the port closes.
        let accepted = serve(listener, self.scope.clone(), self.acceptor.clone(), handler);
        port.accepting.spawn("forwarded port", accepted);
        Ok(port)
    }

    fn bind_udp(&self, group: &Arc<str>, addr: SocketAddr) -> io::Result<Arc<Port>> {
        let socket = Arc::new(self.net.datagrams(addr, None)?);
        let port = self.port(group, (Protocol::Udp, socket.local_addr()?), addr)?;
        let serving = udp::serve(Arc::clone(&port), socket, Arc::clone(&self.flows));
        port.accepting.spawn("forwarded port", serving);
        Ok(port)
    }

    fn port(
        &self,
        group: &Arc<str>,
        (protocol, addr): Key,
        asked: SocketAddr,
    ) -> io::Result<Arc<Port>> {
        if let Some(what) = self.own.at(protocol, addr) {
            // The system chose it, at another address than the gateway has.
            let detail = format!("port {} is the gateway's own, for {what}", addr.port());
            return Err(io::Error::new(io::ErrorKind::AddrInUse, detail));
        }
        tracing::info!(%addr, %protocol, %group, "forwarded port open");
        Ok(Arc::new(Port {
            group: Arc::clone(group),
            protocol,
            addr,
            asked,
            holders: Mutex::default(),
            turn: AtomicUsize::new(0),
            accepting: self.scope.child("port"),
        }))
    }

    fn closing(&self) -> MutexGuard<'_, HashMap<Key, Scope>> {
        self.closing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bound(&self) -> MutexGuard<'_, HashMap<Key, Arc<Port>>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Port {
    fn key(&self) -> Key {
        (self.protocol, self.addr)
    }

    fn holders(&self) -> MutexGuard<'_, Vec<Holder>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens at one holder after the other, until a stream is under way. No byte has left before.
    /// Tunnels in `tried` are left out; those that are asked join them.
    async fn open(&self, mut opening: Opening, tried: &mut Vec<u64>) -> Option<(Stream, Bearer)> {
        while let Some((session, forward)) = self.pick(tried) {
            // Else its tunnel was lost just now, and it is not picked again.
            let Some(used) = session.enter(tried) else { continue };
            let lane = Arc::clone(used.lane());
            tried.push(lane.number);
            opening.target = Target::Forward(forward);
            match session.open_in_lane(&opening, used).await {
                Ok(stream) => return Some((stream, Bearer { session, lane })),
                Err(error) => {
                    tracing::debug!(session = session.number, %error, "forward not opened")
                }
            }
        }
        None
    }

    /// Whether there is a holder besides the session of this number that is not in `tried`. Another tunnel of that
    /// one is not worth a round trip of waiting.
    fn has_others(&self, number: u64, tried: &[u64]) -> bool {
        let other = |session: &Session| session.number != number && !session.is_tried(tried);
        self.holders().iter().any(|holder| other(&holder.session))
    }

    /// Whether a holder other than the session of this number seems to be well.
    fn has_good_others(&self, number: u64) -> bool {
        let good = |session: &Session| session.health() == Health::Good;
        self.holders().iter().any(|it| it.session.number != number && good(&it.session))
    }

    /// Whether no holder opens any more flows.
    fn is_full_of_flows(&self) -> bool {
        let holders = self.holders();
        !holders.is_empty() && holders.iter().all(|holder| holder.session.is_full_of_flows())
    }

    fn pick(&self, tried: &[u64]) -> Option<(Arc<Session>, u64)> {
        let holders = self.holders();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let holder = least_loaded(&holders, |holder| &*holder.session, turn, tried)?;
        Some((Arc::clone(&holder.session), holder.forward))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut bound = self.ports.bound();
        let mut holders = self.port.holders();
        holders.retain(|holder| {
            (holder.session.number, holder.forward) != (self.session, self.forward)
        });
        if holders.is_empty() {
            self.ports.close(&mut bound, &self.port);
        }
    }
}
