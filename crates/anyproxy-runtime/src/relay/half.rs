//! One direction of a relay.

use std::io;
use std::mem;
use std::task::{Context, Poll};

use super::{Direction, End, Side};

/// Bytes that one direction moves in one poll before other tasks get their turn. Large enough
/// that the switch costs nothing, small enough to last well under a millisecond.
pub(super) const BUDGET: usize = 256 * 1024;

/// What one write costs of the budget at least, because a system call costs time whatever it
/// moves.
pub(super) const WRITE_COST: usize = 4 * 1024;

/// The state of one direction.
#[derive(Default)]
pub(super) struct Half {
    bytes: u64,
    state: State,
    flush: Flush,
}

#[derive(Default)]
enum State {
    #[default]
    Copying,
    /// EOF was read; the sink is being finished.
    Finishing,
    /// The source broke; what the sink took before is being flushed.
    Failing(io::Error),
    Ended(End),
}

/// Whether the sink may hold bytes back.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Flush {
    #[default]
    Clean,
    Due,
}

/// What a direction waits for after a poll, and whether it got further.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) wait: Wait,
    pub(super) progress: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// For bytes.
    Source,
    /// For the sink to take, flush or finish.
    Sink,
    /// For its next turn; it has used up its budget.
    Budget,
    /// For nothing; it has ended.
    Ended,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    None,
    Some,
}

enum Step {
    /// The sink took this many bytes.
    Moved(usize),
    /// The state changed.
    Turned,
    Waits(Wait),
}

impl Half {
    /// Moves on as far as source, sink and budget allow.
    pub(super) fn poll<S: Side, D: Side>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut S,
        sink: &mut D,
    ) -> Turn {
        let mut budget = BUDGET;
        let mut progress = Progress::None;
        loop {
            let step = match &self.state {
                State::Copying => self.copy(cx, source, sink),
                State::Finishing => self.finish(cx, sink),
                State::Failing(_) => self.fail(cx, sink),
                State::Ended(_) => Step::Waits(Wait::Ended),
            };
            match step {
                Step::Waits(wait) => return Turn { wait, progress },
                Step::Turned => progress = Progress::Some,
                Step::Moved(n) => {
                    progress = Progress::Some;
                    budget = budget.saturating_sub(n.max(WRITE_COST));
                    if budget == 0 {
                        cx.waker().wake_by_ref();
                        return Turn { wait: Wait::Budget, progress };
                    }
                }
            }
        }
    }

    fn copy<S: Side, D: Side>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut S,
        sink: &mut D,
    ) -> Step {
        let bytes = match source.poll_fill(cx) {
            Poll::Pending => return self.rest(cx, source, sink),
            Poll::Ready(Err(error)) => return self.turn(State::Failing(error)),
            Poll::Ready(Ok([])) => return self.turn(State::Finishing),
            Poll::Ready(Ok(bytes)) => bytes,
        };
        match sink.poll_write(cx, bytes) {
            Poll::Pending => Step::Waits(Wait::Sink),
            Poll::Ready(Ok(0)) => self.refuse(source, io::ErrorKind::WriteZero.into()),
            Poll::Ready(Err(error)) => self.refuse(source, error),
            Poll::Ready(Ok(taken)) => {
                // A sink that claims more than it was given must not make us skip bytes.
                let taken = taken.min(bytes.len());
                source.consume(taken);
                self.bytes += taken as u64;
                self.flush = Flush::Due;
                Step::Moved(taken)
            }
        }
    }

    /// The source has nothing: sends off what the sink holds back.
    fn rest<S: Side, D: Side>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut S,
        sink: &mut D,
    ) -> Step {
        match self.poll_flush(cx, sink) {
            Poll::Pending => Step::Waits(Wait::Sink),
            Poll::Ready(Ok(())) => Step::Waits(Wait::Source),
            Poll::Ready(Err(error)) => self.refuse(source, error),
        }
    }

    fn finish<D: Side>(&mut self, cx: &mut Context<'_>, sink: &mut D) -> Step {
        match sink.poll_finish(cx) {
            Poll::Pending => Step::Waits(Wait::Sink),
            Poll::Ready(Ok(())) => self.turn(State::Ended(End::Finished)),
            Poll::Ready(Err(error)) => self.turn(State::Ended(End::WriteFailed(error))),
        }
    }

    fn fail<D: Side>(&mut self, cx: &mut Context<'_>, sink: &mut D) -> Step {
        match self.poll_flush(cx, sink) {
            Poll::Pending => Step::Waits(Wait::Sink),
            // If the flush fails as well, the source's error is still the first and the cause.
            Poll::Ready(_) => {
                self.end(End::Abandoned);
                Step::Turned
            }
        }
    }

    fn poll_flush<D: Side>(&mut self, cx: &mut Context<'_>, sink: &mut D) -> Poll<io::Result<()>> {
        if self.flush == Flush::Clean {
            return Poll::Ready(Ok(()));
        }
        let result = sink.poll_flush(cx);
        if result.is_ready() {
            self.flush = Flush::Clean;
        }
        result
    }

    /// The sink takes no more.
    fn refuse<S: Side>(&mut self, source: &mut S, error: io::Error) -> Step {
        source.stop_reading(&error);
        self.turn(State::Ended(End::WriteFailed(error)))
    }

    fn turn(&mut self, state: State) -> Step {
        self.state = state;
        Step::Turned
    }

    /// Ends the direction with `end`, unless it has ended or its source's error says more.
    fn end(&mut self, end: End) {
        self.state = match mem::take(&mut self.state) {
            State::Copying | State::Finishing => State::Ended(end),
            State::Failing(error) => State::Ended(End::ReadFailed(error)),
            ended @ State::Ended(_) => ended,
        };
    }

    pub(super) fn abandon(&mut self) {
        self.end(End::Abandoned);
    }

    pub(super) fn idle(&mut self) {
        self.end(End::Idle);
    }

    pub(super) fn stalled(&mut self) {
        self.end(End::Stalled);
    }

    /// Whether the source broke, so that the relay is about to end or has.
    pub(super) const fn source_failed(&self) -> bool {
        matches!(self.state, State::Failing(_) | State::Ended(End::ReadFailed(_)))
    }

    pub(super) const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// The result; a direction that has not ended is abandoned.
    pub(super) fn into_direction(mut self) -> Direction {
        self.abandon();
        let end = match self.state {
            State::Ended(end) => end,
            State::Copying | State::Finishing | State::Failing(_) => End::Abandoned,
        };
        Direction { bytes: self.bytes, end }
    }
}
