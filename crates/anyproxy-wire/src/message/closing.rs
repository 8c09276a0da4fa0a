//! Refuse and Goaway: how a gateway declines a tunnel, and how either side takes leave.

use std::time::Duration;

use bytes::BytesMut;

use super::MAX_REASON;
use super::fields::{Field, Fields, Writer};
use crate::WireError;
use crate::codes::CloseCode;

const REFUSE_CODE: Field = Field(1, "code");
const REFUSE_REASON: Field = Field(2, "reason");
const RETRY_AFTER: Field = Field(3, "retry after");

const GOAWAY_CODE: Field = Field(1, "code");
const RECONNECT_AFTER: Field = Field(2, "reconnect after");
const DRAIN: Field = Field(3, "drain");
const GOAWAY_REASON: Field = Field(4, "reason");

/// The gateway's refusal of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refuse {
    /// Why; the tunnel is closed with the same code.
    pub code: CloseCode,
    /// For people, at most [`MAX_REASON`] bytes.
    pub reason: String,
    /// How long the client should wait at least, in whole milliseconds.
    pub retry_after: Duration,
}

impl Refuse {
    /// Appends the payload.
    pub fn encode(&self, out: &mut BytesMut) {
        Writer(out)
            .number(REFUSE_CODE, self.code.as_u64())
            .text_if(REFUSE_REASON, &self.reason, MAX_REASON)
            .millis_unless(RETRY_AFTER, Duration::ZERO, self.retry_after);
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// Any [`WireError`] of a list of fields.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let fields = Fields::parse("Refuse", payload)?;
        let code = fields.number(REFUSE_CODE)?.ok_or_else(|| fields.missing(REFUSE_CODE))?;
        Ok(Self {
            code: CloseCode::from_u64(code),
            reason: fields.text(REFUSE_REASON, 0..=MAX_REASON)?.unwrap_or_default(),
            retry_after: fields.millis(RETRY_AFTER)?.unwrap_or_default(),
        })
    }
}

/// The sender opens no more streams; live ones go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goaway {
    /// Why; the tunnel will be closed with the same code.
    pub code: CloseCode,
    /// The client connects again after a random part of this, in whole milliseconds.
    pub reconnect_after: Duration,
    /// How long live streams may still run, in whole milliseconds.
    pub drain: Duration,
    /// For people, at most [`MAX_REASON`] bytes.
    pub reason: String,
}

impl Goaway {
    /// Appends the payload.
    pub fn encode(&self, out: &mut BytesMut) {
        Writer(out)
            .number(GOAWAY_CODE, self.code.as_u64())
            .millis_unless(RECONNECT_AFTER, Duration::ZERO, self.reconnect_after)
            .millis_unless(DRAIN, Duration::ZERO, self.drain)
            .text_if(GOAWAY_REASON, &self.reason, MAX_REASON);
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// Any [`WireError`] of a list of fields.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let fields = Fields::parse("Goaway", payload)?;
        let code = fields.number(GOAWAY_CODE)?.ok_or_else(|| fields.missing(GOAWAY_CODE))?;
        Ok(Self {
            code: CloseCode::from_u64(code),
            reconnect_after: fields.millis(RECONNECT_AFTER)?.unwrap_or_default(),
            drain: fields.millis(DRAIN)?.unwrap_or_default(),
            reason: fields.text(GOAWAY_REASON, 0..=MAX_REASON)?.unwrap_or_default(),
        })
    }
}
