//! A data stream of the WebSocket mux.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use anyproxy_wire::{
    codes::{OpenCode, StreamCode},
    message::OpenReply,
    mux::{FinState, Read, Written},
    room,
};
use bytes::Bytes;
use tokio::time::Instant;

use super::shared::{Shared, State};
use crate::error::{StreamError, TunnelError};

#[derive(Debug)]
pub(crate) struct WsStream {
    id: u64,
    shared: Arc<Shared>,
    /// What the peer might still send when the last chunk was taken, in bytes.
    outstanding: u64,
}

impl WsStream {
    pub(super) fn new(id: u64, shared: Arc<Shared>) -> Self {
        Self { id, shared, outstanding: 0 }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// The answer stays until it is taken.
    pub(crate) fn poll_reply(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<OpenReply, StreamError>> {
        let mut state = self.shared.state();
        let lost = state.lost.clone();
        let Some(handle) = state.handles.get_mut(&self.id) else {
            return Poll::Ready(Err(StreamError::Unanswered));
        };
        match (handle.reply.take(), lost) {
            (Some(reply), _) if reply.code == OpenCode::Abandoned => {
                Poll::Ready(Err(StreamError::Unanswered))
            }
            (Some(reply), _) => Poll::Ready(Ok(reply)),
            (None, Some(error)) => Poll::Ready(Err(error.into())),
            (None, None) => {
                handle.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(crate) fn answer(&mut self, reply: OpenReply) -> Result<(), StreamError> {
        let mut state = self.shared.state();
        if let Some(error) = &state.lost {
            return Err(error.clone().into());
        }
        state.mux.reply(reply).map_err(|_| StreamError::Ended)?;
        drop(state);
        self.shared.driver.wake();
        Ok(())
    }

    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamError>> {
        let mut state = self.shared.state();
        let read = state.mux.read(self.id, Instant::now().into_std(), self.shared.rtt());
        match read {
            Read::Chunk(bytes) => {
                let wake = state.mux.wants_transmit();
                self.outstanding = state.mux.outstanding(self.id);
                drop(state);
                if wake {
                    self.shared.driver.wake();
                }
                Poll::Ready(Ok(Some(bytes)))
            }
            Read::Finished => Poll::Ready(Ok(None)),
            Read::Reset(code) => Poll::Ready(Err(StreamError::Reset(code))),
            Read::Gone => Poll::Ready(Err(lost_or_ended(&state))),
            Read::Blocked if state.lost.is_some() => Poll::Ready(Err(lost_or_ended(&state))),
            Read::Blocked => match state.handles.get_mut(&self.id) {
                Some(handle) => {
                    handle.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
                None => Poll::Ready(Err(StreamError::Ended)),
            },
        }
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, StreamError>> {
        let mut state = self.shared.state();
        if let Some(error) = &state.lost {
            return Poll::Ready(Err(error.clone().into()));
        }
        match state.mux.write(self.id, bytes) {
            Written::Some(count) => {
                drop(state);
                self.shared.driver.wake();
                Poll::Ready(Ok(count))
            }
            Written::Stopped(code) => Poll::Ready(Err(StreamError::Stopped(code))),
            Written::Gone => Poll::Ready(Err(StreamError::Ended)),
            Written::Blocked => match state.handles.get_mut(&self.id) {
                Some(handle) => {
                    handle.writer = Some(cx.waker().clone());
                    Poll::Pending
                }
                None => Poll::Ready(Err(StreamError::Ended)),
            },
        }
    }

    pub(crate) fn finish(&mut self) -> Result<(), StreamError> {
        let mut state = self.shared.state();
        if let Some(error) = &state.lost {
            return Err(error.clone().into());
        }
        state.mux.finish(self.id);
        drop(state);
        self.shared.driver.wake();
        Ok(())
    }

    pub(crate) async fn acked(&mut self) -> Result<(), StreamError> {
        poll_fn(|cx| {
            let mut state = self.shared.state();
            match state.mux.fin_state(self.id) {
                FinState::Acked => return Poll::Ready(Ok(())),
                FinState::Stopped(code) => return Poll::Ready(Err(StreamError::Stopped(code))),
                FinState::Gone => return Poll::Ready(Err(lost_or_ended(&state))),
                FinState::Open | FinState::Pending => {}
            }
            if state.lost.is_some() {
                return Poll::Ready(Err(lost_or_ended(&state)));
            }
            match state.handles.get_mut(&self.id) {
                Some(handle) => {
                    handle.writer = Some(cx.waker().clone());
                    Poll::Pending
                }
                None => Poll::Ready(Err(StreamError::Ended)),
            }
        })
        .await
    }

    pub(crate) fn reset(&mut self, code: StreamCode) {
        self.shared.state().mux.reset(self.id, code);
        self.shared.driver.wake();
    }

    pub(crate) fn stop(&mut self, code: StreamCode) {
        self.shared.state().mux.stop(self.id, code);
        self.shared.driver.wake();
    }
}

fn lost_or_ended(state: &State) -> StreamError {
    let lost: Option<TunnelError> = state.lost.clone();
    lost.map_or(StreamError::Ended, StreamError::from)
}

impl Drop for WsStream {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        room::remove(&mut state.handles, &self.id);
        state.mux.release(self.id);
        // A flood is for the driver to see.
        let _ = self.shared.dispatch(state);
        self.shared.driver.wake();
    }
}
