//! When the first growth has filled the path (draft-ietf-ccwg-bbr, 4.3.1).

use super::units::Rate;

/// Growth in one round that shows that there is room.
const GROWTH: f64 = 1.25;

/// Rounds without it after which the path is full.
const ROUNDS: u32 = 3;

/// A share of lost packets that ends the search after one such round.
const MUCH_LOSS: f64 = 0.1;

/// What a round without growth looked like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs {
    /// Best rate so far.
    pub(super) bw: Rate,
    /// Share of the round's packets that were lost.
    pub(super) lost: f64,
    /// Packets waited during the whole round.
    pub(super) queued: bool,
}

/// Looks for the path's rate by doubling.
#[derive(Debug, Clone, Default)]
pub(super) struct Startup {
    best: Rate,
    flat: u32,
}

impl Startup {
    /// Judges a round that the application did not limit: is the path full?
    pub(super) fn is_full(&mut self, signs: Signs) -> bool {
        if signs.bw >= self.best.times(GROWTH) {
            self.best = signs.bw;
            self.flat = 0;
            return false;
        }
        self.flat = self.flat.saturating_add(1);
        let sign = u32::from(signs.queued) + u32::from(signs.lost > MUCH_LOSS);
        self.flat.saturating_add(sign) >= ROUNDS
    }
}
