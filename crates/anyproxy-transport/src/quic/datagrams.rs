//! The tasks that move datagrams between quinn and the flows.
//!
//! quinn puts datagrams in front of all streams, the control stream included, so a flood of them
//! would stop everything else on a link that is full. The sender therefore rests now and then for as
//! long as it was held up, unless nothing else has anything to send.

use std::{sync::Arc, time::Duration};

use anyproxy_wire::datagram;
use bytes::{Bytes, BytesMut};
use quinn::SendDatagramError;
use tokio::time::Instant;

use super::{config::DATAGRAM_SEND_BUFFER, shared::Shared};
use crate::{error::TunnelError, flow::Sent, tunnel::Datagram};

/// Held up for so long, the sender lets others go first.
const HELD_UP: Duration = Duration::from_millis(2);

/// The longest rest: about what it takes to send quinn's queue over a slow link.
const LONGEST_REST: Duration = Duration::from_millis(50);

/// Room in quinn's queue that says that it is empty; quinn keeps a few bytes for itself.
const ALMOST_ALL: usize = DATAGRAM_SEND_BUFFER - 1024;

/// How often a resting sender looks whether anybody uses the rest.
const LOOK: Duration = Duration::from_millis(1);

impl Shared {
    /// Queues a datagram of a flow; never waits. Drops are counted.
    pub(crate) fn send_datagram(&self, flow: u64, payload: &[u8]) -> Datagram {
        let mut bytes = BytesMut::with_capacity(payload.len().saturating_add(8));
        datagram::encode(flow, payload, &mut bytes);
        match self.conn.max_datagram_size() {
            Some(limit) if bytes.len() <= limit => {}
            // A peer without datagrams gets everything on the stream.
            Some(_) | None => return Datagram::TooLarge,
        }
        match self.outbox.push(flow, bytes.freeze()) {
            Sent::Queued => Datagram::Queued,
            Sent::Dropped => {
                self.inboxes.count(1);
                Datagram::Dropped
            }
        }
    }
}

/// Takes datagrams from quinn until the tunnel is over. It never waits for a flow: quinn would drop
/// meanwhile, and tell nobody.
pub(super) async fn receive(shared: Arc<Shared>) {
    while let Ok(content) = shared.conn.read_datagram().await {
        match datagram::decode(content) {
            Ok((flow, payload)) => {
                if let Some(reader) = shared.inboxes.push(flow, &payload) {
                    reader.wake();
                }
            }
            Err(error) => return shared.close(&TunnelError::from(error)),
        }
    }
}

/// Gives datagrams to quinn until the tunnel is over.
pub(super) async fn send(shared: Arc<Shared>) {
    let mut held_up = None;
    loop {
        let Some((flow, datagram)) = shared.outbox.pop() else {
            held_up = None;
            tokio::select! {
                biased;
                _ = shared.conn.closed() => return,
                () = shared.outbox.news() => continue,
            }
        };
        if shared.conn.datagram_send_buffer_space() < datagram.len() {
            let since = *held_up.get_or_insert_with(Instant::now);
            if since.elapsed() >= HELD_UP {
                rest(&shared, since).await;
                held_up = None;
            }
        }
        if hand_over(&shared, flow, datagram).await.is_err() {
            return;
        }
    }
}

/// Waits for room in quinn's queue: nothing in it may be pushed out by what comes later.
async fn hand_over(shared: &Shared, flow: u64, datagram: Bytes) -> Result<(), SendDatagramError> {
    match shared.conn.send_datagram_wait(datagram).await {
        Ok(()) => Ok(()),
        Err(error @ SendDatagramError::ConnectionLost(_)) => Err(error),
        // The path's limit fell while it waited.
        Err(
            SendDatagramError::TooLarge
            | SendDatagramError::UnsupportedByPeer
            | SendDatagramError::Disabled,
        ) => {
            shared.inboxes.count_for(flow);
            Ok(())
        }
    }
}

/// Lets the streams use the link for as long as the datagrams had it, which is since `began`. The rest
/// ends early when the peer acknowledges, so that there was room, and yet no stream sent anything.
async fn rest(shared: &Shared, began: Instant) {
    while shared.conn.datagram_send_buffer_space() < ALMOST_ALL {
        if shared.conn.close_reason().is_some() {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
    let (resting, most) = (Instant::now(), began.elapsed().min(LONGEST_REST));
    let before = shared.conn.stats();
    while resting.elapsed() < most {
        tokio::time::sleep(LOOK).await;
        let now = shared.conn.stats();
        if now.frame_rx.acks > before.frame_rx.acks && now.frame_tx.stream == before.frame_tx.stream
        {
            return;
        }
    }
}
