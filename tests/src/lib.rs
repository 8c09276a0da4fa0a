//! What the end-to-end tests stand on.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a failure here shall stop the test, and tasks end with its runtime"
)]

pub mod cases;
pub mod footprint;
pub mod groups;
pub mod lab;
pub mod narrow;
pub mod net;
pub mod pair;
pub mod party;
pub mod target;
pub mod tunnels;
pub mod udp;
pub mod user;
pub mod wait;
