//! Configuration files: how they are read, and how an error in one is shown.
//!
//! ```text
//! file ──Source::read──▶ text ──Source::parse──▶ raw (texts with spans) ──▶ settings
//!                                   │                     │
//!                                   └── ConfigError { place: file:line:column, problem } ──▶ person
//! ```
//!
//! An error names the place, shows the line with a caret, and says how to fix it. A line that
//! seems to hold a secret is never shown.

mod error;
pub(crate) mod exposure;
mod files;
mod problem;
pub mod raw;
mod source;

pub use error::{ConfigError, Place};
pub use files::{open_mode, read_bytes, read_text, writable_mode};
pub use problem::Problem;
pub use source::{Excerpt, Source};
