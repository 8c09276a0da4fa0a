//! The bytes of the SOCKS5 handshake, without I/O.
//!
//! [`Handshake::next`] takes whole messages off the front of a buffer and leaves everything else
//! there, however the bytes were cut up on the way: a user may send all messages at once, and the
//! target's first bytes behind them.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::{Buf as _, BytesMut};
use zeroize::{Zeroize as _, Zeroizing};

use super::address::{self, Address, counted};
use crate::ingress::target::{BadTarget, TargetAddr};

const VERSION: u8 = 5;
/// The version of the older SOCKS, which is refused.
const OLD_VERSION: u8 = 4;
const LOGIN_VERSION: u8 = 1;
/// Log-in by user name and password.
const PASSWORD: u8 = 0x02;
const CONNECT: u8 = 0x01;
const ASSOCIATE: u8 = 0x03;

/// To a greeting: log in by user name and password.
pub const CHOOSE_PASSWORD: [u8; 2] = [VERSION, PASSWORD];
/// To a greeting: no method that is acceptable here.
pub const NO_METHOD: [u8; 2] = [VERSION, 0xFF];
/// To a log-in.
pub const LOGIN_RIGHT: [u8; 2] = [LOGIN_VERSION, 0x00];
/// To a log-in; the connection is then closed (RFC 1929 section 2).
pub const LOGIN_WRONG: [u8; 2] = [LOGIN_VERSION, 0x01];

/// To a request of SOCKS4 or 4a: rejected or failed. It has no password, only a name that anybody may
/// give, and every user has to log in here.
pub const NO_SOCKS4: [u8; 8] = [0, 0x5B, 0, 0, 0, 0, 0, 0];

/// Reply: general failure.
pub const FAILED: u8 = 0x01;
/// Reply: command not supported.
pub const NO_COMMAND: u8 = 0x07;
/// Reply: address type not supported.
pub const NO_ADDRESS_TYPE: u8 = 0x08;

/// The reply to a request, with no address to tell.
///
/// The bound address of CONNECT is 0.0.0.0:0. The real one is the client's address at the target,
/// which is nobody's business here, and no user of CONNECT needs it.
pub fn reply(code: u8) -> Vec<u8> {
    reply_with(code, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))
}

/// The reply to a request, with the address that the user shall use.
pub fn reply_with(code: u8, bound: SocketAddr) -> Vec<u8> {
    let mut reply = vec![VERSION, code, 0];
    address::put(&mut reply, bound);
    reply
}

/// A message of the user's.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// The methods on offer.
    Greeting(Methods),
    /// User name and password.
    Login(Login),
    /// What the user wants.
    Request(Command),
}

/// What a greeting offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Methods {
    /// Log-in by user name and password, perhaps among others.
    WithPassword,
    /// Anything else.
    Other,
}

/// A log-in as it came.
#[derive(PartialEq, Eq)]
pub struct Login {
    /// The user's name. Bytes that are not UTF-8 are replaced, which matches no user.
    pub name: String,
    /// The password; wiped when dropped.
    pub password: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// A connection.
    Connect(Result<TargetAddr, BadTarget>),
    /// A UDP association with a user who will send from this port; 0: not known yet. The address that
    /// comes with it is worth nothing behind a NAT, and the connection's is known anyway.
    Associate(u16),
    /// BIND or an unknown command.
    Unsupported(u8),
    /// An address whose end cannot be found.
    UnknownAddress(u8),
}

/// Bytes that are not SOCKS5. There is no reply for these, but for SOCKS4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The older SOCKS.
    #[error("SOCKS4 has no log-in and is not served; use SOCKS5")]
    Socks4,
    /// Not version 5; a letter is most likely HTTP.
    #[error("not SOCKS5: the version byte is {0:#04x}")]
    Version(u8),
    /// A log-in of another version than 1.
    #[error("the version byte of the log-in is {0:#04x}")]
    LoginVersion(u8),
    /// A message that does not belong here.
    #[error("a message out of order")]
    Order,
}

/// Where the handshake stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Handshake {
    /// The greeting comes next.
    #[default]
    Greeting,
    /// The log-in comes next.
    Login,
    /// The request comes next.
    Request,
    /// The rest is the target's.
    Done,
}

impl Handshake {
    /// Takes the next message off `input`. `None`: more bytes are needed; no message is longer
    /// than 513 bytes.
    ///
    /// # Errors
    /// [`Violation`]: nothing sensible can follow.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Violation> {
        let (message, following) = match self {
            Self::Greeting => (greeting(input)?, Self::Login),
            Self::Login => (login(input)?, Self::Request),
            Self::Request => (request(input)?, Self::Done),
            Self::Done => return Err(Violation::Order),
        };
        if message.is_some() {
            *self = following;
        }
        Ok(message)
    }
}

/// `05 | count | methods`
fn greeting(input: &mut BytesMut) -> Result<Option<Message>, Violation> {
    version(input, VERSION).map_err(|found| match found {
        OLD_VERSION => Violation::Socks4,
        other => Violation::Version(other),
    })?;
    let Some(methods) = counted(input, 1) else { return Ok(None) };
    let offer = match methods.contains(&PASSWORD) {
        true => Methods::WithPassword,
        false => Methods::Other,
    };
    let taken = methods.len().saturating_add(2);
    input.advance(taken);
    Ok(Some(Message::Greeting(offer)))
}

/// `01 | length | user name | length | password`
fn login(input: &mut BytesMut) -> Result<Option<Message>, Violation> {
    version(input, LOGIN_VERSION).map_err(Violation::LoginVersion)?;
    let Some(name) = counted(input, 1) else { return Ok(None) };
    let Some(password) = counted(input, name.len().saturating_add(2)) else { return Ok(None) };
    let taken = name.len().saturating_add(password.len()).saturating_add(3);
    let login = Login {
        name: String::from_utf8_lossy(name).into_owned(),
        password: Zeroizing::new(password.to_vec()),
    };
    if let Some(read) = input.get_mut(..taken) {
        read.zeroize();
    }
    input.advance(taken);
    Ok(Some(Message::Login(login)))
}

/// `05 | command | 00 | address type | address | port`
fn request(input: &mut BytesMut) -> Result<Option<Message>, Violation> {
    version(input, VERSION).map_err(Violation::Version)?;
    let &[_, command, _, kind, ref rest @ ..] = input.as_ref() else { return Ok(None) };
    let (host, port, length) = match address::parse(kind, rest) {
        Address::Whole { host, port, length } => (host, port, length),
        Address::Incomplete => return Ok(None),
        Address::Unknown => return Ok(Some(Message::Request(Command::UnknownAddress(kind)))),
    };
    input.advance(length.saturating_add(4));
    Ok(Some(Message::Request(match command {
        CONNECT => Command::Connect(TargetAddr::new(&host, port)),
        ASSOCIATE => Command::Associate(port),
        other => Command::Unsupported(other),
    })))
}

/// Checks the first byte, if it is there.
fn version(input: &[u8], expected: u8) -> Result<(), u8> {
    match input.first() {
        Some(&found) if found != expected => Err(found),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
