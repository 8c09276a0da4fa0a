//! Times that were measured, and their quantiles.

use std::time::Duration;

#[derive(Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    pub fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest sample that at least `part` (0 to 1) of all are not above; none without samples.
    pub fn quantile(&mut self, part: f64) -> Option<Duration> {
        self.0.sort_unstable();
        let rank = (self.0.len() as f64 * part).ceil() as usize;
        self.0.get(rank.max(1) - 1).copied()
    }

    pub fn micros(&mut self, part: f64) -> Option<f64> {
        self.quantile(part).map(|time| time.as_secs_f64() * 1e6)
    }

    pub fn millis(&mut self, part: f64) -> Option<f64> {
        self.quantile(part).map(|time| time.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let mut samples = Samples::default();
        assert_eq!(samples.quantile(0.5), None);
        for millis in (1..=100).rev() {
            samples.push(Duration::from_millis(millis));
        }
        assert_eq!(samples.millis(0.5), Some(50.0));
        assert_eq!(samples.millis(0.99), Some(99.0));
        assert_eq!(samples.millis(0.0), Some(1.0));
        assert_eq!(samples.millis(1.0), Some(100.0));
    }
}
