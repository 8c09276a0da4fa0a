//! Frame to bytes.

use bytes::{BufMut, BytesMut};

use super::kind::Kind;
use super::{Frame, MAX_CREDITS};
use crate::varint;

impl Frame {
    /// Appends the whole frame.
    ///
    /// A [`Frame::Credit`] with more than [`MAX_CREDITS`] pairs becomes several frames. Whoever
    /// makes a Data or Datagram frame keeps it within [`super::MAX_DATA`] or
    /// [`super::MAX_DATAGRAM`]: to cut it here would lose bytes.
    pub fn encode(&self, out: &mut BytesMut) {
        let kind = self.kind();
        match self {
            Self::Hello(message) => put_framed(out, kind, |out| message.encode(out)),
            Self::Challenge(message) => put_framed(out, kind, |out| message.encode(out)),
            Self::Auth(message) => put_framed(out, kind, |out| message.encode(out)),
            Self::Welcome(message) => put_framed(out, kind, |out| message.encode(out)),
            Self::Refuse(message) => put_framed(out, kind, |out| message.encode(out)),
            Self::Goaway(message) => put_framed(out, kind, |out| message.encode(out)),
            Self::ForwardRequest(message) => put_framed(out, kind, |out| message.encode(out)),
            Self::ForwardReply(message) => put_framed(out, kind, |out| message.encode(out)),
            Self::ForwardRelease(message) => put_framed(out, kind, |out| message.encode(out)),
            Self::Open(message) => put_framed(out, kind, |out| message.encode(out)),
            Self::OpenReply(message) => put_framed(out, kind, |out| message.encode(out)),
            Self::Ping(token) | Self::Pong(token) => {
                put_framed(out, kind, |out| out.put_slice(token));
            }
            Self::Strain => put_header(out, kind, 0),
            Self::Credit(pairs) => put_credit(out, pairs),
            Self::Fin { stream, offset } => put_numbers(out, kind, &[*stream, *offset]),
            Self::FinAck { stream } => put_numbers(out, kind, &[*stream]),
            Self::Reset { stream, code } | Self::Stop { stream, code } => {
                put_numbers(out, kind, &[*stream, code.as_u64()]);
            }
            Self::Data { stream, bytes } | Self::Datagram { stream, bytes } => {
                put_bulk_header(out, kind, *stream, bytes.len());
                out.put_slice(bytes);
            }
        }
    }
}

/// Appends a Data frame up to, and without, the `length` bytes of the stream that it carries, so
/// that the caller can put them in place without a frame around them first. `length` is at most
/// [`super::MAX_DATA`].
pub fn encode_data_header(out: &mut BytesMut, stream: u64, length: usize) {
    put_bulk_header(out, Kind::Data, stream, length);
}

fn put_bulk_header(out: &mut BytesMut, kind: Kind, stream: u64, length: usize) {
    put_header(out, kind, varint::size(stream).saturating_add(length));
    varint::put(out, stream);
}

fn put_credit(out: &mut BytesMut, pairs: &[(u64, u64)]) {
    if pairs.is_empty() {
        put_header(out, Kind::Credit, 0);
    }
    for pairs in pairs.chunks(MAX_CREDITS) {
        put_framed(out, Kind::Credit, |out| {
            for &(stream, offset) in pairs {
                varint::put(out, stream);
                varint::put(out, offset);
            }
        });
    }
}

fn put_numbers(out: &mut BytesMut, kind: Kind, numbers: &[u64]) {
    put_header(out, kind, numbers.iter().map(|&number| varint::size(number)).sum());
    numbers.iter().for_each(|&number| varint::put(out, number));
}

fn put_header(out: &mut BytesMut, kind: Kind, length: usize) {
    varint::put(out, kind as u64);
    varint::put(out, length as u64);
}

/// The length stands before the payload but is known after it: write the payload, then move it
/// up by the size of the length.
fn put_framed(out: &mut BytesMut, kind: Kind, payload: impl FnOnce(&mut BytesMut)) {
    varint::put(out, kind as u64);
    let start = out.len();
    payload(out);
    let length = out.len().saturating_sub(start) as u64;
    varint::put(out, length);
    if let Some(framed) = out.get_mut(start..) {
        framed.rotate_right(varint::size(length));
    }
}
