//! Where proxied connections leave: policy, resolving and dialling.
//!
//! ```text
//! "db.corp:5432" ─parse▶ Target ─name rules▶ resolve ─address rules, each▶ race (RFC 8305) ─▶ Conn
//! ```
//!
//! A name says little about where it leads: whoever answers for it decides, and may answer
//! differently the next moment. So a name is looked up once, every address that comes out is
//! checked, and the very addresses that passed are the ones dialled. A target in an unusual
//! spelling needs no list of tricks: what the standard parser does not take as an address is a
//! name, and whatever the resolver makes of it is checked like any other address.
//!
//! The whole runs inside the caller's future, with no task of its own: dropping it gives up every
//! look-up and attempt, so a user who leaves while we dial leaves no connection behind.
//!
//! The rules are described in `docs/policy.md`.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod address;
mod datagrams;
mod dial;
mod error;
mod happy;
mod name;
mod policy;
mod rule;
mod target;

pub use dial::{Destination, Dialled, Egress};
pub use error::DialError;
pub use name::NameError;
pub use policy::{Denial, List, Policy, PolicyError};
pub use rule::RuleError;
pub use target::{Target, TargetError};

#[cfg(test)]
mod tests;
