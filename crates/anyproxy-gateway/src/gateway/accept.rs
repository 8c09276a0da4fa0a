//! The accept loop of tunnels.

use std::sync::Arc;

use anyproxy_transport::{Arrival, TunnelListener};

use crate::{
    handshakes::{Handshakes, Origin},
    session::Sessions,
};

/// Accepts tunnels until dropped.
pub(super) async fn accept_tunnels(listener: Arc<TunnelListener>, sessions: Arc<Sessions>) {
    let handshakes = Handshakes::new(&sessions.limits);
    loop {
        let arrival = listener.accept().await;
        match handshakes.begin(origin(&arrival)) {
            Some(place) => {
                let serving = Arc::clone(&sessions).serve(arrival, place);
                sessions.scope.spawn_to_end("session", serving);
            }
            None => arrival.ask_for_proof(),
        }
    }
}

fn origin(arrival: &Arrival) -> Origin {
    let ip = arrival.peer().ip();
    if arrival.is_through_proxy() {
        Origin::Shared
    } else if arrival.is_proven() {
        Origin::Proven(ip)
    } else {
        Origin::Unproven(ip)
    }
}
