//! How many informational responses a request may have.
//!
//! Over HTTP/2 nothing holds a head up: flow control is for DATA alone (RFC 9113 section 5.2), and h2
//! queues as many as it is given. A target that sends without end to a user who does not read would
//! fill the gateway's memory. They are hints (RFC 9110 section 15.2), so those beyond a few are left
//! out, and so are all that come while the socket takes nothing.

use http::{HeaderMap, StatusCode};

use crate::ingress::http::{MOST_BUFFERED, interim::Interim, pace::Pace};

/// Informational responses to one request at most, besides the one that asks for its body.
const MOST: usize = 16;

/// Bytes of their fields at most.
const MOST_BYTES: usize = MOST_BUFFERED;

/// What a request was told so far.
#[derive(Debug, Default)]
pub(super) struct Hints {
    told: usize,
    bytes: usize,
    body: Body,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Body {
    #[default]
    NotAsked,
    Asked,
}

impl Hints {
    /// Whether one more may be queued; it counts then.
    pub(super) fn may_go(&mut self, interim: &Interim, pace: &Pace) -> bool {
        let status = interim.status;
        // Without it the user may keep its body for ever.
        if status == StatusCode::CONTINUE
            && interim.headers.is_empty()
            && self.body == Body::NotAsked
        {
            self.body = Body::Asked;
            return true;
        }
        let bytes = self.bytes.saturating_add(size(&interim.headers));
        if self.told >= MOST || bytes > MOST_BYTES || pace.is_blocked() {
            tracing::debug!(%status, "an informational response was dropped: the user has many");
            return false;
        }
        self.told = self.told.saturating_add(1);
        self.bytes = bytes;
        true
    }
}

fn size(headers: &HeaderMap) -> usize {
    let sizes = headers.iter().map(|(name, value)| name.as_str().len().saturating_add(value.len()));
    sizes.fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests;
