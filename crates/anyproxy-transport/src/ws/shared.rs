//! What the driver task and the handles of a WebSocket tunnel share.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};

use anyproxy_wire::{
    codes::CloseCode,
    datagram::MAX_DATAGRAM,
    frame::Frame,
    message::{Open, OpenReply},
    mux::{Event, Mux, MuxConfig, Queued},
    room,
};
use futures_util::task::AtomicWaker;
use tokio::{sync::Notify, time::Instant};

use crate::{
    alarm::Alarm,
    error::TunnelError,
    flow::Inboxes,
    tunnel::{Datagram, STREAM_WINDOW, Settings},
};

/// Bytes of one stream that may wait for the driver.
const SEND_BUFFER: usize = 256 * 1024;

/// Bytes of one Data frame: about a TLS record.
const DATA_FRAME: usize = 16 * 1024;

/// Control messages that may wait for the session, unless it expects more.
const CONTROL_QUEUE: usize = 64;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(super) peer: SocketAddr,
    state: Mutex<State>,
    /// Wakes the driver: there is something to send.
    pub(super) driver: AtomicWaker,
    pub(super) accepts: Notify,
    pub(super) controls: Notify,
    pub(super) control_room: Notify,
    pub(super) over: Notify,
    pub(crate) inboxes: Inboxes,
    /// How many control messages may wait.
    control_queue: AtomicUsize,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) alarm: Alarm,
    epoch: Instant,
    rtt_micros: AtomicU64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) mux: Mux,
    /// One entry for each stream that somebody holds.
    pub(super) handles: HashMap<u64, Handle>,
    /// Streams that the peer opened; the mux bounds their number.
    pub(super) opened: VecDeque<Open>,
    /// Control messages; a peer that sends more than may wait before they are taken is closed.
    pub(super) control: VecDeque<Frame>,
    pub(super) lost: Option<TunnelError>,
}

/// Who waits for what of a stream.
#[derive(Debug, Default)]
pub(super) struct Handle {
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    pub(super) reply: Option<OpenReply>,
}

impl Shared {
    pub(super) fn new(peer: SocketAddr, settings: Settings) -> Arc<Self> {
        let mux = Mux::new(MuxConfig {
            side: settings.side,
            send_credit: settings.send_credit,
            recv_credit: settings.recv_credit,
            recv_ceiling: STREAM_WINDOW,
            max_streams: settings.max_streams,
            send_buffer: SEND_BUFFER,
            data_frame: DATA_FRAME,
            pool: Arc::clone(settings.budget.pool()),
        });
        Arc::new(Self {
            settings,
            peer,
            state: Mutex::new(State {
                mux,
                handles: HashMap::new(),
                opened: VecDeque::new(),
                control: VecDeque::new(),
                lost: None,
            }),
            driver: AtomicWaker::new(),
            accepts: Notify::new(),
            controls: Notify::new(),
            control_room: Notify::new(),
            over: Notify::new(),
            inboxes: Inboxes::default(),
            control_queue: AtomicUsize::new(CONTROL_QUEUE),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            alarm: Alarm::default(),
            epoch: Instant::now(),
            rtt_micros: AtomicU64::new(0),
        })
    }

    /// The state; a panic in a holder leaves it whole, so poisoning says nothing.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Handles what the mux has to tell. Tasks are woken after the lock is free.
    ///
    /// # Errors
    /// When control messages come faster than the session takes them; only the driver can meet that.
    pub(super) fn dispatch(&self, mut state: MutexGuard<'_, State>) -> Result<(), TunnelError> {
        let mut wakers = Vec::new();
        while let Some(event) = state.mux.poll_event() {
            self.handle(&mut state, event, &mut wakers);
        }
        let flooded = state.control.len() > self.control_queue.load(Ordering::Relaxed);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        if flooded {
            return Err(TunnelError::ours(CloseCode::OverLimit, "too many control messages"));
        }
        Ok(())
    }

    fn handle(&self, state: &mut State, event: Event, wakers: &mut Vec<Waker>) {
        match event {
            Event::Opened(open) => {
                state.handles.insert(open.stream, Handle::default());
                state.opened.push_back(open);
                self.accepts.notify_one();
            }
            Event::Replied(reply) => {
                if let Some(handle) = state.handles.get_mut(&reply.stream) {
                    wakers.extend(handle.reader.take());
                    handle.reply = Some(reply);
                }
            }
            Event::Readable(id) => {
                wakers.extend(state.handles.get_mut(&id).and_then(|handle| handle.reader.take()));
            }
            Event::Writable(id) | Event::FinAcked(id) | Event::Stopped(id, _) => {
                wakers.extend(state.handles.get_mut(&id).and_then(|handle| handle.writer.take()));
            }
            Event::Control(Frame::Pong(token)) => self.measured(token),
            Event::Control(frame) => {
                state.control.push_back(frame);
                self.controls.notify_one();
            }
            Event::Datagram(id, payload) => {
                wakers.extend(self.inboxes.push(id, &payload));
            }
            Event::Closed(id) => {
                self.inboxes.forget(id);
                let handle = room::remove(&mut state.handles, &id);
                wakers.extend(
                    handle.into_iter().flat_map(|handle| [handle.reader, handle.writer]).flatten(),
                );
            }
        }
    }

    /// Lets so many control messages wait beside the usual ones.
    pub(super) fn expect_control(&self, more: usize) {
        self.control_queue.store(CONTROL_QUEUE.saturating_add(more), Ordering::Relaxed);
    }

    /// Queues a datagram of a flow; never waits. Drops are counted, here or in the mux.
    pub(crate) fn send_datagram(&self, flow: u64, payload: &[u8]) -> Datagram {
        if payload.len() > MAX_DATAGRAM {
            return Datagram::TooLarge;
        }
        let mut state = self.state();
        if state.lost.is_some() {
            self.inboxes.count(1);
            return Datagram::Dropped;
        }
        if state.mux.datagram(flow, payload) == Queued::Dropped {
            return Datagram::Dropped;
        }
        drop(state);
        self.driver.wake();
        Datagram::Queued
    }

    /// Marks the tunnel as over and tells everybody; the first reason counts.
    pub(super) fn lose(&self, error: TunnelError) {
        let mut state = self.state();
        if state.lost.is_some() {
            return;
        }
        state.lost = Some(error);
        let wakers = state
            .handles
            .values_mut()
            .flat_map(|handle| [handle.reader.take(), handle.writer.take()])
            .flatten()
            .collect::<Vec<_>>();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        self.accepts.notify_one();
        self.controls.notify_one();
        self.control_room.notify_waiters();
        self.over.notify_waiters();
        self.driver.wake();
    }

    /// A token that tells, when it comes back, how long it took.
    pub(super) fn ping_token(&self) -> [u8; 8] {
        self.micros().to_be_bytes()
    }

    /// RFC 6298's smoothing.
    fn measured(&self, token: [u8; 8]) {
        let Some(sample) = self.micros().checked_sub(u64::from_be_bytes(token)) else { return };
        let smoothed = self.rtt_micros.load(Ordering::Relaxed);
        let kept = smoothed.saturating_sub(smoothed / 8);
        let next = if smoothed == 0 { sample } else { kept.saturating_add(sample / 8) };
        self.rtt_micros.store(next, Ordering::Relaxed);
    }

    pub(super) fn rtt(&self) -> Duration {
        Duration::from_micros(self.rtt_micros.load(Ordering::Relaxed))
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
