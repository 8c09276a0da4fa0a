//! The answer to an Open, on either side.

use std::{
    future::poll_fn,
    net::SocketAddr,
    task::{Context, Poll},
};

use anyproxy_runtime::Deadline;
use anyproxy_wire::{
    codes::{OpenCode, StreamCode},
    message::OpenReply,
};

use super::{Arm, Stream};
use crate::{
    error::StreamError,
    figures::{OpenOutcome, Pending},
};

impl Stream {
    /// Waits for the peer's answer to the Open. Cancel safe. Has no limit of its own: bound it.
    ///
    /// # Errors
    /// [`StreamError`] when the stream or tunnel ends first.
    pub async fn reply(&mut self) -> Result<OpenReply, StreamError> {
        poll_fn(|cx| {
            let reply = self.arm.poll_reply(cx);
            if reply.is_pending() {
                // Nothing can be buffered for a target that is not yet connected.
                self.charge.waiting();
            }
            reply
        })
        .await
    }

    /// Lets bytes be sent before the answer has come; reading then waits for it first, at most
    /// until `deadline`, and fails with [`StreamError::Refused`] when it is a no.
    pub fn expect_reply(&mut self, deadline: Deadline) {
        self.reply = Some(Box::pin(deadline.passed()));
    }

    /// Counts the answer that is [expected](Self::expect_reply) when it comes; without one the target is
    /// connected already.
    pub fn count_reply(&mut self, pending: Pending) {
        if self.reply.is_some() {
            self.pending = Some(Box::new(pending));
        } else {
            pending.done(OpenOutcome::Answered(OpenCode::Connected));
        }
    }

    /// Answers the peer's Open. With any code but [`OpenCode::Connected`] both directions end.
    ///
    /// # Errors
    /// [`StreamError`] when the stream or tunnel ended first.
    pub async fn answer(
        &mut self,
        code: OpenCode,
        detail: &str,
        address: Option<SocketAddr>,
    ) -> Result<(), StreamError> {
        let reply = OpenReply { stream: self.id, code, detail: detail.to_owned(), address };
        match &mut self.arm {
            Arm::Quic(stream) => stream.answer(&reply).await?,
            Arm::WebSocket(stream) => stream.answer(reply)?,
        }
        if code != OpenCode::Connected {
            self.finish()?;
            self.stop(StreamCode::OpenFailed);
        }
        Ok(())
    }

    /// Ready once a positive answer is there, or none is expected.
    pub(super) fn poll_expected(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let Some(too_late) = &mut self.reply else { return Poll::Ready(Ok(())) };
        let Poll::Ready(reply) = self.arm.poll_reply(cx) else {
            self.charge.waiting();
            return too_late.as_mut().poll(cx).map(|()| {
                self.pending.take().into_iter().for_each(|it| it.done(OpenOutcome::NoAnswer));
                Err(StreamError::ReplyTimedOut)
            });
        };
        self.reply = None;
        if let Some(pending) = self.pending.take() {
            pending.done(match &reply {
                Ok(reply) => OpenOutcome::Answered(reply.code),
                Err(StreamError::TunnelLost(_)) => OpenOutcome::Lost,
                Err(_) => OpenOutcome::NoAnswer,
            });
        }
        Poll::Ready(reply.and_then(|reply| match reply.code {
            OpenCode::Connected => Ok(()),
            code => Err(StreamError::Refused { code, detail: reply.detail }),
        }))
    }
}
