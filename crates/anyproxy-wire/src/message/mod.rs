//! The messages that are lists of fields (`docs/protocol.md` sections 3 to 6).
//!
//! Each `encode` writes the payload of a frame, without its type and length, in ascending order of
//! tags and without optional fields that hold their default. It never makes an illegal message:
//! a text over its limit is cut at a character, and control characters become U+FFFD. Where a cut
//! would change the meaning (names, targets), check against the limit beforehand.
//!
//! Each `decode` takes a whole payload. Fields may come in any order, unknown ones are skipped,
//! and everything else is checked, so that a decoded message needs no second look at its form.

mod auth;
mod challenge;
mod closing;
mod fields;
mod forward;
mod hello;
mod open;
mod secret;
mod welcome;

pub use auth::Auth;
pub use challenge::{Binding, Challenge};
pub use closing::{Goaway, Refuse};
pub use forward::{ForwardRelease, ForwardReply, ForwardRequest, Protocol};
pub use hello::{Hello, Intent};
pub use open::{Ingress, Open, OpenReply, Target};
pub use secret::SecretBytes;
pub use welcome::Welcome;

/// The initial credit of a side that announces none, in bytes.
pub const DEFAULT_CREDIT: u64 = 262_144;

/// The longest reason or detail text, in bytes.
pub const MAX_REASON: usize = 256;

/// The longest name and version of a program, in bytes.
pub const MAX_SOFTWARE: usize = 64;

#[cfg(test)]
mod tests;
