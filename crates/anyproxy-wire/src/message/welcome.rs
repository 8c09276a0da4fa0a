//! Welcome: the session, its limits and the gateway's proof.

use std::fmt;
use std::time::Duration;

use bytes::BytesMut;

use super::fields::{Field, Fields, Writer};
use super::{DEFAULT_CREDIT, MAX_SOFTWARE};
use crate::WireError;

const SESSION: Field = Field(1, "session");
const TUNNEL: Field = Field(2, "tunnel");
const PROOF: Field = Field(3, "proof");
const GENERATION: Field = Field(4, "generation");
const INITIAL_CREDIT: Field = Field(5, "initial credit");
const MAX_STREAMS: Field = Field(6, "max streams");
const PING_INTERVAL: Field = Field(7, "ping interval");
const DEAD_AFTER: Field = Field(8, "dead after");
const JOIN_KEY: Field = Field(9, "join key");
const SOFTWARE: Field = Field(10, "software");

/// The gateway's consent: the tunnel is up when the client has checked the proof.
#[derive(Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The session's id.
    pub session: [u8; 16],
    /// Counts the session's tunnels from 0.
    pub tunnel: u64,
    /// Shows that the gateway knows the secret too; absent with the password method.
    pub proof: Option<[u8; 32]>,
    /// Grows with each session of one client id.
    pub generation: u64,
    /// Bytes the client may send on each stream before the first Credit.
    pub initial_credit: u64,
    /// The most live data streams of the session.
    pub max_streams: u64,
    /// Silence after which a side sends a Ping, in whole milliseconds, at least one.
    pub ping_interval: Duration,
    /// Silence after which a side closes the tunnel, in whole milliseconds, at least one.
    pub dead_after: Duration,
    /// Key of the join proofs of later tunnels: a secret.
    pub join_key: [u8; 32],
    /// Name and version of the program, at most [`MAX_SOFTWARE`] bytes.
    pub software: String,
}

impl Welcome {
    /// Live data streams where the message names no other limit.
    pub const DEFAULT_MAX_STREAMS: u64 = 4096;
    /// The ping interval where the message names no other.
    pub const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(10);
    /// The silence that kills where the message names no other.
    pub const DEFAULT_DEAD_AFTER: Duration = Duration::from_secs(30);

    /// Appends the payload.
    pub fn encode(&self, out: &mut BytesMut) {
        let shortest = Duration::from_millis(1);
        Writer(out)
            .bytes(SESSION, &self.session)
            .number(TUNNEL, self.tunnel)
            .bytes_if(PROOF, self.proof.as_ref().map(<[u8; 32]>::as_slice))
            .number(GENERATION, self.generation)
            .number_unless(INITIAL_CREDIT, DEFAULT_CREDIT, self.initial_credit)
            .number_unless(MAX_STREAMS, Self::DEFAULT_MAX_STREAMS, self.max_streams)
            .millis_unless(
                PING_INTERVAL,
                Self::DEFAULT_PING_INTERVAL,
                self.ping_interval.max(shortest),
            )
            .millis_unless(DEAD_AFTER, Self::DEFAULT_DEAD_AFTER, self.dead_after.max(shortest))
            .bytes(JOIN_KEY, &self.join_key)
            .text_if(SOFTWARE, &self.software, MAX_SOFTWARE);
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// Any [`WireError`] of a list of fields.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let fields = &Fields::parse("Welcome", payload)?;
        let missing = |field| move || fields.missing(field);
        // A time of 0 would ping without end, or kill the tunnel at birth.
        let time = |field, default| match fields.millis(field)? {
            Some(Duration::ZERO) => Err(fields.invalid(field)),
            time => Ok(time.unwrap_or(default)),
        };
        Ok(Self {
            session: fields.array(SESSION)?.ok_or_else(missing(SESSION))?,
            tunnel: fields.number(TUNNEL)?.ok_or_else(missing(TUNNEL))?,
            proof: fields.array(PROOF)?,
            generation: fields.number(GENERATION)?.ok_or_else(missing(GENERATION))?,
            initial_credit: fields.number(INITIAL_CREDIT)?.unwrap_or(DEFAULT_CREDIT),
            max_streams: fields.number(MAX_STREAMS)?.unwrap_or(Self::DEFAULT_MAX_STREAMS),
            ping_interval: time(PING_INTERVAL, Self::DEFAULT_PING_INTERVAL)?,
            dead_after: time(DEAD_AFTER, Self::DEFAULT_DEAD_AFTER)?,
            join_key: fields.array(JOIN_KEY)?.ok_or_else(missing(JOIN_KEY))?,
            software: fields.text(SOFTWARE, 0..=MAX_SOFTWARE)?.unwrap_or_default(),
        })
    }
}

/// Hides the join key.
impl fmt::Debug for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Welcome")
            .field("session", &self.session)
            .field("tunnel", &self.tunnel)
            .field("proof", &self.proof)
            .field("generation", &self.generation)
            .field("initial_credit", &self.initial_credit)
            .field("max_streams", &self.max_streams)
            .field("ping_interval", &self.ping_interval)
            .field("dead_after", &self.dead_after)
            .field("software", &self.software)
            .finish_non_exhaustive()
    }
}
