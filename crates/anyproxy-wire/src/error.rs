//! What can be wrong with received bytes.

use thiserror::Error;

use crate::codes::CloseCode;

/// A received byte sequence that `docs/protocol.md` forbids.
///
/// All of these end the tunnel, with [`WireError::close_code`]; only the peer can cause them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// A frame type below 0x40 that this version does not know.
    #[error("unknown frame type {0:#x}")]
    UnknownFrame(u64),
    /// A known frame at a place or time where it may not occur.
    #[error("unexpected {0} frame")]
    UnexpectedFrame(&'static str),
    /// A length or count over its limit.
    #[error("{what} of {length} is over the limit of {limit}")]
    TooLarge {
        /// What was measured.
        what: &'static str,
        /// The length or count that was claimed, in the unit of the limit.
        length: u64,
        /// The limit that it passed.
        limit: u64,
    },
    /// The bytes end within an element that they should hold whole.
    #[error("{0} is cut short")]
    Truncated(&'static str),
    /// A required field is absent.
    #[error("{message} lacks {field}")]
    Missing {
        /// The message.
        message: &'static str,
        /// The absent field.
        field: &'static str,
    },
    /// A field's tag occurs twice.
    #[error("{message} has field {tag} twice")]
    Duplicate {
        /// The message.
        message: &'static str,
        /// The repeated tag.
        tag: u64,
    },
    /// A value that its field cannot hold.
    #[error("{message} has an invalid {field}")]
    Invalid {
        /// The message.
        message: &'static str,
        /// The field, or the part of a positional payload.
        field: &'static str,
    },
    /// The peer sent more than it was granted.
    #[error("stream {stream} is past its credit")]
    FlowControl {
        /// The stream id; [`WireError::NO_STREAM`] where the accounting does not know it.
        stream: u64,
    },
    /// A frame for a stream that was never opened.
    #[error("stream {0} was never opened")]
    UnknownStream(u64),
    /// An `Open` whose id was used before, does not ascend or has the wrong low bit.
    #[error("stream id {0} may not be opened")]
    BadStreamId(u64),
    /// A `Fin` whose offset differs from the bytes that came before it.
    #[error("stream {stream} ends at {claimed}, but {received} bytes were received")]
    FinalSize {
        /// The stream id.
        stream: u64,
        /// The offset in the `Fin`.
        claimed: u64,
        /// The bytes received before it.
        received: u64,
    },
}

impl WireError {
    /// Stands for "the stream is not known here" in [`WireError::FlowControl`]; no varint holds it.
    pub const NO_STREAM: u64 = u64::MAX;

    /// The code with which to close the tunnel.
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::TooLarge { .. } => CloseCode::TooLarge,
            Self::FlowControl { .. } => CloseCode::FlowControl,
            Self::UnknownFrame(_)
            | Self::UnexpectedFrame(_)
            | Self::Truncated(_)
            | Self::Missing { .. }
            | Self::Duplicate { .. }
            | Self::Invalid { .. }
            | Self::UnknownStream(_)
            | Self::BadStreamId(_)
            | Self::FinalSize { .. } => CloseCode::Protocol,
        }
    }
}
