//! The discipline of tasks, time and copying that every part of AnyProxy shares.
//!
//! - [`Scope`] is a node of the shutdown tree (process → session → proxied connection): every task
//!   belongs to one, and a scope has ended only when all tasks below it have.
//! - [`Deadline`] is a point in time that nests: a step's own limit never outlives its parent's.
//! - [`relay()`] is the one bidirectional copy, with half-close, between two [`Side`]s; [`IoSide`]
//!   makes a side of anything that reads and writes.
//! - [`Trouble`] says the same thing seldom, for what goes wrong thousands of times a second.
//! - [`Shaper`] shares bandwidth out between groups and their connections.
//!
//! Nothing here knows a protocol. No other crate spawns a task or sets a timeout by itself, so
//! "which tasks are left?" and "what bounds this wait?" each have one place to look.

mod deadline;
mod io_side;
mod rate;
mod relay;
mod scope;
mod trouble;

pub use deadline::{Deadline, Elapsed};
pub use io_side::{IoSide, READ_BUFFER};
pub use rate::{Line, LineWatch, Meter, Shaper};
pub use relay::{Direction, End, Outcome, RelayTimeouts, Side, relay};
pub use scope::{Scope, Shutdown};
pub use trouble::Trouble;
