//! Names for the log that are the same at both ends, so that one connection's story can be found in
//! the log of the gateway and in that of the client.

use std::fmt;

/// How much of a session's id is shown: enough to tell sessions apart, in hexadecimal digits.
const SHOWN: usize = 4;

/// A session, as logs name it at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; SHOWN]);

impl SessionId {
    /// The session of this id on the wire, which is no secret.
    #[must_use]
    pub fn of(session: &[u8; 16]) -> Self {
        let [a, b, c, d, ..] = *session;
        Self([a, b, c, d])
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// A proxied connection or flow, as logs name it at both ends: session and stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    /// The session.
    pub session: SessionId,
    /// The stream in it.
    pub stream: u64,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.session, self.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_one_word_to_search_for() {
        let mut session = [0xff; 16];
        session[..4].copy_from_slice(&[0x0a, 0x1b, 0, 0xff]);
        let id = ConnectionId { session: SessionId::of(&session), stream: 17 };
        assert_eq!(id.to_string(), "0a1b00ff-17");
    }
}
