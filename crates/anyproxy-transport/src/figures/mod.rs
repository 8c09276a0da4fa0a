//! What is counted about tunnels and opens, for whoever watches a gateway or a client.
//!
//! ```text
//! a tunnel comes ─▶ Ledger ◀─ goes        its own figures are read when somebody asks
//! an open begins ─▶ Opens  ◀─ is answered one relaxed addition for each connection
//! ```
//!
//! Nothing here is touched for each byte, and nothing that is shared between connections is touched
//! for each chunk: bytes are counted by the tunnels themselves, where they were counted before.

mod histogram;
mod label;
mod ledger;
mod opens;

pub use histogram::{Histogram, HistogramFigures};
pub use label::{ConnectionId, SessionId};
pub use ledger::{Entry, Ledger, LedgerFigures, Loss, Totals};
pub use opens::{OpenCount, OpenOutcome, Opens, OpensFigures, Pending};
