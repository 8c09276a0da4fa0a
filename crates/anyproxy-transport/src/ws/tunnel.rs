//! A WebSocket as a tunnel.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyproxy_runtime::Scope;
use anyproxy_wire::{
    codes::CloseCode,
    frame::Frame,
    message::Open,
    mux::{MuxError, Queued},
};
use bytes::Bytes;

use super::{
    Socket, driver,
    shared::{Handle, Shared, State},
    stream::WsStream,
};
use crate::{
    error::TunnelError,
    stream::Stream,
    tunnel::{OpenError, Opening, Settings, Stats},
};

#[derive(Debug)]
pub(crate) struct WsTunnel {
    shared: Arc<Shared>,
}

impl WsTunnel {
    /// Takes over an authenticated WebSocket; its task runs in `scope` until the tunnel is over.
    pub(crate) fn start(
        socket: Socket,
        ahead: Bytes,
        peer: SocketAddr,
        settings: Settings,
        scope: &Scope,
    ) -> Self {
        let shared = Shared::new(peer, settings);
        let task = driver::run(Arc::clone(&shared), socket, ahead);
        scope.spawn_to_end("websocket driver", task);
        Self { shared }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(crate) fn open(&self, opening: &Opening) -> Result<Stream, OpenError> {
        let mut state = self.shared.state();
        if let Some(error) = &state.lost {
            return Err(error.clone().into());
        }
        // Drawn under the lock: of two opens at once the later one must have the higher id.
        let id = self.shared.settings.ids.next();
        let open = opening.with_id(id);
        state.mux.open(open).map_err(|error| match error {
            MuxError::TooManyStreams => OpenError::Overloaded,
            MuxError::Draining => TunnelError::ours(CloseCode::Shutdown, "draining").into(),
            MuxError::IdInUse | MuxError::WrongSide => {
                TunnelError::ours(CloseCode::Internal, error.to_string()).into()
            }
        })?;
        state.handles.insert(id, Handle::default());
        drop(state);
        self.shared.driver.wake();
        Ok(self.stream(id))
    }

    pub(crate) async fn accept(&self) -> Result<(Open, Stream), TunnelError> {
        loop {
            let news = self.shared.accepts.notified();
            if let Some(open) = self.take(|state| state.opened.pop_front())? {
                let stream = self.stream(open.stream);
                return Ok((open, stream));
            }
            news.await;
        }
    }

    fn stream(&self, id: u64) -> Stream {
        let settings = &self.shared.settings;
        let charge = settings.budget.charge(settings.recv_credit);
        Stream::websocket(WsStream::new(id, Arc::clone(&self.shared)), charge)
    }

    pub(crate) async fn send_control(&self, frame: Frame) -> Result<(), TunnelError> {
        loop {
            let room = self.shared.control_room.notified();
            {
                let mut state = self.shared.state();
                if let Some(error) = &state.lost {
                    return Err(error.clone());
                }
                if state.mux.control(frame.clone()) == Queued::Queued {
                    drop(state);
                    self.shared.driver.wake();
                    return Ok(());
                }
            }
            room.await;
        }
    }

    pub(crate) fn expect_control(&self, more: usize) {
        self.shared.expect_control(more);
    }

    pub(crate) async fn recv_control(&self) -> Result<Frame, TunnelError> {
        loop {
            let news = self.shared.controls.notified();
            if let Some(frame) = self.take(|state| state.control.pop_front())? {
                return Ok(frame);
            }
            news.await;
        }
    }

    /// Takes what is there; only an empty queue of a lost tunnel is an error.
    fn take<T>(
        &self,
        take: impl FnOnce(&mut State) -> Option<T>,
    ) -> Result<Option<T>, TunnelError> {
        let mut state = self.shared.state();
        match (take(&mut state), &state.lost) {
            (Some(taken), _) => Ok(Some(taken)),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Ok(None),
        }
    }

    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        self.shared.lose(TunnelError::ours(code, reason));
    }

    pub(crate) async fn closed(&self) -> TunnelError {
        loop {
            let over = self.shared.over.notified();
            if let Some(error) = self.shared.state().lost.clone() {
                return error;
            }
            over.await;
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.shared.state().lost.is_some()
    }

    /// Suspects the peer if it does not answer.
    pub(crate) fn ping(&self) {
        self.shared.alarm.ask();
        self.probe();
    }

    /// Several at once are one Ping.
    pub(crate) fn probe(&self) {
        let token = self.shared.ping_token();
        self.shared.state().mux.ping(token);
        self.shared.driver.wake();
    }

    pub(crate) fn is_suspected(&self) -> bool {
        self.shared.alarm.is_suspected()
    }

    pub(crate) fn doubt(&self, silence: Duration) {
        self.shared.alarm.raise(silence);
        self.shared.driver.wake();
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.shared.peer
    }

    pub(crate) fn streams(&self) -> usize {
        self.shared.state().mux.stream_count()
    }

    fn dropped_datagrams(&self) -> u64 {
        let by_mux = self.shared.state().mux.dropped_datagrams();
        by_mux.saturating_add(self.shared.inboxes.dropped())
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            rtt: self.shared.rtt(),
            sent: self.shared.sent.load(Ordering::Relaxed),
            received: self.shared.received.load(Ordering::Relaxed),
            sent_packets: 0,
            lost_packets: 0,
            strains: 0,
            streams: self.streams(),
            stalled: self.settings().budget.charged(),
            dropped_datagrams: self.dropped_datagrams(),
        }
    }
}

impl Drop for WsTunnel {
    fn drop(&mut self) {
        self.close(CloseCode::Abandoned, "");
    }
}
