//! Users of a forwarded UDP port.
//!
//! ```text
//! datagram ─▶ flow of (peer, address it came to) ─▶ least loaded holder ─▶ Open(forward), payload
//!    peer ◀── from that same address ◀──────────────────────────────────── replies, any number
//! ```
//!
//! The first datagrams travel behind the Open, as with TCP. Replies go to the peer alone that the
//! flow belongs to, so nobody receives anything who did not ask here.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use anyproxy_runtime::Deadline;
use anyproxy_transport::{
    Flow, Opening,
    net::{Datagrams, Received},
};
use anyproxy_wire::message::{Ingress, Protocol, Target};

use super::{
    Port,
    opening::{self, Bearer},
};
use crate::{
    flows::{Bounds, Flows, READ_PAUSE, Table, Unopened, UserSide},
    registry::{Candidate as _, Health},
};

/// Silence after which a flow gives way to a new one when the port has too many. Between a question
/// and its answer there is less.
const GIVES_WAY: Duration = Duration::from_secs(10);

/// Whose flow it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Peer {
    addr: SocketAddr,
    /// The address of this host that it knows; replies leave from there.
    to: Option<IpAddr>,
}

/// Serves the users of `port` until a drain begins or it is dropped. Flows run in the port's scope.
pub(super) async fn serve(port: Arc<Port>, socket: Arc<Datagrams>, flows: Arc<Flows>) {
    let bounds = Bounds { flows: flows.max_port_flows, gives_way: GIVES_WAY };
    let scope = port.accepting.clone();
    let table = Table::new(Arc::clone(&flows), scope.clone(), bounds);
    let mut draining = pin!(scope.draining());
    loop {
        let received = tokio::select! {
            biased;
            () = draining.as_mut() => return,
            received = socket.recv_through(&flows.buffer) => received,
        };
        let Ok((payload, Received { from, to, .. })) = received else {
            tokio::time::sleep(READ_PAUSE).await;
            continue;
        };
        flows.counters.came();
        let peer = Peer { addr: from, to };
        let is_full = || port.is_full_of_flows();
        table.deliver(&peer, &payload, is_full, || User {
            port: Arc::clone(&port),
            socket: Arc::clone(&socket),
            peer,
            bearer: None,
        });
    }
}

/// One peer of a port.
struct User {
    port: Arc<Port>,
    socket: Arc<Datagrams>,
    peer: Peer,
    /// What carries the flow.
    bearer: Option<Bearer>,
}

impl UserSide for User {
    async fn open(&mut self, deadline: Deadline) -> Result<Flow, Unopened> {
        let bound = self.port.addr;
        let opening = Opening {
            ingress: Ingress::Forward,
            target: Target::Forward(0),
            source: Some(self.peer.addr),
            destination: Some(SocketAddr::new(self.peer.to.unwrap_or(bound.ip()), bound.port())),
            user: String::new(),
            protocol: Protocol::Udp,
        };
        let Some((stream, bearer)) = opening::open(&self.port, opening, deadline).await else {
            return Err(Unopened("no session opened the forward".into()));
        };
        self.bearer = Some(bearer);
        Ok(Flow::new(stream))
    }

    fn reply(&self, payload: &[u8]) -> io::Result<()> {
        self.socket.try_send(payload, self.peer.addr, self.peer.to)
    }

    async fn is_lost(&self) -> bool {
        let Some(Bearer { session, lane }) = &self.bearer else { return false };
        if !lane.stays_silent().await {
            return false;
        }
        // The session's next tunnel may carry it, or another session. Alone it is as good as any.
        // Over TCP a lost segment is silence too: a tunnel that is in use has to be suspected.
        let is_left = !session.uses(lane) || lane.tunnel.is_suspected() || lane.tunnel.is_closed();
        let moved = is_left && session.has_other(lane);
        moved && session.health() == Health::Good || self.port.has_good_others(session.number)
    }

    fn draining(&self) {
        if let Some(Bearer { session, .. }) = &self.bearer {
            session.leave();
        }
    }
}
