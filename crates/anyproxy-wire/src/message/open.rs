//! Open and OpenReply: the heads of a data stream.

use std::net::SocketAddr;

use bytes::BytesMut;

use super::fields::{Field, Fields, Writer};
use super::{MAX_REASON, Protocol};
use crate::WireError;
use crate::codes::OpenCode;

const STREAM: Field = Field(1, "stream id");

const INGRESS: Field = Field(2, "ingress");
const TARGET: Field = Field(3, "target");
const FORWARD: Field = Field(4, "forward");
const SOURCE: Field = Field(5, "source");
const DESTINATION: Field = Field(6, "destination");
const USER: Field = Field(7, "user");
const PROTOCOL: Field = Field(8, "protocol");

const CODE: Field = Field(2, "code");
const DETAIL: Field = Field(3, "detail");
const ADDRESS: Field = Field(4, "address");

/// Asks the acceptor for a connection to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The stream's id: never reused in the session, low bit 1 when the gateway opens.
    pub stream: u64,
    /// Where the user came in.
    pub ingress: Ingress,
    /// Where the connection goes.
    pub target: Target,
    /// The user's address.
    pub source: Option<SocketAddr>,
    /// The gateway's address that the user reached.
    pub destination: Option<SocketAddr>,
    /// Who authenticated at the ingress, at most [`Open::MAX_USER`] bytes; empty: nobody.
    pub user: String,
    /// What the stream carries.
    pub protocol: Protocol,
}

/// The gateway's entrance that the user took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ingress {
    /// A plain request to the HTTP proxy.
    HttpRequest = 1,
    /// CONNECT at the HTTP proxy.
    HttpConnect = 2,
    /// The SOCKS5 proxy.
    Socks5 = 3,
    /// A forwarded port.
    Forward = 4,
}

/// Where a data stream leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// `host:port` as the user gave it, IPv6 in brackets, 1 to [`Open::MAX_TARGET`] bytes. The
    /// acceptor resolves it.
    Name(String),
    /// The client's own target for the forward with this id.
    Forward(u64),
}

impl Open {
    /// The longest target, in bytes.
    pub const MAX_TARGET: usize = 512;
    /// The longest user name, in bytes.
    pub const MAX_USER: usize = 128;

    /// Appends the payload.
    pub fn encode(&self, out: &mut BytesMut) {
        let mut writer = Writer(out);
        writer.number(STREAM, self.stream).number(INGRESS, self.ingress as u64);
        match &self.target {
            Target::Name(name) => writer.text(TARGET, name, Self::MAX_TARGET),
            Target::Forward(id) => writer.number(FORWARD, *id),
        }
        .address_if(SOURCE, self.source)
        .address_if(DESTINATION, self.destination)
        .text_if(USER, &self.user, Self::MAX_USER)
        .number_unless(PROTOCOL, 0, self.protocol.as_u64());
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// Any [`WireError`] of a list of fields.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let fields = Fields::parse("Open", payload)?;
        Ok(Self {
            stream: fields.number(STREAM)?.ok_or_else(|| fields.missing(STREAM))?,
            ingress: Ingress::decode(&fields)?,
            target: Target::decode(&fields)?,
            source: fields.address(SOURCE)?,
            destination: fields.address(DESTINATION)?,
            user: fields.text(USER, 0..=Self::MAX_USER)?.unwrap_or_default(),
            protocol: Protocol::decode(&fields, PROTOCOL)?,
        })
    }
}

impl Ingress {
    fn decode(fields: &Fields<'_>) -> Result<Self, WireError> {
        match fields.number(INGRESS)?.ok_or_else(|| fields.missing(INGRESS))? {
            1 => Ok(Self::HttpRequest),
            2 => Ok(Self::HttpConnect),
            3 => Ok(Self::Socks5),
            4 => Ok(Self::Forward),
            _ => Err(fields.invalid(INGRESS)),
        }
    }
}

impl Target {
    fn decode(fields: &Fields<'_>) -> Result<Self, WireError> {
        match (fields.text(TARGET, 1..=Open::MAX_TARGET)?, fields.number(FORWARD)?) {
            (Some(name), None) => Ok(Self::Name(name)),
            (None, Some(id)) => Ok(Self::Forward(id)),
            (Some(_), Some(_)) => Err(fields.invalid(FORWARD)),
            (None, None) => Err(fields.missing(TARGET)),
        }
    }
}

/// The acceptor's answer to an [`Open`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReply {
    /// The stream's id.
    pub stream: u64,
    /// Whether the target is connected, and why not.
    pub code: OpenCode,
    /// For people, at most [`MAX_REASON`] bytes.
    pub detail: String,
    /// The address that was dialled.
    pub address: Option<SocketAddr>,
}

impl OpenReply {
    /// Appends the payload.
    pub fn encode(&self, out: &mut BytesMut) {
        Writer(out)
            .number(STREAM, self.stream)
            .number(CODE, self.code.as_u64())
            .text_if(DETAIL, &self.detail, MAX_REASON)
            .address_if(ADDRESS, self.address);
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// Any [`WireError`] of a list of fields.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let fields = Fields::parse("OpenReply", payload)?;
        let code = fields.number(CODE)?.ok_or_else(|| fields.missing(CODE))?;
        Ok(Self {
            stream: fields.number(STREAM)?.ok_or_else(|| fields.missing(STREAM))?,
            code: OpenCode::from_u64(code),
            detail: fields.text(DETAIL, 0..=MAX_REASON)?.unwrap_or_default(),
            address: fields.address(ADDRESS)?,
        })
    }
}
