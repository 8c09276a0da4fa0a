//! The control stream: one task reads, one writes.
//!
//! Reading never waits for writing. What must be answered (credit, Pong) is coalesced in
//! [`Shared`], so nothing a peer sends makes a queue grow. The stream has the highest
//! priority: credit is never behind bulk.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "what is not expected here is an error, also what a later version adds"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyproxy_wire::{
    codes::CloseCode,
    frame::{self, Frame, Stage},
    heartbeat::{Beat, Heartbeat},
};
use bytes::BytesMut;
use quinn::{RecvStream, SendStream};
use tokio::sync::mpsc;

use super::shared::Shared;
use crate::{error::TunnelError, tunnel::Settings};

/// Above every data stream (1 at its start, then 0).
const PRIORITY: i32 = 2;

/// How often in a ping interval it is looked whether the peer has sent anything.
const LOOKS: u32 = 5;

/// Bytes taken from the stream at a time.
const CHUNK: usize = 16 * 1024;

/// Reads control frames until the tunnel is over.
pub(super) async fn read(
    shared: Arc<Shared>,
    mut recv: RecvStream,
    mut buffer: BytesMut,
    control: mpsc::Sender<Frame>,
) {
    if let Err(error) = read_frames(&shared, &mut recv, &mut buffer, &control).await {
        shared.close(&error);
    }
}

async fn read_frames(
    shared: &Shared,
    recv: &mut RecvStream,
    buffer: &mut BytesMut,
    control: &mpsc::Sender<Frame>,
) -> Result<(), TunnelError> {
    loop {
        while let Some(frame) = frame::decode(buffer, Stage::Established)? {
            match frame {
                Frame::Ping(token) => shared.answer_ping(token),
                Frame::Pong(_) => {}
                Frame::Credit(pairs) => {
                    pairs.into_iter().for_each(|(stream, offset)| shared.raise(stream, offset));
                }
                message @ (Frame::Goaway(_)
                | Frame::ForwardRequest(_)
                | Frame::ForwardReply(_)
                | Frame::ForwardRelease(_)) => {
                    // Waits when the session is behind; the stream's own flow control holds the
                    // peer. A session that is gone closes the tunnel soon.
                    if control.send(message).await.is_err() {
                        return Ok(());
                    }
                }
                other => return Err(misplaced(&other)),
            }
        }
        match recv.read_chunk(CHUNK, true).await {
            Ok(Some(chunk)) => buffer.extend_from_slice(&chunk.bytes),
            Ok(None) | Err(quinn::ReadError::Reset(_)) => {
                return Err(TunnelError::ours(CloseCode::Protocol, "the control stream ended"));
            }
            Err(_) => return Ok(()),
        }
    }
}

fn misplaced(frame: &Frame) -> TunnelError {
    anyproxy_wire::WireError::UnexpectedFrame(frame.name()).into()
}

/// Writes control frames, credit and heartbeats until the tunnel is over.
pub(super) async fn write(
    shared: Arc<Shared>,
    mut send: SendStream,
    mut control: mpsc::Receiver<Frame>,
) {
    let _ = send.set_priority(PRIORITY);
    let mut pulse = Pulse::new(&shared.settings);
    let mut buffer = BytesMut::new();
    loop {
        tokio::select! {
            biased;
            _ = shared.conn.closed() => return,
            () = shared.outgoing() => due(&shared, &mut buffer),
            Some(frame) = control.recv() => frame.encode(&mut buffer),
            () = tokio::time::sleep_until(pulse.next().into()) => {
                shared.refresh_rtt();
                match pulse.beat(&shared) {
                    Beat::Idle => {}
                    Beat::Ping => Frame::Ping([0; 8]).encode(&mut buffer),
                    Beat::Dead => return shared.close(&TunnelError::PeerDead),
                }
            }
        }
        if send.write_all(&buffer).await.is_err() {
            return;
        }
        buffer.clear();
    }
}

fn due(shared: &Shared, buffer: &mut BytesMut) {
    let out = shared.take_outgoing();
    if let Some(token) = out.pong {
        Frame::Pong(token).encode(buffer);
    }
    if !out.credits.is_empty() {
        shared.refresh_rtt();
        Frame::Credit(out.credits.into_iter().collect()).encode(buffer);
    }
}

/// The heartbeat, fed by quinn's count of received bytes: any byte proves life.
///
/// quinn does not tell when a packet comes, so it is asked several times in each ping interval;
/// that much earlier a silent peer counts as dead, so that it is never later than agreed.
struct Pulse {
    heartbeat: Heartbeat,
    received: u64,
    look_every: Duration,
    looked: Instant,
}

impl Pulse {
    fn new(settings: &Settings) -> Self {
        let now = tokio::time::Instant::now().into_std();
        let look_every = settings.ping_interval.checked_div(LOOKS).unwrap_or_default();
        let dead_after = settings.dead_after.saturating_sub(look_every);
        let heartbeat = Heartbeat::new(now, settings.ping_interval, dead_after);
        Self { heartbeat, received: 0, look_every, looked: now }
    }

    fn next(&self) -> Instant {
        let look = self.looked.checked_add(self.look_every).unwrap_or(self.looked);
        self.heartbeat.deadline().min(look)
    }

    fn beat(&mut self, shared: &Shared) -> Beat {
        let now = tokio::time::Instant::now().into_std();
        let received = shared.conn.stats().udp_rx.bytes;
        self.looked = now;
        if received != self.received {
            self.received = received;
            self.heartbeat.received(now);
        }
        self.heartbeat.poll(now)
    }
}
