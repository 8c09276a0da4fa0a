//! ForwardRequest, ForwardReply and ForwardRelease: ports of the gateway that a client asks for.

use std::{fmt, net::SocketAddr};

use bytes::BytesMut;

use super::MAX_REASON;
use super::fields::{Field, Fields, Writer};
use crate::WireError;
use crate::codes::ForwardCode;

const ID: Field = Field(1, "id");

const PROTOCOL: Field = Field(2, "protocol");
const LISTEN: Field = Field(3, "listen");
const NAME: Field = Field(4, "name");

const CODE: Field = Field(2, "code");
const BOUND: Field = Field(3, "bound");
const DETAIL: Field = Field(4, "detail");

/// What a forward or a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// A byte stream.
    #[default]
    Tcp,
    /// Datagrams: the stream is a flow.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl Protocol {
    pub(super) const fn as_u64(self) -> u64 {
        match self {
            Self::Tcp => 0,
            Self::Udp => 1,
        }
    }

    /// Reads the optional field; TCP is the default.
    pub(super) fn decode(fields: &Fields<'_>, field: Field) -> Result<Self, WireError> {
        match fields.number(field)?.unwrap_or(0) {
            0 => Ok(Self::Tcp),
            1 => Ok(Self::Udp),
            _ => Err(fields.invalid(field)),
        }
    }
}

/// The client asks the gateway to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardRequest {
    /// The client's number for the forward, unique in the session.
    pub id: u64,
    /// What the port is to carry.
    pub protocol: Protocol,
    /// `host:port` of the gateway, 1 to [`ForwardRequest::MAX_LISTEN`] bytes; port 0 leaves the
    /// choice to the gateway.
    pub listen: String,
    /// For people, at most [`ForwardRequest::MAX_NAME`] bytes.
    pub name: String,
}

impl ForwardRequest {
    /// The longest listen address, in bytes.
    pub const MAX_LISTEN: usize = 255;
    /// The longest name, in bytes.
    pub const MAX_NAME: usize = 64;

    /// Appends the payload.
    pub fn encode(&self, out: &mut BytesMut) {
        Writer(out)
            .number(ID, self.id)
            .number_unless(PROTOCOL, 0, self.protocol.as_u64())
            .text(LISTEN, &self.listen, Self::MAX_LISTEN)
            .text_if(NAME, &self.name, Self::MAX_NAME);
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// Any [`WireError`] of a list of fields.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let fields = Fields::parse("ForwardRequest", payload)?;
        let listen = fields.text(LISTEN, 1..=Self::MAX_LISTEN)?;
        Ok(Self {
            id: fields.number(ID)?.ok_or_else(|| fields.missing(ID))?,
            protocol: Protocol::decode(&fields, PROTOCOL)?,
            listen: listen.ok_or_else(|| fields.missing(LISTEN))?,
            name: fields.text(NAME, 0..=Self::MAX_NAME)?.unwrap_or_default(),
        })
    }
}

/// The gateway's answer to a ForwardRequest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardReply {
    /// The request's id.
    pub id: u64,
    /// Whether the port listens, and why not.
    pub code: ForwardCode,
    /// The address that listens.
    pub bound: Option<SocketAddr>,
    /// For people, at most [`MAX_REASON`] bytes.
    pub detail: String,
}

impl ForwardReply {
    /// Appends the payload.
    pub fn encode(&self, out: &mut BytesMut) {
        Writer(out)
            .number(ID, self.id)
            .number(CODE, self.code.as_u64())
            .address_if(BOUND, self.bound)
            .text_if(DETAIL, &self.detail, MAX_REASON);
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// Any [`WireError`] of a list of fields.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let fields = Fields::parse("ForwardReply", payload)?;
        let code = fields.number(CODE)?.ok_or_else(|| fields.missing(CODE))?;
        Ok(Self {
            id: fields.number(ID)?.ok_or_else(|| fields.missing(ID))?,
            code: ForwardCode::from_u64(code),
            bound: fields.address(BOUND)?,
            detail: fields.text(DETAIL, 0..=MAX_REASON)?.unwrap_or_default(),
        })
    }
}

/// The client gives a forward up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardRelease {
    /// The request's id.
    pub id: u64,
}

impl ForwardRelease {
    /// Appends the payload.
    pub fn encode(&self, out: &mut BytesMut) {
        Writer(out).number(ID, self.id);
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// Any [`WireError`] of a list of fields.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let fields = Fields::parse("ForwardRelease", payload)?;
        Ok(Self { id: fields.number(ID)?.ok_or_else(|| fields.missing(ID))? })
    }
}
