//! What a tunnel's control task and its streams share: credit in both directions.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use anyproxy_wire::{codes::CloseCode, frame::MAX_CREDITS, room};
use futures_util::task::AtomicWaker;
use quinn::{Connection, ConnectionError};
use tokio::sync::Notify;

use super::{close_varint, lost, window};
use crate::{
    alarm::Alarm,
    error::TunnelError,
    flow::{Inboxes, Outbox},
    tunnel::Settings,
};

/// How far a stream may send; raised by the control task, read by the writer.
#[derive(Debug)]
pub(crate) struct SendLimit {
    offset: AtomicU64,
    waker: AtomicWaker,
}

impl SendLimit {
    fn raise(&self, offset: u64) {
        if self.offset.fetch_max(offset, Ordering::Release) < offset {
            self.waker.wake();
        }
    }

    /// Bytes that may be sent beyond `sent`; waits while there are none.
    pub(super) fn poll_available(&self, sent: u64, cx: &mut Context<'_>) -> Poll<u64> {
        let available = |limit: &AtomicU64| limit.load(Ordering::Acquire).saturating_sub(sent);
        match available(&self.offset) {
            0 => {}
            more => return Poll::Ready(more),
        }
        self.waker.register(cx.waker());
        match available(&self.offset) {
            0 => Poll::Pending,
            more => Poll::Ready(more),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) conn: Connection,
    pub(crate) settings: Settings,
    /// Credit to announce, the answer to the newest Ping, and a Ping of ours.
    out: Mutex<Outgoing>,
    out_ready: Notify,
    sends: Mutex<HashMap<u64, Arc<SendLimit>>>,
    pub(crate) inboxes: Inboxes,
    pub(super) outbox: Outbox,
    rtt_micros: AtomicU64,
    strains: AtomicU64,
    pub(super) alarm: Alarm,
    closed_here: OnceLock<TunnelError>,
}

#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// At most one entry for each live stream: newer offsets replace older ones.
    pub(super) credits: HashMap<u64, u64>,
    /// At most one: a peer that floods Pings gets the newest answered.
    pub(super) pong: Option<[u8; 8]>,
    /// Whether the peer is to be asked for a sign of life.
    pub(super) ping: bool,
}

impl Shared {
    pub(super) fn new(conn: Connection, settings: Settings) -> Arc<Self> {
        let shared = Self {
            conn,
            settings,
            out: Mutex::default(),
            out_ready: Notify::new(),
            sends: Mutex::default(),
            inboxes: Inboxes::default(),
            outbox: Outbox::default(),
            rtt_micros: AtomicU64::new(0),
            strains: AtomicU64::new(0),
            alarm: Alarm::default(),
            closed_here: OnceLock::new(),
        };
        shared.refresh_rtt();
        Arc::new(shared)
    }

    /// Registers a stream, so that Credit finds it.
    pub(super) fn register(&self, stream: u64) -> Arc<SendLimit> {
        let limit = Arc::new(SendLimit {
            offset: AtomicU64::new(self.settings.send_credit),
            waker: AtomicWaker::new(),
        });
        let first = {
            let mut sends = lock(&self.sends);
            sends.insert(stream, Arc::clone(&limit));
            sends.len() == 1
        };
        if first {
            // It is looked more often for a sign of life from now on.
            self.out_ready.notify_one();
        }
        limit
    }

    pub(super) fn forget(&self, stream: u64) {
        room::remove(&mut lock(&self.sends), &stream);
        room::remove(&mut lock(&self.out).credits, &stream);
        self.inboxes.forget(stream);
    }

    pub(super) fn streams(&self) -> usize {
        lock(&self.sends).len()
    }

    /// A Credit came in. One for an unknown stream is late, not wrong.
    pub(super) fn raise(&self, stream: u64, offset: u64) {
        let limit = lock(&self.sends).get(&stream).cloned();
        if let Some(limit) = limit {
            limit.raise(offset);
        }
    }

    /// Announces `offset` soon, together with whatever else is due.
    pub(super) fn grant(&self, stream: u64, offset: u64) {
        lock(&self.out).credits.insert(stream, offset);
        self.out_ready.notify_one();
    }

    pub(super) fn answer_ping(&self, token: [u8; 8]) {
        lock(&self.out).pong = Some(token);
        self.out_ready.notify_one();
    }

    /// Asks the peer for a sign of life. Several at once are one Ping.
    pub(super) fn ask(&self) {
        lock(&self.out).ping = true;
        self.out_ready.notify_one();
    }

    /// Waits for credit, a Ping or a Pong to send. Cancel safe.
    pub(super) async fn outgoing(&self) {
        self.out_ready.notified().await;
    }

    /// Takes what is due, at most one Credit frame's worth of pairs.
    pub(super) fn take_outgoing(&self) -> Outgoing {
        let mut out = lock(&self.out);
        let (pong, ping) = (out.pong.take(), std::mem::take(&mut out.ping));
        if out.credits.len() <= MAX_CREDITS {
            return Outgoing { credits: std::mem::take(&mut out.credits), pong, ping };
        }
        let ids = out.credits.keys().take(MAX_CREDITS).copied().collect::<Vec<_>>();
        let credits = ids
            .into_iter()
            .filter_map(|id| out.credits.remove(&id).map(|offset| (id, offset)))
            .collect();
        self.out_ready.notify_one();
        Outgoing { credits, pong, ping }
    }

    /// quinn computes its figures under the connection's lock, so the data path reads this copy.
    pub(super) fn rtt(&self) -> Duration {
        Duration::from_micros(self.rtt_micros.load(Ordering::Relaxed))
    }

    pub(super) fn refresh_rtt(&self) {
        let micros = u64::try_from(self.conn.rtt().as_micros()).unwrap_or(u64::MAX);
        self.rtt_micros.store(micros, Ordering::Relaxed);
    }

    /// This end found the tunnel strained, or the peer says so. Only a number grows, however often it does.
    pub(super) fn strained(&self) {
        self.strains.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was.
    pub(super) fn strains(&self) -> u64 {
        self.strains.load(Ordering::Relaxed)
    }

    /// Closes the connection; only the first reason counts.
    pub(super) fn close(&self, error: &TunnelError) {
        let (code, reason) = match error {
            TunnelError::Closed { code, reason, .. } => (*code, reason.as_str()),
            TunnelError::PeerDead => (CloseCode::PeerDead, ""),
            TunnelError::Transport(reason) => (CloseCode::Internal, reason.as_str()),
            TunnelError::Reset => (CloseCode::Abandoned, ""),
        };
        let _ = self.closed_here.set(error.clone());
        window::open(&self.conn);
        self.conn.close(close_varint(code), reason.as_bytes());
    }

    /// Says why the connection is gone, with our own reason where we closed it.
    pub(super) fn explain(&self, error: &ConnectionError) -> TunnelError {
        match (error, self.closed_here.get()) {
            (ConnectionError::LocallyClosed, Some(ours)) => ours.clone(),
            _ => lost(error),
        }
    }
}

/// A panic while holding the lock leaves the maps whole, so poisoning says nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
