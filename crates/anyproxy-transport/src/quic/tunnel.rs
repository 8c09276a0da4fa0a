//! A QUIC connection as a tunnel.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_wire::{codes::CloseCode, frame::Frame, message::Open};
use bytes::BytesMut;
use quinn::{RecvStream, SendStream, VarInt};
use tokio::sync::{Mutex, mpsc};

use super::{
    FAREWELL, control, datagrams,
    room::Room,
    shared::Shared,
    stream::{QuicIncoming, QuicStream},
};
use crate::{
    error::TunnelError,
    handshake::QuicPipe,
    stream::Stream,
    tunnel::{Settings, Side, Stats},
};

/// How often it is looked whether a close packet has left.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Control messages that may wait in each direction.
const CONTROL_QUEUE: usize = 64;

/// The control stream after the handshake, with bytes that were read ahead.
pub(crate) struct ControlStreams {
    pub(crate) send: SendStream,
    pub(crate) recv: RecvStream,
    pub(crate) ahead: BytesMut,
}

#[derive(Debug)]
pub(crate) struct QuicTunnel {
    shared: Arc<Shared>,
    control_out: mpsc::Sender<Frame>,
    control_in: Mutex<mpsc::Receiver<Frame>>,
    room: Room,
}

impl QuicTunnel {
    /// Takes over an authenticated connection; its tasks run in `scope` until it is closed.
    pub(crate) fn start(pipe: QuicPipe, settings: Settings, scope: &Scope) -> Self {
        let QuicPipe { conn, streams } = pipe;
        if settings.side == Side::Gateway {
            // The stranger is known now.
            conn.set_receive_window(VarInt::MAX);
        }
        let shared = Shared::new(conn, settings);
        let (control_out, outgoing) = mpsc::channel(CONTROL_QUEUE);
        let (incoming, control_in) = mpsc::channel(CONTROL_QUEUE);
        let ControlStreams { send, recv, ahead } = streams;
        let reader = control::read(Arc::clone(&shared), recv, ahead, incoming);
        let writer = control::write(Arc::clone(&shared), send, outgoing);
        scope.spawn_to_end("quic control reader", reader);
        scope.spawn_to_end("quic control writer", writer);
        scope.spawn_to_end("quic datagram reader", datagrams::receive(Arc::clone(&shared)));
        scope.spawn_to_end("quic datagram writer", datagrams::send(Arc::clone(&shared)));
        Self { shared, control_out, control_in: Mutex::new(control_in), room: Room::new() }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(crate) async fn open(&self, open: &Open) -> Result<Stream, TunnelError> {
        let (send, recv) =
            self.shared.conn.open_bi().await.map_err(|error| self.shared.explain(&error))?;
        let charge = self.settings().budget.charge(self.settings().recv_credit);
        let mut stream = QuicStream::new(open.stream, send, recv, &self.shared);
        stream.write_head(&Frame::Open(open.clone())).await.map_err(|_| self.closed_now())?;
        Ok(Stream::quic(stream, charge))
    }

    pub(crate) async fn accept(&self) -> Result<QuicIncoming, TunnelError> {
        let (send, recv) =
            self.shared.conn.accept_bi().await.map_err(|error| self.shared.explain(&error))?;
        if let Some(room) = self.room.grow(self.shared.streams()) {
            self.shared.conn.set_max_concurrent_bi_streams(VarInt::from_u32(room));
        }
        Ok(QuicIncoming::new(send, recv, Arc::clone(&self.shared)))
    }

    pub(crate) async fn send_control(&self, frame: Frame) -> Result<(), TunnelError> {
        self.control_out.send(frame).await.map_err(|_| self.closed_now())
    }

    pub(crate) async fn recv_control(&self) -> Result<Frame, TunnelError> {
        match self.control_in.lock().await.recv().await {
            Some(frame) => Ok(frame),
            None => Err(self.closed().await),
        }
    }

    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        self.shared.close(&TunnelError::ours(code, reason));
    }

    pub(crate) fn ping(&self) {
        self.shared.ask();
    }

    pub(crate) async fn closed(&self) -> TunnelError {
        let error = self.shared.conn.closed().await;
        self.shared.explain(&error)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.shared.conn.close_reason().is_some()
    }

    /// Waits until the close packet has left, which quinn does not tell but counts.
    pub(crate) async fn farewell(&self) {
        let left = || self.shared.conn.stats().frame_tx.connection_close > 0;
        let leaving = async {
            while !left() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let _ = Deadline::after(FAREWELL).bound(leaving).await;
    }

    pub(crate) fn is_suspected(&self) -> bool {
        self.shared.alarm.is_suspected()
    }

    pub(crate) fn doubt(&self, silence: Duration) {
        self.shared.alarm.raise(silence);
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.shared.conn.remote_address()
    }

    pub(crate) fn streams(&self) -> usize {
        self.shared.streams()
    }

    pub(crate) fn stats(&self) -> Stats {
        let stats = self.shared.conn.stats();
        Stats {
            rtt: stats.path.rtt,
            sent: stats.udp_tx.bytes,
            received: stats.udp_rx.bytes,
            sent_packets: stats.path.sent_packets,
            lost_packets: stats.path.lost_packets,
            strains: self.shared.strains(),
            streams: self.streams(),
            stalled: self.settings().budget.charged(),
            dropped_datagrams: self.shared.inboxes.dropped(),
        }
    }

    fn closed_now(&self) -> TunnelError {
        self.shared
            .conn
            .close_reason()
            .map_or(TunnelError::Transport("the control stream ended".into()), |error| {
                self.shared.explain(&error)
            })
    }
}

impl Drop for QuicTunnel {
    fn drop(&mut self) {
        // The tasks and streams hold the connection too, so dropping it here would not close it.
        self.close(CloseCode::Abandoned, "");
    }
}
