//! A side that follows a script.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use crate::relay::{Direction, End, Side};

/// One thing that reading meets.
#[derive(Debug, Clone)]
pub(super) enum In {
    Bytes(Vec<u8>),
    /// Pending once, and woken at once.
    Blink,
    /// Pending for this long.
    Rest(Duration),
    Error(io::ErrorKind),
    Eof,
}

/// One thing that writing, flushing or finishing meets.
#[derive(Debug, Clone)]
pub(super) enum Out {
    /// Takes at most this many bytes.
    Take(usize),
    Blink,
    Rest(Duration),
    Error(io::ErrorKind),
}

/// Follows two scripts. After its last step the source is silent and the sink takes everything.
#[derive(Default)]
pub(super) struct Script {
    pub(super) input: VecDeque<In>,
    pub(super) output: VecDeque<Out>,
    /// Applies to `poll_flush` and `poll_finish`, which take no heed of `output`.
    pub(super) on_flush: VecDeque<Out>,
    pub(super) written: Vec<u8>,
    /// How much of `written` has been flushed.
    pub(super) flushed: usize,
    pub(super) flushes: usize,
    pub(super) finished: usize,
    pub(super) stopped: Vec<io::ErrorKind>,
    buffer: VecDeque<u8>,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl Script {
    pub(super) fn new(
        input: impl IntoIterator<Item = In>,
        output: impl IntoIterator<Item = Out>,
    ) -> Self {
        Self {
            input: input.into_iter().collect(),
            output: output.into_iter().collect(),
            ..Self::default()
        }
    }

    pub(super) fn reads(input: impl IntoIterator<Item = In>) -> Self {
        Self::new(input, [])
    }

    pub(super) fn writes(output: impl IntoIterator<Item = Out>) -> Self {
        Self::new([], output)
    }

    /// Pending while the front step of a script says so; `None` once the script is over.
    fn gate(
        steps: &mut VecDeque<Out>,
        rest: &mut Option<Pin<Box<Sleep>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<usize>>> {
        match steps.front() {
            None => return Poll::Ready(None),
            Some(Out::Rest(time)) => {
                let timer = rest.get_or_insert_with(|| Box::pin(sleep(*time)));
                std::task::ready!(timer.as_mut().poll(cx));
                *rest = None;
                steps.pop_front();
                return Self::gate(steps, rest, cx);
            }
            Some(Out::Blink) => {
                steps.pop_front();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Out::Take(_) | Out::Error(_)) => {}
        }
        Poll::Ready(match steps.pop_front() {
            Some(Out::Take(n)) => Some(Ok(n)),
            Some(Out::Error(kind)) => Some(Err(kind.into())),
            _ => None,
        })
    }
}

impl Side for Script {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        while self.buffer.is_empty() {
            match self.input.front().cloned() {
                None => return Poll::Pending,
                Some(In::Eof) => return Poll::Ready(Ok(&[])),
                Some(In::Error(kind)) => return Poll::Ready(Err(kind.into())),
                Some(In::Bytes(bytes)) => self.buffer.extend(bytes),
                Some(In::Rest(time)) => {
                    let timer = self.reading.get_or_insert_with(|| Box::pin(sleep(time)));
                    std::task::ready!(timer.as_mut().poll(cx));
                    self.reading = None;
                }
                Some(In::Blink) => {
                    self.input.pop_front();
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            self.input.pop_front();
        }
        Poll::Ready(Ok(self.buffer.make_contiguous()))
    }

    fn consume(&mut self, n: usize) {
        assert!(n <= self.buffer.len(), "consumed more than there was");
        self.buffer.drain(..n);
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        assert!(!bytes.is_empty(), "an empty write");
        assert_eq!(self.finished, 0, "written after the finish");
        let most = match std::task::ready!(Self::gate(&mut self.output, &mut self.writing, cx)) {
            Some(most) => most?,
            None => usize::MAX,
        };
        let taken = most.min(bytes.len());
        self.written.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let step = std::task::ready!(Self::gate(&mut self.on_flush, &mut self.writing, cx));
        step.transpose()?;
        self.flushes += 1;
        self.flushed = self.written.len();
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let step = std::task::ready!(Self::gate(&mut self.on_flush, &mut self.writing, cx));
        step.transpose()?;
        self.flushed = self.written.len();
        self.finished += 1;
        Poll::Ready(Ok(()))
    }

    fn stop_reading(&mut self, why: &io::Error) {
        self.stopped.push(why.kind());
    }
}

pub(super) fn bytes(text: &str) -> In {
    In::Bytes(text.as_bytes().to_vec())
}

/// The end of a direction as text, with the error's kind.
pub(super) fn end(direction: &Direction) -> String {
    match &direction.end {
        End::ReadFailed(error) => format!("ReadFailed({:?})", error.kind()),
        End::WriteFailed(error) => format!("WriteFailed({:?})", error.kind()),
        other @ (End::Finished | End::Idle | End::Stalled | End::Abandoned) => format!("{other:?}"),
    }
}
