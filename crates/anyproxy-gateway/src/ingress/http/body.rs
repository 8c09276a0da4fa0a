//! The bodies that pass through.
//!
//! An [`Upload`] goes from the user to the target, a [`Reply`] to the user. Neither is bounded in
//! size or time: hyper asks for the next piece only when there is room for it, so back-pressure
//! reaches the sending socket.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{
    expect::{Held, Hold, Unwanted},
    h2,
    interim::Informant,
    kept::Lease,
    pace::{Author, Busy, Pace},
};

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// On an HTTP/1 connection.
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    /// On an HTTP/2 connection.
    #[error(transparent)]
    Http2(#[from] ::h2::Error),
    /// It was never asked for.
    #[error(transparent)]
    Unwanted(#[from] Unwanted),
}

/// The body of a request as it comes from the user.
#[derive(Debug)]
pub(super) enum UserBody {
    /// None.
    Empty,
    /// Over HTTP/1.
    Http1(Incoming),
    /// Over HTTP/2.
    Http2(h2::Incoming),
}

impl Body for UserBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Http1(body) => Pin::new(body).poll_frame(cx).map_err(BodyError::from),
            Self::Http2(body) => body.poll_frame(cx).map_err(BodyError::from),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

/// The body of a request on its way to the target.
#[derive(Debug)]
pub(super) struct Upload {
    body: UserBody,
    /// While the target has to ask for it first.
    held: Option<(Held, Informant)>,
    _busy: Busy,
}

impl Upload {
    /// `hold` holds the body back, and `informant` tells the user when it does so no more.
    pub(super) fn new(
        body: UserBody,
        hold: Option<Hold>,
        informant: Informant,
        pace: &Arc<Pace>,
    ) -> Self {
        let held = hold.map(|hold| (Held::new(hold), informant));
        Self { body, held, _busy: Busy::new(pace) }
    }

    pub(super) fn empty(pace: &Arc<Pace>) -> Self {
        Self { body: UserBody::Empty, held: None, _busy: Busy::new(pace) }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some((held, informant)) = &mut self.held {
            ready!(held.poll(cx))?;
            informant.ask();
            self.held = None;
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a response on its way to the user.
#[derive(Debug)]
pub(super) struct Reply {
    source: Source,
    _busy: Busy,
}

#[derive(Debug)]
enum Source {
    Text(Full<Bytes>),
    Target(Download),
}

impl Reply {
    /// A text of our own.
    pub(super) fn text(text: impl Into<Bytes>, pace: &Arc<Pace>) -> Self {
        Self { source: Source::Text(Full::new(text.into())), _busy: Busy::new(pace) }
    }

    /// Who wrote it.
    pub(super) fn author(&self) -> Author {
        match self.source {
            Source::Text(_) => Author::Gateway,
            Source::Target(_) => Author::Target,
        }
    }

    /// The target's.
    pub(super) fn download(download: Download, pace: &Arc<Pace>) -> Self {
        Self { source: Source::Target(download), _busy: Busy::new(pace) }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.source {
            Source::Text(text) => Pin::new(text).poll_frame(cx).map_err(|never| match never {}),
            Source::Target(download) => download.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Text(text) => text.is_end_stream(),
            Source::Target(download) => download.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Text(text) => text.size_hint(),
            Source::Target(download) => download.body.size_hint(),
        }
    }
}

/// A target's response body, and its connection, which is free again once the body has ended.
#[derive(Debug)]
pub(super) struct Download {
    body: Incoming,
    lease: Option<Lease>,
    pace: Arc<Pace>,
    truncated: Arc<AtomicBool>,
    failure: Option<hyper::Error>,
}

impl Download {
    /// `truncated` is set when the target's connection breaks within the body.
    pub(super) fn new(
        body: Incoming,
        lease: Option<Lease>,
        pace: Arc<Pace>,
        truncated: Arc<AtomicBool>,
    ) -> Self {
        let mut download = Self { body, lease, pace, truncated, failure: None };
        download.release_at_end();
        download
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.failure.is_some() {
            return self.poll_failure();
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Err(error))) => {
                self.truncated.store(true, Ordering::Relaxed);
                self.lease = None;
                self.failure = Some(error);
                // hyper drops what it has not written yet when a body fails. Being pending for
                // once lets it write first.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(None) => {
                self.release();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => {
                // Trailers end a body; hyper does not ask for what is behind them.
                if frame.is_trailers() {
                    self.release();
                } else {
                    self.release_at_end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Hands the failure over once the user has taken the bytes before it. While they wait, the
    /// user's socket wakes this task.
    fn poll_failure(&mut self) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.pace.holds_failures() {
            return Poll::Pending;
        }
        Poll::Ready(self.failure.take().map(Err))
    }

    fn release_at_end(&mut self) {
        if self.body.is_end_stream() {
            self.release();
        }
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }
}
