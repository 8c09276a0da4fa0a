//! The body of a request that came over HTTP/2.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Error, RecvStream};
use http::{HeaderMap, header::CONTENT_LENGTH};
use hyper::body::{Frame, SizeHint};

/// A request's body. The user may send more as soon as a piece was taken from here.
#[derive(Debug)]
pub(in crate::ingress::http) struct Incoming {
    stream: RecvStream,
    /// Bytes to come, where the user has said.
    left: Option<u64>,
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Data,
    Trailers,
    End,
}

impl Incoming {
    /// The body behind a head with `headers`. h2 makes sure that it is as long as they say.
    pub(super) fn new(headers: &HeaderMap, stream: RecvStream) -> Self {
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        Self { stream, left: length.and_then(|digits| digits.parse().ok()), part: Part::Data }
    }

    pub(in crate::ingress::http) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        while self.part == Part::Data {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => {
                    self.stream.flow_control().release_capacity(data.len())?;
                    if let Some(left) = &mut self.left {
                        *left = left.saturating_sub(data.len() as u64);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.part = Part::Trailers,
            }
        }
        if self.part == Part::End {
            return Poll::Ready(None);
        }
        let trailers = ready!(self.stream.poll_trailers(cx));
        self.part = Part::End;
        Poll::Ready(trailers.transpose().map(|trailers| trailers.map(Frame::trailers)))
    }

    pub(in crate::ingress::http) fn is_end_stream(&self) -> bool {
        self.part == Part::End || self.stream.is_end_stream()
    }

    pub(in crate::ingress::http) fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
