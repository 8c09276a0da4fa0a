//! The receiving direction of a stream.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::chunks::Chunks;
use super::event::Read;
use crate::WireError;
use crate::codes::StreamCode;
use crate::credit::RecvCredit;

#[derive(Debug)]
pub(super) struct RecvHalf {
    chunks: Chunks,
    credit: RecvCredit,
    end: End,
    reader: Reader,
    /// FinAck is to be sent.
    pub(super) fin_ack_due: bool,
    /// Stop is to be sent.
    pub(super) stop_due: Option<StreamCode>,
}

/// Whether the peer has ended the direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Finished,
    Reset(StreamCode),
}

/// What the application does with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// It found nothing, and is to be told.
    Waiting,
    Reading,
    /// It wants no more; the bytes are dropped.
    Stopped,
}

/// Whether the application is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    Reader,
    Nobody,
}

/// Whether a credit is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    More,
    Nothing,
}

impl RecvHalf {
    pub(super) fn new(credit: RecvCredit) -> Self {
        Self {
            chunks: Chunks::default(),
            credit,
            end: End::Open,
            reader: Reader::Waiting,
            fin_ack_due: false,
            stop_due: None,
        }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.end != End::Open
    }

    /// Whether datagrams of the flow are still wanted.
    pub(super) fn takes_datagrams(&self) -> bool {
        self.end == End::Open && self.reader != Reader::Stopped
    }

    pub(super) fn buffered(&self) -> u64 {
        self.chunks.len() as u64
    }

    pub(super) fn outstanding(&self) -> u64 {
        match (self.end, self.reader) {
            (End::Open, Reader::Waiting | Reader::Reading) => self.credit.outstanding(),
            (End::Open | End::Finished | End::Reset(_), _) => self.buffered(),
        }
    }

    /// The offset to grant; `None` if the direction needs no more.
    pub(super) fn grant(&self) -> Option<u64> {
        self.takes_datagrams().then(|| self.credit.limit())
    }

    pub(super) fn data(&mut self, stream: u64, bytes: Bytes) -> Result<Wake, WireError> {
        let count = bytes.len() as u64;
        let received = self.credit.total_received();
        match self.end {
            End::Reset(_) => return Ok(Wake::Nobody),
            End::Finished if count > 0 => {
                let claimed = received;
                let received = received.saturating_add(count);
                return Err(WireError::FinalSize { stream, claimed, received });
            }
            End::Open | End::Finished => {}
        }
        self.credit.received(count).map_err(|_| WireError::FlowControl { stream })?;
        if count == 0 || self.reader == Reader::Stopped {
            return Ok(Wake::Nobody);
        }
        self.chunks.push(bytes, self.credit.window());
        Ok(self.wake())
    }

    pub(super) fn fin(&mut self, stream: u64, claimed: u64) -> Result<Wake, WireError> {
        let received = self.credit.total_received();
        match self.end {
            End::Reset(_) => return Ok(Wake::Nobody),
            End::Open | End::Finished if claimed != received => {
                return Err(WireError::FinalSize { stream, claimed, received });
            }
            End::Finished => return Ok(Wake::Nobody),
            End::Open => {}
        }
        self.fin_ack_due = true;
        self.ended(End::Finished);
        Ok(self.wake())
    }

    pub(super) fn reset(&mut self, code: StreamCode) -> Wake {
        if self.end != End::Open {
            return Wake::Nobody;
        }
        self.ended(End::Reset(code));
        self.wake()
    }

    /// The opening was taken back before it was sent: nothing will ever arrive.
    pub(super) fn cancel(&mut self) {
        self.stop(StreamCode::Cancelled);
        self.ended(End::Reset(StreamCode::Cancelled));
    }

    pub(super) fn read(&mut self, now: Instant, rtt: Duration) -> (Read, Grant) {
        if self.reader == Reader::Stopped {
            return (Read::Gone, Grant::Nothing);
        }
        if let Some(bytes) = self.chunks.pop() {
            self.reader = Reader::Reading;
            let more = self.credit.consumed(bytes.len() as u64, now, rtt);
            let grant = if more.is_some() { Grant::More } else { Grant::Nothing };
            self.give_back();
            return (Read::Chunk(bytes), grant);
        }
        let read = match self.end {
            End::Open => {
                self.reader = Reader::Waiting;
                self.credit.starved();
                Read::Blocked
            }
            End::Finished => Read::Finished,
            End::Reset(code) => Read::Reset(code),
        };
        (read, Grant::Nothing)
    }

    pub(super) fn stop(&mut self, code: StreamCode) {
        if self.reader == Reader::Stopped {
            return;
        }
        self.reader = Reader::Stopped;
        self.chunks = Chunks::default();
        self.credit.close();
        if self.end == End::Open {
            self.stop_due = Some(code);
        }
    }

    fn ended(&mut self, end: End) {
        self.end = end;
        self.stop_due = None;
        self.give_back();
    }

    /// After the end, what the window gained is needed only as long as bytes are held.
    fn give_back(&mut self) {
        if self.end != End::Open && self.chunks.len() == 0 {
            self.credit.close();
        }
    }

    fn wake(&mut self) -> Wake {
        match self.reader {
            Reader::Waiting => {
                self.reader = Reader::Reading;
                Wake::Reader
            }
            Reader::Reading | Reader::Stopped => Wake::Nobody,
        }
    }
}
