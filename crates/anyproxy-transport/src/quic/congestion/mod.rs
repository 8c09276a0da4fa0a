//! How fast a QUIC tunnel sends: a controller after BBR (draft-ietf-ccwg-bbr), steered by its window.
//!
//! ```text
//! quinn ── sent, acked, lost ──▶ controller.rs ──▶ bbr.rs ──▶ window ──▶ quinn's cap and pacer
//!                                                    │
//!            sampler.rs  rate at which data arrives ─┤
//!            rtt.rs      the path's delay, queues ───┤
//!            loss.rs     own loss or congestion ─────┤
//!            startup.rs, cycle.rs  when to ask more ─┘
//! ```
//!
//! Why its own: loss-based control (RFC 9438) takes each lost packet for congestion, and a link that
//! loses 1 % gets 3 % of its rate. This one sends what arrives, and takes loss for congestion only if
//! it exceeds what the path loses while we hold back, or comes with a queue.
//!
//! What differs from the draft, and why:
//!
//! * quinn's pacer sends 1.25 windows in a smoothed round trip, so no pacing rate can be set. The
//!   window itself follows the phases, near the path's volume (rate × least delay) instead of twice it.
//! * Beside a queue of others that would starve, so the window then covers the delay as it is
//!   (rate × usual delay), up to twice the volume, as BBR's first version does.
//! * quinn does not say which packet was acknowledged, only when it was sent: samples are keyed by
//!   that time.
//! * The draft leaves its probing at 2 % loss; here the path's own loss is measured and made up for.
//!
//! What it cannot do:
//!
//! * Own loss above 15 % of the packets is taken for congestion.
//! * A queue shorter than an eighth of the round trip (or 2 ms) does not show. Then only losses limit
//!   us, of which a policer or a very short queue makes some percent, and a loss-based flow beside us
//!   gets little there, as it does beside other BBRs.
//! * Two of these at one bottleneck each take the other's queue for foreign: they share the rate, and
//!   keep up to one path's volume queued.
//! * Jitter that is not small beside the round trip costs rate: it passes for a foreign queue.
//! * A path that gets longer cannot be told from a foreign queue for some 10 to 15 seconds.
//! * ECN marks come without a count, so all marks of a round trip are one sign.
//! * Forward and return path are one to it: a queue on the return path counts as ours.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "reads no bytes: divides by constants, adds small numbers, and turns rates that are finite and not \
        negative into integers, which saturates"
)]

mod aggregation;
mod bbr;
mod controller;
mod cycle;
mod loss;
mod max_filter;
mod rtt;
mod sampler;
mod startup;
#[cfg(test)]
mod tests;
mod units;

use std::sync::Arc;

use quinn::congestion::{ControllerFactory, CubicConfig};

/// Who decides how much a tunnel may have in flight: over QUIC one of ours, below the WebSocket the kernel's of that
/// name, where it may be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Congestion {
    /// Steered by rate and delay: fast on lossy paths, short queues.
    #[default]
    Bbr,
    /// Steered by loss (RFC 9438), as TCP is on most systems.
    Cubic,
}

impl std::fmt::Display for Congestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Congestion {
    /// What systems call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bbr => "bbr",
            Self::Cubic => "cubic",
        }
    }

    /// quinn's factory for it.
    pub(crate) fn factory(self) -> Arc<dyn ControllerFactory + Send + Sync> {
        match self {
            Self::Bbr => Arc::new(controller::BbrFactory),
            Self::Cubic => Arc::new(CubicConfig::default()),
        }
    }
}
