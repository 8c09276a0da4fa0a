//! The task that moves a tunnel's messages.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use anyproxy_runtime::Deadline;
use anyproxy_wire::{
    WireError,
    codes::CloseCode,
    frame::{self, Stage},
    heartbeat::Beat,
};
use bytes::{Bytes, BytesMut};
use futures_util::{Sink as _, SinkExt as _, Stream as _};
use tokio::time::Sleep;
use tokio_tungstenite::tungstenite::Message;

use super::{Socket, broken, close_frame, closed, pulse::Pulse, shared::Shared};
use crate::{
    error::{ClosedBy, TunnelError},
    rates::Gauge,
    tunnel::Transport,
};

/// Bytes of frames that go into one message: a few TLS records for one header and one mask.
const MESSAGE: usize = 64 * 1024;

/// Messages moved in each direction before other tasks get their turn.
const TURN: usize = 16;

/// How long the last words may take.
const FAREWELL: Duration = Duration::from_millis(20);

/// Runs until the tunnel is over.
pub(super) async fn run(shared: Arc<Shared>, socket: Socket, ahead: Bytes) {
    let mut driver = Driver::new(Arc::clone(&shared), socket);
    let error = match driver.frames(ahead) {
        Ok(()) => poll_fn(|cx| driver.poll(cx)).await,
        Err(error) => error,
    };
    shared.lose(error);
    // The first reason counts, which may be an earlier close of ours.
    let reason = shared.state().lost.clone();
    if let Some(TunnelError::Closed { by: ClosedBy::Us, code, reason }) = reason {
        driver.say_goodbye(code, &reason).await;
    } else if let Some(TunnelError::PeerDead) = reason {
        driver.say_goodbye(CloseCode::PeerDead, "").await;
        // The kernel would go on sending what waits for as long again. One that still hears us learns more from
        // RST than from a Close behind that.
        driver.socket.into_inner().abort();
    }
}

struct Driver {
    shared: Arc<Shared>,
    socket: Socket,
    pulse: Pulse,
    gauge: Gauge,
    timer: Pin<Box<Sleep>>,
}

impl Driver {
    fn new(shared: Arc<Shared>, socket: Socket) -> Self {
        socket.get_ref().set_user_timeout(shared.settings.dead_after);
        shared.settings.budget.rates().leads_to(Transport::WebSocket, shared.peer.ip());
        let pulse = Pulse::new(now(), &shared.settings);
        let gauge = Gauge::new(now(), 0);
        let timer = Box::pin(tokio::time::sleep_until(pulse.next().into()));
        Self { shared, socket, pulse, gauge, timer }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TunnelError> {
        match self.step(cx) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Result<(), TunnelError> {
        self.shared.driver.register(cx.waker());
        if let Some(error) = self.shared.state().lost.clone() {
            return Err(error);
        }
        let read = self.receive(cx);
        // A message may take long to come, and each part of it shows that the peer lives.
        self.shared.received.store(self.socket.get_ref().heard(), Ordering::Relaxed);
        let read = read?;
        self.beat()?;
        let written = self.transmit(cx);
        self.shared.sent.store(self.socket.get_ref().sent(), Ordering::Relaxed);
        let written = written?;
        self.set_timer(cx);
        if read == Turn::Used || written == Turn::Used {
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    fn receive(&mut self, cx: &mut Context<'_>) -> Result<Turn, TunnelError> {
        for _ in 0..TURN {
            match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => return Ok(Turn::Over),
                Poll::Ready(Some(Ok(message))) => self.message(message)?,
                Poll::Ready(Some(Err(error))) => return Err(broken(&error)),
                Poll::Ready(None) => return Err(TunnelError::theirs(CloseCode::Abandoned, "")),
            }
        }
        Ok(Turn::Used)
    }

    fn message(&mut self, message: Message) -> Result<(), TunnelError> {
        match message {
            Message::Binary(bytes) => self.frames(bytes),
            Message::Close(frame) => Err(closed(frame.as_ref())),
            Message::Text(_) => Err(WireError::UnexpectedFrame("text message").into()),
            // tungstenite answers Pings by itself.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    fn frames(&mut self, mut bytes: Bytes) -> Result<(), TunnelError> {
        while let Some(frame) = frame::decode_message(&mut bytes, Stage::Established)? {
            let mut state = self.shared.state();
            let result = state.mux.receive(frame);
            // Also after an error: what came before it is good.
            let dispatched = self.shared.dispatch(state);
            result?;
            dispatched?;
        }
        Ok(())
    }

    /// After reading, for what waited in the kernel is a sign of life too.
    fn beat(&mut self) -> Result<(), TunnelError> {
        let (now, heard) = (now(), self.socket.get_ref().heard());
        if let Some(silence) = self.shared.alarm.take_doubt() {
            self.pulse.doubt(now, heard, silence);
            // The way may be another one.
            self.shared.settings.budget.rates().forget();
            self.gauge = Gauge::new(now, self.socket.get_ref().sent());
        }
        let asked = self.shared.alarm.take_asked();
        if asked || self.shared.state().mux.wants_more_than_liveness() {
            self.pulse.sent();
        }
        self.gauge.look(now, self.socket.get_ref().sent(), self.shared.settings.budget.rates());
        let beat = self.pulse.beat(now, heard, self.shared.rtt());
        self.shared.alarm.follow(self.pulse.heartbeat());
        match beat {
            Beat::Idle => Ok(()),
            Beat::Ping => {
                let token = self.shared.ping_token();
                self.shared.state().mux.ping(token);
                Ok(())
            }
            Beat::Dead => Err(TunnelError::PeerDead),
        }
    }

    /// Wakes this task when something is due. Last, for what was sent is to be answered.
    fn set_timer(&mut self, cx: &mut Context<'_>) {
        self.timer.as_mut().reset(self.pulse.next().into());
        if self.timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Result<Turn, TunnelError> {
        let mut turn = Turn::Used;
        for _ in 0..TURN {
            match Pin::new(&mut self.socket).poll_ready(cx) {
                Poll::Pending => return Ok(Turn::Over),
                Poll::Ready(ready) => ready.map_err(|error| broken(&error))?,
            }
            let Some(message) = self.next_message() else {
                turn = Turn::Over;
                break;
            };
            Pin::new(&mut self.socket)
                .start_send(Message::Binary(message))
                .map_err(|error| broken(&error))?;
        }
        match Pin::new(&mut self.socket).poll_flush(cx) {
            Poll::Pending => Ok(turn),
            Poll::Ready(flushed) => flushed.map(|()| turn).map_err(|error| broken(&error)),
        }
    }

    fn next_message(&mut self) -> Option<Bytes> {
        let mut state = self.shared.state();
        if !state.mux.wants_transmit() {
            return None;
        }
        if state.mux.wants_more_than_liveness() {
            self.pulse.sent();
        }
        let mut message = BytesMut::with_capacity(MESSAGE + 1024);
        state.mux.transmit(&mut message, MESSAGE);
        // What is sent brings no control messages in.
        let _ = self.shared.dispatch(state);
        self.shared.control_room.notify_waiters();
        (!message.is_empty()).then(|| message.freeze())
    }

    /// Sends the Close frame. Bounded: a peer that reads nothing must not hold us up.
    async fn say_goodbye(&mut self, code: CloseCode, reason: &str) {
        let goodbye = async {
            self.socket.send(Message::Close(Some(close_frame(code, reason)))).await?;
            self.socket.flush().await
        };
        let _ = Deadline::after(FAREWELL).bound(goodbye).await;
    }
}

/// Whether a direction used its whole turn and may have more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Used,
    Over,
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
