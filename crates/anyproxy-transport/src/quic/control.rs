//! The control stream: one task reads, one writes.
//!
//! Reading never waits for writing. What must be answered (credit, Pong) is coalesced in
//! [`Shared`], so nothing a peer sends makes a queue grow. The stream has the highest
//! priority: credit is never behind bulk.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "what is not expected here is an error, also what a later version adds"
)]

use std::sync::Arc;

use anyproxy_wire::{
    codes::CloseCode,
    frame::{self, Frame, Stage},
    heartbeat::Beat,
};
use bytes::{Buf as _, BytesMut};
use quinn::{RecvStream, SendStream};
use tokio::sync::mpsc;

use super::{pulse::Pulse, shared::Shared};
use crate::error::TunnelError;

/// Above every data stream (1 while it is urgent, else 0).
const PRIORITY: i32 = 2;

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
                Frame::Strain => shared.strained(),
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

/// Writes control frames, credit and heartbeats until the tunnel is over. The heartbeat goes on while
/// nothing can be written, which is when it is needed most.
pub(super) async fn write(
    shared: Arc<Shared>,
    mut send: SendStream,
    mut control: mpsc::Receiver<Frame>,
) {
    let _ = send.set_priority(PRIORITY);
    let mut pulse = Pulse::new(&shared);
    let mut buffer = BytesMut::new();
    loop {
        tokio::select! {
            biased;
            _ = shared.conn.closed() => return,
            silence = shared.alarm.doubt() => pulse.doubt(&shared, silence),
            () = tokio::time::sleep_until(pulse.next().into()) => {
                shared.refresh_rtt();
                match pulse.beat(&shared) {
                    // What waits to be written is asked about just as well.
                    Beat::Ping if buffer.is_empty() => Frame::Ping([0; 8]).encode(&mut buffer),
                    Beat::Ping | Beat::Idle => {}
                    Beat::Dead => return shared.close(&TunnelError::PeerDead),
                }
                if pulse.take_strain() && buffer.is_empty() {
                    Frame::Strain.encode(&mut buffer);
                }
            }
            written = send.write(&buffer), if !buffer.is_empty() => match written {
                Ok(count) => buffer.advance(count),
                Err(_) => return,
            },
            () = shared.outgoing(), if buffer.is_empty() => {
                due(&shared, &mut buffer);
                pulse.quicken(&shared);
            }
            Some(frame) = control.recv(), if buffer.is_empty() => frame.encode(&mut buffer),
        }
    }
}

fn due(shared: &Shared, buffer: &mut BytesMut) {
    let out = shared.take_outgoing();
    if let Some(token) = out.pong {
        Frame::Pong(token).encode(buffer);
    }
    if out.ping {
        Frame::Ping([0; 8]).encode(buffer);
    }
    if !out.credits.is_empty() {
        shared.refresh_rtt();
        Frame::Credit(out.credits.into_iter().collect()).encode(buffer);
    }
}
