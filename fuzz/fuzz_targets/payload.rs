#![no_main]
//! The payload of each message that is a list of fields. What is taken survives our encoder.

use std::fmt::Debug;

use anyproxy_fuzz::bounded;
use anyproxy_wire::WireError;
use anyproxy_wire::message::{
    Auth, Challenge, ForwardRelease, ForwardReply, ForwardRequest, Goaway, Hello, Open, OpenReply,
    Refuse, Welcome,
};
use bytes::{BufMut, BytesMut};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    message: Message,
    payload: Payload<'a>,
}

#[derive(Debug, Arbitrary)]
enum Message {
    Hello,
    Challenge,
    Auth,
    Welcome,
    Refuse,
    Goaway,
    ForwardRequest,
    ForwardReply,
    ForwardRelease,
    Open,
    OpenReply,
}

#[derive(Debug, Arbitrary)]
enum Payload<'a> {
    Raw(&'a [u8]),
    /// Gets past the framing of fields, to the rules of each.
    Fields(Vec<(u8, Value<'a>)>),
}

#[derive(Debug, Arbitrary)]
enum Value<'a> {
    Number(u8),
    Long(u64),
    Text(&'a str),
    Address(std::net::SocketAddr),
    Id([u8; 16]),
    Nonce([u8; 32]),
    Bytes(&'a [u8]),
}

fuzz_target!(|input: Input<'_>| {
    let payload = &input.payload.bytes();
    bounded(payload.len(), || decode(&input.message, payload));
});

fn decode(message: &Message, payload: &[u8]) {
    match message {
        Message::Hello => check(payload, Hello::decode, Hello::encode),
        Message::Challenge => check(payload, Challenge::decode, Challenge::encode),
        Message::Auth => check(payload, Auth::decode, Auth::encode),
        Message::Welcome => check(payload, Welcome::decode, Welcome::encode),
        Message::Refuse => check(payload, Refuse::decode, Refuse::encode),
        Message::Goaway => check(payload, Goaway::decode, Goaway::encode),
        Message::ForwardRequest => check(payload, ForwardRequest::decode, ForwardRequest::encode),
        Message::ForwardReply => check(payload, ForwardReply::decode, ForwardReply::encode),
        Message::ForwardRelease => check(payload, ForwardRelease::decode, ForwardRelease::encode),
        Message::Open => check(payload, Open::decode, Open::encode),
        Message::OpenReply => check(payload, OpenReply::decode, OpenReply::encode),
    }
}

fn check<T: Debug + PartialEq>(
    payload: &[u8],
    decode: fn(&[u8]) -> Result<T, WireError>,
    encode: fn(&T, &mut BytesMut),
) {
    if let Ok(message) = decode(payload) {
        let mut out = BytesMut::new();
        encode(&message, &mut out);
        assert_eq!(decode(&out), Ok(message));
    }
}

impl Payload<'_> {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Raw(bytes) => bytes.to_vec(),
            Self::Fields(fields) => {
                let mut out = Vec::new();
                for (tag, value) in fields {
                    let value = value.bytes();
                    anyproxy_wire::varint::put(&mut out, u64::from(tag % 16));
                    anyproxy_wire::varint::put(&mut out, value.len() as u64);
                    out.put_slice(&value);
                }
                out
            }
        }
    }
}

impl Value<'_> {
    fn bytes(&self) -> Vec<u8> {
        let number = |number| {
            let mut out = Vec::new();
            anyproxy_wire::varint::put(&mut out, number);
            out
        };
        match self {
            Self::Number(value) => number(u64::from(*value)),
            Self::Long(value) => number(*value),
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Address(address) => address.to_string().into_bytes(),
            Self::Id(bytes) => bytes.to_vec(),
            Self::Nonce(bytes) => bytes.to_vec(),
            Self::Bytes(bytes) => bytes.to_vec(),
        }
    }
}
