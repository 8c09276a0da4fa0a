//! The one bidirectional copy.
//!
//! ```text
//!        fill                 write
//!   A ──────────▶ [ half ] ──────────▶ B      EOF of A: B is finished, B → A goes on
//!   A ◀────────── [ half ] ◀────────── B      write to A fails: B is told, A → B goes on
//! ```
//!
//! One task drives both directions. Each moves bytes until its source or its sink makes it wait;
//! there is no queue in between, so a sink that takes nothing holds back its source and nothing
//! else, for as long as it likes. A sink is flushed only when its source has nothing more to give.
//!
//! How a direction ends decides what happens to the other one:
//!
//! | what happened | this direction | the other one |
//! | --- | --- | --- |
//! | EOF | sink finished, [`End::Finished`] | goes on |
//! | sink takes no more | source told, [`End::WriteFailed`] | goes on |
//! | source broke | what came before is flushed, [`End::ReadFailed`] | [`End::Abandoned`] |
//! | no byte moved for `idle` | [`End::Idle`] | [`End::Idle`] |
//! | sink took nothing for `stall` | [`End::Stalled`] | [`End::Abandoned`] |
//!
//! A write error leaves the other direction alone because it may be a half-close: a server that
//! has read all it wants still sends its answer. If the whole connection broke, its read fails too.

mod clock;
mod half;

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use clock::{Clock, Expired};
use half::Half;

/// One end of a relayed connection: a source and a sink.
///
/// Every `poll_` method that returns [`Poll::Pending`] wakes the task when it is worth calling
/// again. Reading and writing are polled by the same task and must not wait for each other.
pub trait Side: Unpin {
    /// The bytes that came in and are not consumed yet; empty at EOF.
    ///
    /// It may be called again before [`Side::consume`], and then returns at least the same bytes.
    ///
    /// # Errors
    ///
    /// When the source broke. Bytes that came before are returned first.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>>;

    /// Drops the first `n` of the bytes that [`Side::poll_fill`] returned.
    fn consume(&mut self, n: usize);

    /// Takes some of `bytes` (never empty) and returns how many.
    ///
    /// # Errors
    ///
    /// When the sink takes no more; zero bytes taken means the same.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Sends off bytes that were taken but held back.
    ///
    /// # Errors
    ///
    /// When the sink takes no more.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Flushes, and tells the other end of the sink that no more bytes will come (half-close).
    ///
    /// # Errors
    ///
    /// When the sink broke before.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// The bytes of this source are not wanted any more, because the opposite sink failed with
    /// `why`. A source that can tell its sender does so; the default does nothing.
    fn stop_reading(&mut self, why: &io::Error) {
        let _ = why;
    }
}

/// When a relay gives up by itself; by default never.
///
/// With neither set, a relay owns no timer. With either it owns one, armed while it waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RelayTimeouts {
    /// How long both directions may wait for their sources. A direction that waits for its sink
    /// has bytes to deliver and is not idle, and a byte in either direction starts it anew.
    pub idle: Option<Duration>,
    /// How long a sink may take nothing while there is something to take.
    pub stall: Option<Duration>,
}

/// How both directions of a relay ended.
#[derive(Debug)]
pub struct Outcome {
    /// From the first side to the second.
    pub a_to_b: Direction,
    /// From the second side to the first.
    pub b_to_a: Direction,
}

/// How one direction of a relay ended.
#[derive(Debug)]
pub struct Direction {
    /// Bytes that its sink took.
    pub bytes: u64,
    /// Why no more followed.
    pub end: End,
}

/// Why a direction ended.
#[derive(Debug)]
pub enum End {
    /// The source reached EOF, all its bytes were written and the sink was finished.
    Finished,
    /// The source broke; all bytes from before were written and flushed.
    ReadFailed(io::Error),
    /// The sink takes no more.
    WriteFailed(io::Error),
    /// No byte moved in either direction for [`RelayTimeouts::idle`].
    Idle,
    /// The sink took nothing for [`RelayTimeouts::stall`].
    Stalled,
    /// The other direction ended with [`End::ReadFailed`] or [`End::Stalled`], and so the relay.
    Abandoned,
}

/// Copies between `a` and `b` until both directions have ended, as the module describes.
///
/// A side whose direction did not end with [`End::Finished`] is neither finished nor reset: the
/// caller does that, with the code or the abortive close that fits the [`Outcome`].
///
/// # Cancel safety
///
/// Dropping the future stops the copy between two writes and loses no byte inside the relay:
/// what was not written is still in its source. Neither side is finished then; the caller resets
/// both or starts another relay.
pub async fn relay<A: Side, B: Side>(a: &mut A, b: &mut B, timeouts: RelayTimeouts) -> Outcome {
    let mut relay =
        Relay { a_to_b: Half::default(), b_to_a: Half::default(), clock: Clock::new(timeouts) };
    poll_fn(|cx| relay.poll(cx, a, b)).await;
    Outcome { a_to_b: relay.a_to_b.into_direction(), b_to_a: relay.b_to_a.into_direction() }
}

struct Relay {
    a_to_b: Half,
    b_to_a: Half,
    clock: Option<Clock>,
}

impl Relay {
    /// Ready when the relay is over; a direction that has not ended by then is abandoned.
    fn poll<A: Side, B: Side>(&mut self, cx: &mut Context<'_>, a: &mut A, b: &mut B) -> Poll<()> {
        let forth = self.a_to_b.poll(cx, a, b);
        if self.a_to_b.source_failed() {
            self.b_to_a.abandon();
        }
        let back = self.b_to_a.poll(cx, b, a);
        if self.b_to_a.source_failed() {
            self.a_to_b.abandon();
        }
        if self.a_to_b.has_ended() && self.b_to_a.has_ended() {
            return Poll::Ready(());
        }
        let Some(clock) = &mut self.clock else {
            return Poll::Pending;
        };
        match clock.poll(cx, [forth, back]) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Expired::Idle) => {
                self.a_to_b.idle();
                self.b_to_a.idle();
            }
            Poll::Ready(Expired::AToB) => self.a_to_b.stalled(),
            Poll::Ready(Expired::BToA) => self.b_to_a.stalled(),
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests;
