//! Hello: who the client is and what it can do.

use bytes::BytesMut;

use super::fields::{Field, Fields, Writer};
use super::{DEFAULT_CREDIT, MAX_SOFTWARE};
use crate::WireError;

const VERSIONS: Field = Field(1, "versions");
const FEATURES: Field = Field(2, "features");
const METHODS: Field = Field(3, "methods");
const NONCE: Field = Field(4, "nonce");
const PRINCIPAL: Field = Field(5, "principal");
const CLIENT_ID: Field = Field(6, "client id");
const INSTANCE: Field = Field(7, "instance");
const REPLICA: Field = Field(8, "replica");
const INTENT: Field = Field(9, "intent");
const SESSION: Field = Field(10, "session");
const GENERATION: Field = Field(11, "generation");
const INITIAL_CREDIT: Field = Field(12, "initial credit");
const SOFTWARE: Field = Field(13, "software");
const MAIN: Field = Field(14, "main");

/// The client's first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Protocol versions the client speaks, at most [`Hello::MAX_CHOICES`].
    pub versions: Vec<u64>,
    /// Feature bits the client knows.
    pub features: u64,
    /// Authentication methods the client can do, at most [`Hello::MAX_CHOICES`].
    pub methods: Vec<u64>,
    /// Fresh random bytes.
    pub nonce: [u8; 32],
    /// The group, 1 to [`Hello::MAX_PRINCIPAL`] bytes.
    pub principal: String,
    /// Stable name of this client, 1 to [`Hello::MAX_CLIENT_ID`] bytes.
    pub client_id: String,
    /// Random at each start of the client process.
    pub instance: [u8; 16],
    /// Which of several parallel sessions of the process this is.
    pub replica: u64,
    /// What the tunnel is for.
    pub intent: Intent,
    /// Bytes the gateway may send on each stream before the first Credit.
    pub initial_credit: u64,
    /// Name and version of the program, at most [`MAX_SOFTWARE`] bytes.
    pub software: String,
}

/// What the client wants the tunnel for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Intent {
    /// A session of its own.
    New,
    /// A further tunnel of a live session, which takes what is new from the others.
    Join {
        /// The session's id, from Welcome.
        session: [u8; 16],
    },
    /// A further tunnel of a live session, which shares what is new with those that are there.
    Beside {
        /// The session's id, from Welcome.
        session: [u8; 16],
        /// The number of the tunnel that it is to be beside, from its Welcome.
        main: u64,
    },
    /// A session in the place of an earlier one of the same principal and client id.
    Supersede {
        /// The earlier session's generation, from Welcome.
        generation: u64,
    },
}

impl Hello {
    /// The longest principal, in bytes.
    pub const MAX_PRINCIPAL: usize = 64;
    /// The longest client id, in bytes.
    pub const MAX_CLIENT_ID: usize = 128;
    /// The most versions, and the most methods, that are offered.
    pub const MAX_CHOICES: usize = 8;

    /// Appends the payload.
    pub fn encode(&self, out: &mut BytesMut) {
        let mut writer = Writer(out);
        writer
            .numbers(VERSIONS, &self.versions, Self::MAX_CHOICES)
            .number_unless(FEATURES, 0, self.features)
            .numbers(METHODS, &self.methods, Self::MAX_CHOICES)
            .bytes(NONCE, &self.nonce)
            .text(PRINCIPAL, &self.principal, Self::MAX_PRINCIPAL)
            .text(CLIENT_ID, &self.client_id, Self::MAX_CLIENT_ID)
            .bytes(INSTANCE, &self.instance)
            .number_unless(REPLICA, 0, self.replica);
        match self.intent {
            Intent::New => &mut writer,
            Intent::Join { session } => writer.number(INTENT, 1).bytes(SESSION, &session),
            Intent::Beside { session, .. } => writer.number(INTENT, 3).bytes(SESSION, &session),
            Intent::Supersede { generation } => {
                writer.number(INTENT, 2).number(GENERATION, generation)
            }
        }
        .number_unless(INITIAL_CREDIT, DEFAULT_CREDIT, self.initial_credit)
        .text_if(SOFTWARE, &self.software, MAX_SOFTWARE);
        if let Intent::Beside { main, .. } = self.intent {
            writer.number(MAIN, main);
        }
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// Any [`WireError`] of a list of fields.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let fields = &Fields::parse("Hello", payload)?;
        let missing = |field| move || fields.missing(field);
        let choices =
            |field| fields.numbers(field, Self::MAX_CHOICES)?.ok_or_else(|| fields.missing(field));
        let name = |field, most| fields.text(field, 1..=most)?.ok_or_else(|| fields.missing(field));
        Ok(Self {
            versions: choices(VERSIONS)?,
            features: fields.number(FEATURES)?.unwrap_or(0),
            methods: choices(METHODS)?,
            nonce: fields.array(NONCE)?.ok_or_else(missing(NONCE))?,
            principal: name(PRINCIPAL, Self::MAX_PRINCIPAL)?,
            client_id: name(CLIENT_ID, Self::MAX_CLIENT_ID)?,
            instance: fields.array(INSTANCE)?.ok_or_else(missing(INSTANCE))?,
            replica: fields.number(REPLICA)?.unwrap_or(0),
            intent: decode_intent(fields)?,
            initial_credit: fields.number(INITIAL_CREDIT)?.unwrap_or(DEFAULT_CREDIT),
            software: fields.text(SOFTWARE, 0..=MAX_SOFTWARE)?.unwrap_or_default(),
        })
    }
}

/// The fields of the other intents are checked for their form, then ignored.
fn decode_intent(fields: &Fields<'_>) -> Result<Intent, WireError> {
    let session = fields.array(SESSION)?;
    let named = || session.ok_or_else(|| fields.missing(SESSION));
    let generation = fields.number(GENERATION)?;
    match fields.number(INTENT)?.unwrap_or(0) {
        0 => Ok(Intent::New),
        1 => Ok(Intent::Join { session: named()? }),
        2 => {
            let generation = generation.ok_or_else(|| fields.missing(GENERATION))?;
            Ok(Intent::Supersede { generation })
        }
        3 => {
            let main = fields.number(MAIN)?.ok_or_else(|| fields.missing(MAIN))?;
            Ok(Intent::Beside { session: named()?, main })
        }
        _ => Err(fields.invalid(INTENT)),
    }
}
