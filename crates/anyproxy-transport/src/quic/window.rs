//! A congestion window that lets the last word out, and counts what comes back.
//!
//! quinn holds CONNECTION_CLOSE back while the congestion window is full and anything else waits to be sent, although
//! it is not counted there (RFC 9002, 7: only ack-eliciting packets are). So a tunnel that is closed in
//! the middle of bulk, or because nothing is acknowledged any more, says nothing, and the peer finds out by
//! silence. Before closing, the window is opened: a closed connection sends nothing but that packet.
//!
//! Opening and closing are two calls. Between them the connection's driver, on another thread, may send what waits
//! without congestion control: a burst of at most what is buffered and the peer's credit allows, once, by a
//! connection that is over a moment later.
//!
//! The counts ([`Tally`]) are the same for any controller; `meter.rs` judges them. A path to another host has a controller and counts
//! of its own, from zero.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use quinn::{
    Connection,
    congestion::{Controller, ControllerFactory, ControllerMetrics},
};
use quinn_proto::RttEstimator;

use super::congestion::Congestion;

/// More than is ever in flight, and so much that quinn does not pace.
const OPEN: u64 = 1 << 40;

/// Lets the close packet of `conn`, which is closed next, out at once.
pub(super) fn open(conn: &Connection) {
    if let Ok(window) = conn.congestion_state().into_any().downcast::<Window>() {
        window.open.store(true, Ordering::Relaxed);
    }
}

/// What came back on the present path of `conn`. A copy of the controller is made for it, so it is not for each look.
pub(super) fn tally(conn: &Connection) -> Arc<Tally> {
    let window = conn.congestion_state().into_any().downcast::<Window>();
    window.map(|window| window.tally).unwrap_or_default()
}

/// Counts of one path; they only grow.
#[derive(Debug, Default)]
pub(super) struct Tally {
    acked: AtomicU64,
    idle: AtomicU64,
}

impl Tally {
    /// Bytes of packets that were acknowledged.
    pub(super) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// Acknowledgements that came while there was nothing more to send.
    pub(super) fn idle(&self) -> u64 {
        self.idle.load(Ordering::Relaxed)
    }
}

/// Makes them, around the controller that was chosen.
#[derive(Debug)]
pub(super) struct Windows(pub(super) Congestion);

impl ControllerFactory for Windows {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let inner = self.0.factory().build(now, current_mtu);
        Box::new(Window { inner, open: Arc::default(), tally: Arc::default() })
    }
}

struct Window {
    inner: Box<dyn Controller>,
    /// Shared with clones, which is how it is reached.
    open: Arc<AtomicBool>,
    /// Likewise.
    tally: Arc<Tally>,
}

impl Controller for Window {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
        self.tally.acked.fetch_add(bytes, Ordering::Relaxed);
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.tally.idle.fetch_add(u64::from(app_limited), Ordering::Relaxed);
        self.inner.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.inner.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        if self.open.load(Ordering::Relaxed) { OPEN } else { self.inner.window() }
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        let (open, tally) = (Arc::clone(&self.open), Arc::clone(&self.tally));
        Box::new(Self { inner: self.inner.clone_box(), open, tally })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
