//! TCP, as far as a program can see it.
//!
//! ```text
//! client                     server
//!   SYN ────────────────────▶ listener? no: RST, the client sees ConnectionRefused
//!   ◀──────────────── SYN-ACK      connect() returns after one round trip
//!   ACK ────────────────────▶ accept() returns half a round trip later
//!   data, FIN, RST ◀───────▶ data, FIN, RST      in order, never lost, perhaps late
//!   ◀────────────── room for n bytes more        when the application has read
//! ```
//!
//! What is modelled after Linux, since programs depend on it:
//! - After RST, bytes that were received before can still be read; then one call fails with
//!   `ConnectionReset`, and after it reads report the end and writes `BrokenPipe`. If FIN came
//!   before RST, reads report the end and the one failure is `BrokenPipe`.
//! - Closing with unread bytes sends RST; so does a host that gets data for a closed end. RST waits
//!   for nothing: bytes that arrive after it, or are not on the wire yet, are lost.
//! - SYN is sent after 0, 1, 3, 7 … s; after 127 s `connect` fails with `TimedOut`.
//!
//! Not modelled: congestion control, keep-alive, `TCP_USER_TIMEOUT`. A connection over a black hole
//! lasts until the application gives it up.

mod connect;
mod connection;
mod listener;
mod packet;
mod stream;

pub(super) use connect::connect;
pub(super) use connection::{Connection, End, Vanished};
pub(super) use listener::{Accepting, ListenerState};
pub(super) use packet::Packet;
