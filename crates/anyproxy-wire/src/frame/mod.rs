//! Frames: `type | length | payload`, the same bytes on both transports
//! (`docs/protocol.md` sections 2, 5 and 8).
//!
//! ```text
//! QUIC       control stream, heads of data streams:  decode         (bytes in any chunks)
//! WebSocket  binary messages of whole frames:        decode_message (one message at a time)
//! ```
//!
//! A length is judged as soon as type and length are known, so nobody waits, or keeps bytes, for
//! a frame that is refused in the end.

mod decode;
mod encode;
mod kind;

use bytes::Bytes;

pub use decode::{decode, decode_message};
pub use encode::encode_data_header;

pub use crate::datagram::MAX_DATAGRAM;

use crate::codes::StreamCode;
use crate::message::{
    Auth, Challenge, ForwardRelease, ForwardReply, ForwardRequest, Goaway, Hello, Open, OpenReply,
    Refuse, Welcome,
};

/// The most bytes of a stream that one Data frame carries.
pub const MAX_DATA: usize = 65_536;

/// The largest payload of a frame that carries neither data nor a datagram, in bytes.
pub const MAX_CONTROL: usize = 16_384;

/// The largest payload of any frame before Welcome, in bytes.
pub const MAX_HANDSHAKE: usize = 4_096;

/// The largest binary message of the WebSocket, in bytes.
pub const MAX_MESSAGE: usize = 262_144;

/// The most pairs in one Credit frame.
pub const MAX_CREDITS: usize = 256;

/// One frame of the tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The client's first message.
    Hello(Hello),
    /// The gateway's choice and nonce.
    Challenge(Challenge),
    /// The client's proof.
    Auth(Auth),
    /// The tunnel is up.
    Welcome(Welcome),
    /// The tunnel is declined.
    Refuse(Refuse),
    /// Asks for a Pong with the same bytes.
    Ping([u8; 8]),
    /// Answers a Ping.
    Pong([u8; 8]),
    /// Pairs of stream id and the absolute offset up to which bytes may be sent.
    Credit(Vec<(u64, u64)>),
    /// The sender opens no more streams.
    Goaway(Goaway),
    /// Asks for a port of the gateway.
    ForwardRequest(ForwardRequest),
    /// Answers a ForwardRequest.
    ForwardReply(ForwardReply),
    /// Gives a port of the gateway up.
    ForwardRelease(ForwardRelease),
    /// Opens a data stream.
    Open(Open),
    /// Answers an Open.
    OpenReply(OpenReply),
    /// Bytes of a data stream, at most [`MAX_DATA`].
    Data {
        /// The stream's id.
        stream: u64,
        /// The next bytes.
        bytes: Bytes,
    },
    /// The clean end of one direction.
    Fin {
        /// The stream's id.
        stream: u64,
        /// The number of bytes sent in all.
        offset: u64,
    },
    /// Everything up to Fin has arrived.
    FinAck {
        /// The stream's id.
        stream: u64,
    },
    /// The sender ends its direction early.
    Reset {
        /// The stream's id.
        stream: u64,
        /// Why.
        code: StreamCode,
    },
    /// Asks the peer to end its direction.
    Stop {
        /// The stream's id.
        stream: u64,
        /// Why.
        code: StreamCode,
    },
    /// A datagram of a flow, at most [`MAX_DATAGRAM`].
    Datagram {
        /// The flow's stream id.
        stream: u64,
        /// The whole datagram; may be empty.
        bytes: Bytes,
    },
    /// The sender gets far less through this tunnel than it did. Optional: a peer may not know it.
    Strain,
}

/// How far the tunnel is, which decides what a frame may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Before Welcome (or Refuse) is complete: only the frames of the handshake, each with at
    /// most [`MAX_HANDSHAKE`] bytes of payload.
    Handshake,
    /// From then on.
    Established,
}

#[cfg(test)]
mod tests;
