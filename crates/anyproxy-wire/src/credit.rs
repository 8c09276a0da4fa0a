//! Credit of one direction of a data stream (`docs/protocol.md` section 7).
//!
//! ```text
//! receiver ──Credit(absolute offset)──▶ sender     RecvCredit grants, SendCredit spends
//! ```
//!
//! An absolute offset, not an increment: a repeated, late or lost-and-resent grant does no harm,
//! and the same number later says from where a stream may be resumed.
//!
//! The window starts small and doubles only when the link needs it: the reader found nothing to
//! read (so it is not the bottleneck) *and* either the bytes of one round trip fill more than half of the
//! window, or the sender was seen to stop at its limit until a grant reached it. The second rule is
//! for when the round-trip time is not known well: measured on an idle loopback, it held the WebSocket at
//! half of its speed. What a window gains comes out of a [`GrowthPool`] that all streams of a session share,
//! so that many fast streams cannot grow their way out of the memory that the operator allowed.

mod pool;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::pool::{GrowthPool, Taken};
use crate::WireError;

/// What the sender of a direction may still send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendCredit {
    limit: u64,
    sent: u64,
}

/// What a received grant did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raised {
    /// More may be sent than before.
    Higher,
    /// The offset was not above the known one and changes nothing.
    Stale,
}

impl SendCredit {
    /// Starts with the initial credit, in bytes, that the receiving side announced.
    pub const fn new(initial: u64) -> Self {
        Self { limit: initial, sent: 0 }
    }

    /// Takes in a granted absolute `offset`.
    pub fn raise(&mut self, offset: u64) -> Raised {
        if offset <= self.limit {
            return Raised::Stale;
        }
        self.limit = offset;
        Raised::Higher
    }

    /// How many more bytes may be sent now.
    pub const fn available(&self) -> u64 {
        self.limit.saturating_sub(self.sent)
    }

    /// Counts `n` bytes as sent. The caller keeps `n` within [`available`](Self::available).
    pub fn take(&mut self, n: u64) {
        debug_assert!(n <= self.available(), "the caller sends within its credit");
        self.sent = self.sent.saturating_add(n);
    }

    /// How many bytes were sent in all.
    pub const fn sent(&self) -> u64 {
        self.sent
    }
}

/// What the receiver of a direction has granted, and when it grants more.
///
/// Dropping it gives what its window gained back to the pool.
#[derive(Debug)]
pub struct RecvCredit {
    limit: u64,
    received: u64,
    consumed: u64,
    window: u64,
    ceiling: u64,
    gained: u64,
    /// The limits before the last grants: where a sender stops while those are under way.
    stops: [u64; GRANTS],
    since: Option<Measured>,
    reader: Reader,
    pool: Arc<GrowthPool>,
}

/// How soon after a grant bytes must come to count as held up by it, at least. Round-trip times are
/// measured between transfers and say little about a busy loopback.
const SOON: Duration = Duration::from_millis(10);

/// Grants that may be under way at a time; there is one for each half of a window.
const GRANTS: usize = 4;

/// Where the current measurement of the reader's speed began.
#[derive(Debug, Clone, Copy)]
struct Measured {
    at: Instant,
    consumed: u64,
}

/// Whether the reader ran out of bytes since the last grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// It never found nothing to read: it is what is slow.
    Busy,
    /// It did.
    Starved,
    /// It did when it had read precisely up to a limit that was raised lately.
    AtLimit,
    /// And bytes came so soon after that grant that the sender must have waited for it.
    HeldUp,
}

impl RecvCredit {
    /// Starts with the `initial` grant, in bytes, that this side announced; the window may double
    /// up to `ceiling` with bytes out of `pool`.
    pub const fn new(initial: u64, ceiling: u64, pool: Arc<GrowthPool>) -> Self {
        Self {
            limit: initial,
            received: 0,
            consumed: 0,
            window: initial,
            ceiling,
            gained: 0,
            stops: [u64::MAX; GRANTS],
            since: None,
            reader: Reader::Busy,
            pool,
        }
    }

    /// Counts `n` bytes that came off the wire.
    ///
    /// # Errors
    ///
    /// [`WireError::FlowControl`], without the stream's id, if the peer passed its credit.
    pub fn received(&mut self, n: u64) -> Result<(), WireError> {
        let received = self.received.saturating_add(n);
        if received > self.limit {
            return Err(WireError::FlowControl { stream: WireError::NO_STREAM });
        }
        self.received = received;
        Ok(())
    }

    /// Counts `n` bytes that the reader took, and returns the new absolute offset to grant once
    /// half a window is used up. `rtt` is the tunnel's current round-trip time.
    pub fn consumed(&mut self, n: u64, now: Instant, rtt: Duration) -> Option<u64> {
        self.consumed = self.consumed.saturating_add(n);
        let since = *self.since.get_or_insert(Measured { at: now, consumed: self.consumed });
        let elapsed = now.saturating_duration_since(since.at);
        if self.reader == Reader::AtLimit {
            let soon = elapsed <= rtt.saturating_mul(2).max(SOON);
            self.reader = if soon { Reader::HeldUp } else { Reader::Starved };
        }
        if self.outstanding() > self.window / 2 {
            return None;
        }
        match self.reader {
            Reader::HeldUp => self.grow(u64::MAX),
            Reader::Starved => {
                let read = self.consumed.saturating_sub(since.consumed);
                self.grow(bytes_per_trip(read, elapsed, rtt));
            }
            Reader::Busy | Reader::AtLimit => {}
        }
        self.since = Some(Measured { at: now, consumed: self.consumed });
        self.reader = Reader::Busy;
        let limit = self.consumed.saturating_add(self.window);
        (limit > self.limit).then(|| {
            self.stops.rotate_right(1);
            self.stops[0] = std::mem::replace(&mut self.limit, limit);
            limit
        })
    }

    /// Notes that the reader found nothing to read: it keeps up, so a larger window is of use.
    pub fn starved(&mut self) {
        let stopped = self.stops.contains(&self.consumed);
        self.reader = match self.reader {
            Reader::HeldUp => Reader::HeldUp,
            Reader::Busy | Reader::Starved | Reader::AtLimit if stopped => Reader::AtLimit,
            Reader::Busy | Reader::Starved | Reader::AtLimit => Reader::Starved,
        };
    }

    /// Grants nothing more: the direction has ended or its bytes are discarded. What the window
    /// gained goes back to the pool.
    pub fn close(&mut self) {
        self.ceiling = 0;
        self.pool.give(std::mem::take(&mut self.gained));
    }

    /// How many bytes the peer may have in flight or in this side's buffers: granted, less
    /// consumed.
    pub const fn outstanding(&self) -> u64 {
        self.limit.saturating_sub(self.consumed)
    }

    /// The absolute offset that is granted.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// How many bytes came off the wire in all, as told to [`received`](Self::received).
    pub const fn total_received(&self) -> u64 {
        self.received
    }

    /// The size of the window, in bytes.
    pub const fn window(&self) -> u64 {
        self.window
    }

    fn grow(&mut self, bytes_per_trip: u64) {
        let grown = self.window.saturating_mul(2).min(self.ceiling);
        if bytes_per_trip.saturating_mul(2) <= self.window || grown <= self.window {
            return;
        }
        let gain = grown.saturating_sub(self.window);
        match self.pool.take_for(gain, self.consumed) {
            Taken::All => {
                self.gained = self.gained.saturating_add(gain);
                self.window = grown;
            }
            Taken::Nothing => {}
        }
    }
}

impl Drop for RecvCredit {
    fn drop(&mut self) {
        self.pool.give(self.gained);
    }
}

/// The bandwidth-delay product: what arrives within one `rtt` at the measured speed.
fn bytes_per_trip(bytes: u64, elapsed: Duration, rtt: Duration) -> u64 {
    let product = u128::from(bytes).saturating_mul(rtt.as_nanos());
    if product == 0 {
        return 0;
    }
    // Two reads within one tick of the clock: faster than can be measured.
    let speed = product.checked_div(elapsed.as_nanos()).unwrap_or(u128::MAX);
    u64::try_from(speed).unwrap_or(u64::MAX)
}
