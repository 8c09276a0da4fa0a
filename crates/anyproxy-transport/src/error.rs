//! What ends a tunnel and what ends a stream.

use std::{fmt, io};

use anyproxy_wire::{
    WireError,
    codes::{CloseCode, OpenCode, StreamCode},
};

/// Who closed a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// This side.
    Us,
    /// The peer.
    Peer,
}

/// Why a tunnel is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TunnelError {
    /// One side closed it with a code.
    Closed {
        /// Which side.
        by: ClosedBy,
        /// The code, see `docs/protocol.md`, 11.
        code: CloseCode,
        /// A text for people; may be empty.
        reason: String,
    },
    /// Nothing was heard of the peer for the agreed time.
    PeerDead,
    /// The transport failed below the protocol.
    Transport(String),
    /// The peer's process does not know the tunnel (any more).
    Reset,
}

impl TunnelError {
    /// A tunnel that this side closed.
    pub(crate) fn ours(code: CloseCode, reason: impl Into<String>) -> Self {
        Self::Closed { by: ClosedBy::Us, code, reason: reason.into() }
    }

    /// A tunnel that the peer closed.
    pub(crate) fn theirs(code: CloseCode, reason: impl Into<String>) -> Self {
        Self::Closed { by: ClosedBy::Peer, code, reason: reason.into() }
    }

    /// The close code, where one was given.
    #[must_use]
    pub fn code(&self) -> Option<CloseCode> {
        match self {
            Self::Closed { code, .. } => Some(*code),
            Self::PeerDead => Some(CloseCode::PeerDead),
            Self::Transport(_) | Self::Reset => None,
        }
    }
}

impl From<WireError> for TunnelError {
    fn from(error: WireError) -> Self {
        Self::ours(error.close_code(), error.to_string())
    }
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { by, code, reason } => {
                let who = match by {
                    ClosedBy::Us => "closed here",
                    ClosedBy::Peer => "closed by the peer",
                };
                write!(f, "{who}: {code}")?;
                if reason.is_empty() { Ok(()) } else { write!(f, " ({reason})") }
            }
            Self::PeerDead => f.write_str("the peer does not answer any more"),
            Self::Transport(text) => f.write_str(text),
            Self::Reset => f.write_str("the peer does not know this tunnel (it was restarted)"),
        }
    }
}

impl std::error::Error for TunnelError {}

/// Why a stream failed. A clean end is no error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The peer reset its sending direction.
    #[error("the other side reset the stream: {0}")]
    Reset(StreamCode),
    /// The peer does not want any more bytes.
    #[error("the other side stopped reading: {0}")]
    Stopped(StreamCode),
    /// The tunnel ended under it.
    #[error("the tunnel was lost: {0}")]
    TunnelLost(#[from] TunnelError),
    /// The peer answered the open with a code other than connected.
    #[error("the open was refused: {code}{}", in_brackets(.detail))]
    Refused {
        /// Why.
        code: OpenCode,
        /// The peer's words, for people.
        detail: String,
    },
    /// The open was not answered in time.
    #[error("the open was not answered in time")]
    ReplyTimedOut,
    /// The peer ended the stream without answering the open.
    #[error("the open was never answered")]
    Unanswered,
    /// The peer broke the protocol on this stream.
    #[error("protocol error on the stream: {0}")]
    Wire(#[from] WireError),
    /// This side ended the stream before.
    #[error("the stream was already ended here")]
    Ended,
}

fn in_brackets(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        let kind = match &error {
            StreamError::Reset(_) => io::ErrorKind::ConnectionReset,
            StreamError::Stopped(_) | StreamError::Ended => io::ErrorKind::BrokenPipe,
            StreamError::TunnelLost(_) => io::ErrorKind::ConnectionAborted,
            StreamError::Unanswered => io::ErrorKind::UnexpectedEof,
            StreamError::Refused { .. } => io::ErrorKind::ConnectionRefused,
            StreamError::ReplyTimedOut => io::ErrorKind::TimedOut,
            StreamError::Wire(_) => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl StreamError {
    /// Takes the stream's error back out of an I/O error.
    #[must_use]
    pub fn from_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}
