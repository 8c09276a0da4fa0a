//! The accept loop of tunnels. A failure to accept costs a pause, never the listener.

use std::{sync::Arc, time::Duration};

use anyproxy_transport::TunnelListener;

use crate::{handshakes::Handshakes, session::Sessions};

/// The pause after a tunnel could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Accepts tunnels until dropped.
pub(super) async fn accept_tunnels(
    listener: Arc<TunnelListener>,
    sessions: Arc<Sessions>,
    handshakes: usize,
) {
    let handshakes = Handshakes::new(handshakes);
    loop {
        match listener.accept().await {
            Ok(arrival) => {
                let serving = Arc::clone(&sessions).serve(arrival, handshakes.begin());
                sessions.scope.spawn_to_end("session", serving);
            }
            Err(error) => {
                tracing::warn!(%error, "a tunnel could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
