//! Datagrams of a flow outside of frames (`docs/protocol.md` section 9).
//!
//! On QUIC each travels as a DATAGRAM, `stream id | payload`; one that is too large for the path
//! goes on the flow's own stream as `length | payload`. The WebSocket has
//! [`Frame::Datagram`](crate::frame::Frame::Datagram) for the first and the same stream for the
//! second.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{WireError, varint};

/// The largest datagram (the largest UDP payload over IPv4), in bytes.
pub const MAX_DATAGRAM: usize = 65_507;

/// Appends a QUIC DATAGRAM's content. `payload` holds at most [`MAX_DATAGRAM`] bytes.
pub fn encode(stream: u64, payload: &[u8], out: &mut BytesMut) {
    varint::put(out, stream);
    out.put_slice(payload);
}

/// Reads a QUIC DATAGRAM's content: the flow's stream id and the payload, which is not copied.
///
/// # Errors
///
/// [`WireError::Truncated`] without a whole stream id, [`WireError::TooLarge`] for a payload over
/// [`MAX_DATAGRAM`].
pub fn decode(content: Bytes) -> Result<(u64, Bytes), WireError> {
    let (stream, payload) = split("Datagram", content)?;
    check_length(payload.len() as u64)?;
    Ok((stream, payload))
}

/// Appends a datagram in the form that the flow's own stream carries. `payload` holds at most
/// [`MAX_DATAGRAM`] bytes.
pub fn put_framed(out: &mut BytesMut, payload: &[u8]) {
    varint::put(out, payload.len() as u64);
    out.put_slice(payload);
}

/// Takes the next datagram off the front of the flow's own stream; `None` if more bytes are
/// needed. Never copies and never reserves.
///
/// # Errors
///
/// [`WireError::TooLarge`] as soon as a length over [`MAX_DATAGRAM`] is known. Only the flow is
/// broken then, not the tunnel.
pub fn get_framed(input: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
    let mut rest = &input[..];
    let Some(length) = varint::get(&mut rest) else { return Ok(None) };
    let length = check_length(length)?;
    if rest.len() < length {
        return Ok(None);
    }
    let header = input.len().saturating_sub(rest.len());
    input.advance(header);
    Ok(Some(input.split_to(length).freeze()))
}

/// Splits `stream id | bytes`; `what` names the whole in an error.
pub(crate) fn split(what: &'static str, mut content: Bytes) -> Result<(u64, Bytes), WireError> {
    let mut rest = &content[..];
    let stream = varint::get(&mut rest).ok_or(WireError::Truncated(what))?;
    let header = content.len().saturating_sub(rest.len());
    content.advance(header);
    Ok((stream, content))
}

/// The length as a `usize`, if a datagram may have it.
pub(crate) fn check_length(length: u64) -> Result<usize, WireError> {
    let limit = MAX_DATAGRAM as u64;
    match usize::try_from(length) {
        Ok(fits) if length <= limit => Ok(fits),
        Ok(_) | Err(_) => Err(WireError::TooLarge { what: "datagram", length, limit }),
    }
}

#[cfg(test)]
mod tests;
