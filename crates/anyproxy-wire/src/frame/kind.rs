//! Frame types and what belongs to each: number, name, limit.

use super::{Frame, MAX_CONTROL, MAX_DATA, MAX_DATAGRAM, MAX_HANDSHAKE, Stage};
use crate::varint;

macro_rules! kinds {
    ($($kind:ident = $number:literal,)*) => {
        /// The type of a frame.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Kind {
            $($kind = $number,)*
        }

        impl Kind {
            pub(super) const fn from_u64(number: u64) -> Option<Self> {
                match number {
                    $($number => Some(Self::$kind),)*
                    _ => None,
                }
            }

            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($kind),)*
                }
            }
        }

        impl Frame {
            pub(super) const fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind { .. } => Kind::$kind,)*
                }
            }
        }
    };
}

kinds! {
    Hello = 0x01,
    Challenge = 0x02,
    Auth = 0x03,
    Welcome = 0x04,
    Refuse = 0x05,
    Ping = 0x08,
    Pong = 0x09,
    Credit = 0x0a,
    Goaway = 0x0b,
    ForwardRequest = 0x0c,
    ForwardReply = 0x0d,
    ForwardRelease = 0x0e,
    Open = 0x10,
    OpenReply = 0x11,
    Data = 0x20,
    Fin = 0x21,
    FinAck = 0x22,
    Reset = 0x23,
    Stop = 0x24,
    Datagram = 0x25,
    Strain = 0x41,
}

/// From here on, a receiver skips a type that it does not know.
pub(super) const FIRST_OPTIONAL: u64 = 0x40;

impl Kind {
    /// Whether a peer that does not know the frame skips it.
    pub(super) const fn is_optional(self) -> bool {
        self as u64 >= FIRST_OPTIONAL
    }

    /// Whether the frame may occur.
    pub(super) const fn allowed(self, stage: Stage) -> bool {
        match stage {
            Stage::Established => true,
            Stage::Handshake => (self as u64) <= (Self::Refuse as u64),
        }
    }
}

/// The largest payload of a frame; `None` is an unknown optional type.
pub(super) const fn limit(kind: Option<Kind>, stage: Stage) -> usize {
    match (stage, kind) {
        (Stage::Handshake, _) => MAX_HANDSHAKE,
        (Stage::Established, Some(Kind::Data)) => MAX_DATA + varint::MAX_SIZE,
        (Stage::Established, Some(Kind::Datagram)) => MAX_DATAGRAM + varint::MAX_SIZE,
        (Stage::Established, _) => MAX_CONTROL,
    }
}

impl Frame {
    /// The frame's name in `docs/protocol.md`.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }
}
