//! Lists of `tag | length | value`, both ways.
//!
//! Reading splits the payload once, which checks the framing, the count and that no tag repeats;
//! then each message asks for its fields by tag. So order and unknown fields need no code.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::{BufMut, BytesMut};

use crate::{WireError, varint};

/// The most fields of one message, unknown ones included.
const MAX_FIELDS: usize = 32;

/// The longest `ip:port`, with room to spare: a bracketed IPv6 address has 39 + 2, a port 1 + 5.
const MAX_ADDRESS: usize = 64;

/// A field of a message: its tag, and its name for errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field(pub(super) u64, pub(super) &'static str);

/// A received payload, split into fields.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    message: &'static str,
    list: Vec<(u64, &'a [u8])>,
}

impl<'a> Fields<'a> {
    pub(super) fn parse(message: &'static str, payload: &'a [u8]) -> Result<Self, WireError> {
        let mut fields = Self { message, list: Vec::new() };
        let mut rest = payload;
        while !rest.is_empty() {
            if fields.list.len() == MAX_FIELDS {
                let limit = MAX_FIELDS as u64;
                let length = limit.saturating_add(1);
                return Err(WireError::TooLarge { what: "number of fields", length, limit });
            }
            let (tag, value) = split_field(&mut rest).ok_or(WireError::Truncated(message))?;
            if fields.value(tag).is_some() {
                return Err(WireError::Duplicate { message, tag });
            }
            fields.list.push((tag, value));
        }
        Ok(fields)
    }

    pub(super) fn number(&self, field: Field) -> Result<Option<u64>, WireError> {
        let Some(mut value) = self.value(field.0) else { return Ok(None) };
        match (varint::get(&mut value), value.is_empty()) {
            (Some(number), true) => Ok(Some(number)),
            (Some(_), false) | (None, _) => Err(self.invalid(field)),
        }
    }

    pub(super) fn millis(&self, field: Field) -> Result<Option<Duration>, WireError> {
        Ok(self.number(field)?.map(Duration::from_millis))
    }

    pub(super) fn numbers(&self, field: Field, most: usize) -> Result<Option<Vec<u64>>, WireError> {
        let Some(mut value) = self.value(field.0) else { return Ok(None) };
        let mut numbers = Vec::new();
        while !value.is_empty() {
            let number = varint::get(&mut value).ok_or_else(|| self.invalid(field))?;
            if numbers.len() == most {
                return Err(self.invalid(field));
            }
            numbers.push(number);
        }
        Ok(Some(numbers))
    }

    pub(super) fn array<const N: usize>(&self, field: Field) -> Result<Option<[u8; N]>, WireError> {
        let Some(value) = self.value(field.0) else { return Ok(None) };
        value.try_into().map(Some).map_err(|_| self.invalid(field))
    }

    pub(super) fn bytes(&self, field: Field, most: usize) -> Result<Option<&'a [u8]>, WireError> {
        match self.value(field.0) {
            Some(value) if value.len() > most => Err(self.invalid(field)),
            value => Ok(value),
        }
    }

    pub(super) fn text(
        &self,
        field: Field,
        length: RangeInclusive<usize>,
    ) -> Result<Option<String>, WireError> {
        let Some(value) = self.value(field.0) else { return Ok(None) };
        match std::str::from_utf8(value) {
            Ok(text) if length.contains(&text.len()) && !text.contains(char::is_control) => {
                Ok(Some(text.to_owned()))
            }
            Ok(_) | Err(_) => Err(self.invalid(field)),
        }
    }

    pub(super) fn address(&self, field: Field) -> Result<Option<SocketAddr>, WireError> {
        let Some(text) = self.text(field, 1..=MAX_ADDRESS)? else { return Ok(None) };
        let address = text.parse().map_err(|_| self.invalid(field))?;
        Ok(Some(without_scope(address)))
    }

    pub(super) fn missing(&self, field: Field) -> WireError {
        WireError::Missing { message: self.message, field: field.1 }
    }

    pub(super) fn invalid(&self, field: Field) -> WireError {
        WireError::Invalid { message: self.message, field: field.1 }
    }

    fn value(&self, tag: u64) -> Option<&'a [u8]> {
        self.list.iter().find(|(known, _)| *known == tag).map(|(_, value)| *value)
    }
}

fn split_field<'a>(rest: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    let tag = varint::get(rest)?;
    let length = usize::try_from(varint::get(rest)?).ok()?;
    let (value, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some((tag, value))
}

/// Writes fields behind one another; the caller keeps tags ascending.
#[derive(Debug)]
pub(super) struct Writer<'a>(pub(super) &'a mut BytesMut);

impl Writer<'_> {
    pub(super) fn number(&mut self, field: Field, value: u64) -> &mut Self {
        varint::put(self.0, field.0);
        varint::put(self.0, varint::size(value) as u64);
        varint::put(self.0, value);
        self
    }

    /// Leaves the field out if it holds its default.
    pub(super) fn number_unless(&mut self, field: Field, default: u64, value: u64) -> &mut Self {
        if value == default { self } else { self.number(field, value) }
    }

    /// Rounds down to milliseconds; leaves the field out if it holds its default.
    pub(super) fn millis_unless(
        &mut self,
        field: Field,
        default: Duration,
        value: Duration,
    ) -> &mut Self {
        self.number_unless(field, as_millis(default), as_millis(value))
    }

    pub(super) fn numbers(&mut self, field: Field, values: &[u64], most: usize) -> &mut Self {
        let values = values.iter().take(most);
        let length = values.clone().map(|&value| varint::size(value)).sum::<usize>();
        varint::put(self.0, field.0);
        varint::put(self.0, length as u64);
        values.for_each(|&value| varint::put(self.0, value));
        self
    }

    pub(super) fn bytes(&mut self, field: Field, value: &[u8]) -> &mut Self {
        varint::put(self.0, field.0);
        varint::put(self.0, value.len() as u64);
        self.0.put_slice(value);
        self
    }

    pub(super) fn bytes_if(&mut self, field: Field, value: Option<&[u8]>) -> &mut Self {
        match value {
            Some(value) => self.bytes(field, value),
            None => self,
        }
    }

    pub(super) fn text(&mut self, field: Field, value: &str, most: usize) -> &mut Self {
        self.bytes(field, clean(value, most).as_bytes())
    }

    /// Leaves an empty text out.
    pub(super) fn text_if(&mut self, field: Field, value: &str, most: usize) -> &mut Self {
        if value.is_empty() { self } else { self.text(field, value, most) }
    }

    pub(super) fn address_if(&mut self, field: Field, value: Option<SocketAddr>) -> &mut Self {
        match value {
            Some(address) => self.bytes(field, without_scope(address).to_string().as_bytes()),
            None => self,
        }
    }
}

fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(varint::MAX).min(varint::MAX)
}

/// At most `most` bytes of `text`, whole characters, none of them a control character.
fn clean(text: &str, most: usize) -> String {
    let mut cleaned = String::with_capacity(text.len().min(most));
    for c in text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }) {
        if cleaned.len().saturating_add(c.len_utf8()) > most {
            break;
        }
        cleaned.push(c);
    }
    cleaned
}

/// A scope id and a flow label mean something only on the host that wrote them.
fn without_scope(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}
