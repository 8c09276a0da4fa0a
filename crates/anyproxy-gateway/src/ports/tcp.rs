//! Users of a forwarded TCP port.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, IoSide, RelayTimeouts};
use anyproxy_transport::{Near, OpenOutcome, Opening, Opens, splice};
use anyproxy_wire::message::{Ingress, Protocol, Target};

use super::{Port, opening};
use crate::ingress::Unserved;

/// Serves one user of `port`; the time bounds the wait for the target.
pub(super) async fn relay(
    port: Arc<Port>,
    user: Unserved,
    peer: SocketAddr,
    (timeout, opens): (Duration, Arc<Opens>),
) {
    let counting = opens.begin(Ingress::Forward);
    let deadline = Deadline::after(timeout);
    let opening = Opening {
        ingress: Ingress::Forward,
        target: Target::Forward(0),
        source: Some(peer),
        destination: user.local_addr(),
        user: String::new(),
        protocol: Protocol::Tcp,
    };
    let opened = deadline.bound(opening::open(&port, opening, deadline)).await;
    let Ok(Some((mut stream, _))) = opened else {
        counting.done(if opened.is_err() { OpenOutcome::NoAnswer } else { OpenOutcome::NoSession });
        return tracing::debug!(addr = %port.addr, %peer, "no session opened the forward");
    };
    stream.count_reply(counting);
    let connection = stream.label();
    tracing::debug!(%connection, addr = %port.addr, %peer, "connection opened");
    let Some(conn) = user.into_conn() else { return };
    let ended = splice(stream, IoSide::new(conn), Near::User, RelayTimeouts::default()).await;
    tracing::debug!(%connection, addr = %port.addr, %peer, ?ended, "forwarded connection ended");
}
