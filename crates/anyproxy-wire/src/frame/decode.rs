//! Bytes to frame.

use bytes::{Buf, Bytes, BytesMut};

use super::kind::{self, Kind};
use super::{Frame, MAX_CREDITS, Stage};
use crate::codes::StreamCode;
use crate::message::{
    Auth, Challenge, ForwardRelease, ForwardReply, ForwardRequest, Goaway, Hello, Open, OpenReply,
    Refuse, Welcome,
};
use crate::{WireError, datagram, varint};

/// Takes the next frame off the front of a byte stream; `None` if more bytes are needed.
///
/// Skips unknown optional frames. Never copies the bytes of Data and Datagram, and never reserves
/// room: the caller reads into `input` and may bound it by [`super::MAX_CONTROL`] and a header
/// (or by [`super::MAX_DATA`] where mux frames occur).
///
/// # Errors
///
/// Any [`WireError`]. What is left in `input` is of no use then.
pub fn decode(input: &mut BytesMut, stage: Stage) -> Result<Option<Frame>, WireError> {
    next(input, stage)
}

/// Takes the next frame off the front of a WebSocket message, which holds whole frames; `None` if
/// the message is used up. Otherwise like [`decode`].
///
/// # Errors
///
/// Any [`WireError`]; [`WireError::Truncated`] if the message ends within a frame.
pub fn decode_message(input: &mut Bytes, stage: Stage) -> Result<Option<Frame>, WireError> {
    match next(input, stage)? {
        None if !input.is_empty() => Err(WireError::Truncated("frame")),
        frame => Ok(frame),
    }
}

/// For both buffers, `chunk` is the whole content and `copy_to_bytes` splits without a copy.
fn next(input: &mut impl Buf, stage: Stage) -> Result<Option<Frame>, WireError> {
    while let Some(header) = Header::peek(input.chunk(), stage)? {
        let behind = input.remaining().checked_sub(header.size);
        if behind.is_none_or(|behind| behind < header.length) {
            return Ok(None);
        }
        input.advance(header.size);
        match header.kind {
            None => input.advance(header.length),
            Some(kind) => return take(input, kind, header.length).map(Some),
        }
    }
    Ok(None)
}

struct Header {
    /// `None`: optional, and unknown or too early.
    kind: Option<Kind>,
    /// Of type and length.
    size: usize,
    /// Of the payload.
    length: usize,
}

impl Header {
    fn peek(input: &[u8], stage: Stage) -> Result<Option<Self>, WireError> {
        let mut rest = input;
        let Some(number) = varint::get(&mut rest) else { return Ok(None) };
        // Nobody need know an optional one, so what is too early is skipped like what is unknown.
        let kind = Kind::from_u64(number).filter(|kind| kind.allowed(stage) || !kind.is_optional());
        match kind {
            None if number < kind::FIRST_OPTIONAL => return Err(WireError::UnknownFrame(number)),
            Some(kind) if !kind.allowed(stage) => {
                return Err(WireError::UnexpectedFrame(kind.name()));
            }
            None | Some(_) => {}
        }
        let Some(length) = varint::get(&mut rest) else { return Ok(None) };
        let limit = kind::limit(kind, stage) as u64;
        let size = input.len().saturating_sub(rest.len());
        match usize::try_from(length) {
            Ok(fits) if length <= limit => Ok(Some(Self { kind, size, length: fits })),
            Ok(_) | Err(_) => {
                let what = kind.map_or("optional frame", Kind::name);
                Err(WireError::TooLarge { what, length, limit })
            }
        }
    }
}

fn take(input: &mut impl Buf, kind: Kind, length: usize) -> Result<Frame, WireError> {
    let payload = input.chunk().get(..length).ok_or(WireError::Truncated(kind.name()))?;
    let frame = match kind {
        Kind::Hello => Frame::Hello(Hello::decode(payload)?),
        Kind::Challenge => Frame::Challenge(Challenge::decode(payload)?),
        Kind::Auth => Frame::Auth(Auth::decode(payload)?),
        Kind::Welcome => Frame::Welcome(Welcome::decode(payload)?),
        Kind::Refuse => Frame::Refuse(Refuse::decode(payload)?),
        Kind::Ping => Frame::Ping(token(kind, payload)?),
        Kind::Pong => Frame::Pong(token(kind, payload)?),
        Kind::Credit => Frame::Credit(pairs(payload)?),
        Kind::Goaway => Frame::Goaway(Goaway::decode(payload)?),
        Kind::ForwardRequest => Frame::ForwardRequest(ForwardRequest::decode(payload)?),
        Kind::ForwardReply => Frame::ForwardReply(ForwardReply::decode(payload)?),
        Kind::ForwardRelease => Frame::ForwardRelease(ForwardRelease::decode(payload)?),
        Kind::Open => Frame::Open(Open::decode(payload)?),
        Kind::OpenReply => Frame::OpenReply(OpenReply::decode(payload)?),
        Kind::Fin => {
            let [stream, offset] = numbers(kind, payload)?;
            Frame::Fin { stream, offset }
        }
        Kind::FinAck => {
            let [stream] = numbers(kind, payload)?;
            Frame::FinAck { stream }
        }
        Kind::Reset => {
            let [stream, code] = numbers(kind, payload)?;
            Frame::Reset { stream, code: StreamCode::from_u64(code) }
        }
        Kind::Stop => {
            let [stream, code] = numbers(kind, payload)?;
            Frame::Stop { stream, code: StreamCode::from_u64(code) }
        }
        // What a later version adds is skipped as well.
        Kind::Strain => Frame::Strain,
        Kind::Data => {
            let (stream, bytes) = take_bulk(input, kind, length)?;
            return Ok(Frame::Data { stream, bytes });
        }
        Kind::Datagram => {
            let (stream, bytes) = take_bulk(input, kind, length)?;
            datagram::check_length(bytes.len() as u64)?;
            return Ok(Frame::Datagram { stream, bytes });
        }
    };
    input.advance(length);
    Ok(frame)
}

fn take_bulk(input: &mut impl Buf, kind: Kind, length: usize) -> Result<(u64, Bytes), WireError> {
    let payload = input.copy_to_bytes(length);
    datagram::split(kind.name(), payload)
}

fn token(kind: Kind, payload: &[u8]) -> Result<[u8; 8], WireError> {
    payload.try_into().map_err(|_| WireError::Invalid { message: kind.name(), field: "length" })
}

/// Exactly `N` numbers.
fn numbers<const N: usize>(kind: Kind, mut payload: &[u8]) -> Result<[u64; N], WireError> {
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = varint::get(&mut payload).ok_or(WireError::Truncated(kind.name()))?;
    }
    if payload.is_empty() {
        Ok(numbers)
    } else {
        Err(WireError::Invalid { message: kind.name(), field: "length" })
    }
}

fn pairs(mut payload: &[u8]) -> Result<Vec<(u64, u64)>, WireError> {
    let mut pairs = Vec::new();
    while !payload.is_empty() {
        if pairs.len() == MAX_CREDITS {
            let limit = MAX_CREDITS as u64;
            let length = limit.saturating_add(1);
            return Err(WireError::TooLarge { what: "number of credits", length, limit });
        }
        let stream = varint::get(&mut payload).ok_or(WireError::Truncated("Credit"))?;
        let offset = varint::get(&mut payload).ok_or(WireError::Truncated("Credit"))?;
        pairs.push((stream, offset));
    }
    Ok(pairs)
}
