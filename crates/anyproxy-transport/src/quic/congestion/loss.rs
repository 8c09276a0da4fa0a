//! Which losses mean congestion.
//!
//! A radio link loses packets whatever we do; a full queue or a policer loses those that are too
//! many. The difference shows when we send less than the path takes: what is lost then is the path's
//! own loss. Losses beyond that share are congestion. How many beyond depends on what the delay says:
//! with a standing queue a statistically clear excess is enough, without one it must be a policer or
//! a very short queue, which lose much.

use super::sampler::Sent;

/// Weight of older calm rounds when a new one is added.
const MEMORY: f64 = 0.85;

/// The path's own loss is not believed beyond this share.
const MOST: f64 = 0.15;

/// Packets of calm rounds below which the path's own loss counts as none.
const ENOUGH: f64 = 30.0;

/// Excess, as a share of all packets, that is congestion without any delay.
const EXCESS: f64 = 0.03;

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    acked: f64,
    lost: f64,
}

impl Tally {
    fn all(self) -> f64 {
        self.acked + self.lost
    }

    fn share(self) -> f64 {
        if self.all() > 0.0 { self.lost / self.all() } else { 0.0 }
    }
}

/// What a round's losses mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As many as the path always loses.
    Usual,
    /// More than that.
    Congestion,
}

/// Counts packets arrived and lost, in units of the packet size.
#[derive(Debug, Clone, Default)]
pub(super) struct LossMeter {
    calm: Tally,
    round: Tally,
    marked: bool,
}

impl LossMeter {
    pub(super) fn acked(&mut self, packets: f64, kind: Sent) {
        self.round.acked += packets;
        if kind == Sent::Calm {
            self.calm.acked += packets;
        }
    }

    pub(super) fn lost(&mut self, packets: f64, kind: Sent) {
        self.round.lost += packets;
        if kind == Sent::Calm {
            self.calm.lost += packets;
        }
    }

    /// A router marked a packet (RFC 3168), which is as clear as it gets.
    pub(super) fn marked(&mut self) {
        self.marked = true;
    }

    /// A calm phase begins: older ones count less.
    pub(super) fn begin_calm(&mut self) {
        self.calm.acked *= MEMORY;
        self.calm.lost *= MEMORY;
    }

    /// The share that the path loses by itself.
    pub(super) fn own(&self) -> f64 {
        if self.calm.all() < ENOUGH { 0.0 } else { self.calm.share().min(MOST) }
    }

    /// Share lost in the round so far.
    pub(super) fn round_share(&self) -> f64 {
        self.round.share()
    }

    /// Ends a round; `queued` if a queue stood during it.
    pub(super) fn end_round(&mut self, queued: Queue) -> Verdict {
        let round = std::mem::take(&mut self.round);
        let usual = round.all() * self.own();
        let clear = usual + 2.0 * usual.sqrt() + 1.5;
        let needed = match queued {
            Queue::Standing => clear,
            Queue::None => clear.max(usual + round.all() * EXCESS + 1.0),
        };
        if std::mem::take(&mut self.marked) || round.lost > needed {
            Verdict::Congestion
        } else {
            Verdict::Usual
        }
    }
}

/// What the delay says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    /// Packets waited during the whole round.
    Standing,
    /// Some packets did not wait.
    None,
}
