//! The header of a UDP datagram, without I/O (RFC 1928 section 7).
//!
//! ```text
//! 00 00 | fragment | address type | address | port | payload
//! ```

use std::net::SocketAddr;

use bytes::Bytes;

use super::address::{self, Address};
use crate::ingress::target::TargetAddr;

/// Reserved bytes and the fragment's number, both zero.
const WHOLE: [u8; 3] = [0, 0, 0];

/// Why a datagram is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// A part of a larger one. Nobody has to put them together, and who does not must drop them.
    Fragment,
    /// Too short, of an unknown address type, or for something that is no target.
    Malformed,
}

/// Where a datagram goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// For the client.
    pub target: TargetAddr,
    /// The header as it came, which is also what a reply from the target carries.
    pub asked: Bytes,
    /// Whether the user gave an address or a name.
    pub form: Form,
}

/// How a user named a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// By address.
    Address,
    /// By name.
    Name,
}

/// Splits a datagram of the user's into its head and its payload.
///
/// # Errors
/// [`Unusable`].
pub fn parse(datagram: &Bytes) -> Result<(Head, Bytes), Unusable> {
    let &[reserved_0, reserved_1, fragment, kind, ref rest @ ..] = datagram.as_ref() else {
        return Err(Unusable::Malformed);
    };
    if [reserved_0, reserved_1] != [0, 0] {
        return Err(Unusable::Malformed);
    }
    if fragment != 0 {
        return Err(Unusable::Fragment);
    }
    let Address::Whole { host, port, length } = address::parse(kind, rest) else {
        return Err(Unusable::Malformed);
    };
    let target = TargetAddr::new(&host, port).map_err(|_| Unusable::Malformed)?;
    let form = if kind == address::NAME { Form::Name } else { Form::Address };
    let mut asked = datagram.clone();
    let payload = asked.split_off(length.saturating_add(4));
    // The header is kept for as long as the flow, and shall not keep the datagram.
    let asked = Bytes::copy_from_slice(&asked);
    Ok((Head { target, asked, form }, payload))
}

impl Head {
    /// The header of replies, where the client `dialled` an address.
    ///
    /// A user who gave an address gets just that back, since programs compare the two. For a name it
    /// is the address that was dialled: many programs can read nothing else. Only where the client
    /// does not say, the name goes back.
    pub fn reply(&self, dialled: Option<SocketAddr>) -> Bytes {
        match (self.form, dialled) {
            (Form::Address, _) | (Form::Name, None) => self.asked.clone(),
            (Form::Name, Some(dialled)) => {
                let mut header = WHOLE.to_vec();
                address::put(&mut header, dialled);
                header.into()
            }
        }
    }
}

#[cfg(test)]
mod tests;
