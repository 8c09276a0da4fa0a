//! What the link is like, and what that means for a frame at a given time. Time is an argument here.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    pub delay: Duration,
    /// The part of all frames that is lost, 0 to 1.
    pub loss: f64,
    pub bytes_per_second: f64,
    pub queue_bytes: f64,
    pub seed: u64,
}

impl Shape {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut shape = Self {
            delay: Duration::from_millis(20),
            loss: 0.0,
            bytes_per_second: 100e6 / 8.0,
            queue_bytes: 500e3,
            seed: 1,
        };
        while let Some(name) = words.next() {
            let text = words.next().ok_or(format!("{name} needs a value"))?;
            let value: f64 = text.parse().map_err(|_| format!("{name} {text}: not a number"))?;
            if !value.is_finite() || value < 0.0 {
                return Err(format!("{name} {text}: out of range"));
            }
            match name.as_str() {
                "--delay-ms" => shape.delay = Duration::from_secs_f64(value / 1e3),
                "--loss-pct" => shape.loss = value / 100.0,
                "--rate-mbit" => shape.bytes_per_second = value * 1e6 / 8.0,
                "--queue-kb" => shape.queue_bytes = value * 1e3,
                "--seed" => shape.seed = value as u64,
                _ => return Err(format!("{name}: unknown")),
            }
        }
        Ok(shape)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// Comes out at this time.
    Due(Duration),
    Lost,
    Overflowed,
}

/// One way of the link.
pub struct Pipe {
    shape: Shape,
    /// When the last bit of what is queued has been sent.
    free_at: Duration,
    chance: u64,
}

impl Pipe {
    pub fn new(shape: Shape, way: u64) -> Self {
        Self {
            shape,
            free_at: Duration::ZERO,
            chance: shape.seed.wrapping_mul(0x1_0000_0001).wrapping_add(way),
        }
    }

    /// A lost frame has used its share of the rate, as one that is damaged on the air has.
    pub fn take(&mut self, now: Duration, bytes: usize) -> Fate {
        let backlog = self.free_at.saturating_sub(now).as_secs_f64() * self.shape.bytes_per_second;
        if backlog + bytes as f64 > self.shape.queue_bytes {
            return Fate::Overflowed;
        }
        let sending = Duration::from_secs_f64(bytes as f64 / self.shape.bytes_per_second);
        self.free_at = self.free_at.max(now) + sending;
        if self.chance() < self.shape.loss {
            return Fate::Lost;
        }
        Fate::Due(self.free_at + self.shape.delay)
    }

    /// SplitMix64, as a number from 0 to 1.
    fn chance(&mut self) -> f64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.chance;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        (word >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(loss: f64) -> Shape {
        Shape {
            delay: Duration::from_millis(20),
            loss,
            bytes_per_second: 1e6,
            queue_bytes: 3000.0,
            seed: 1,
        }
    }

    #[test]
    fn frames_follow_each_other_at_the_rate_and_overflow() {
        let mut pipe = Pipe::new(shape(0.0), 1);
        let due = |millis| Fate::Due(Duration::from_millis(millis));
        assert_eq!(pipe.take(Duration::ZERO, 1000), due(21));
        assert_eq!(pipe.take(Duration::ZERO, 1000), due(22));
        assert_eq!(pipe.take(Duration::ZERO, 1000), due(23));
        assert_eq!(pipe.take(Duration::ZERO, 1000), Fate::Overflowed);
        assert_eq!(pipe.take(Duration::from_millis(2), 1000), due(24));
        assert_eq!(pipe.take(Duration::from_secs(1), 1000), due(1021));
    }

    #[test]
    fn as_many_are_lost_as_asked_for() {
        let mut pipe = Pipe::new(shape(0.03), 1);
        let lost = (0..100_000_u64)
            .filter(|second| pipe.take(Duration::from_secs(*second), 1000) == Fate::Lost)
            .count();
        assert!((2700..3300).contains(&lost), "{lost}");
    }

    #[test]
    fn options_are_checked() {
        let parse = |text: &str| Shape::parse(text.split_whitespace().map(str::to_owned));
        assert_eq!(
            parse("--loss-pct 5 --rate-mbit 8").map(|shape| shape.bytes_per_second),
            Ok(1e6)
        );
        assert!(parse("--loss-pct -1").is_err());
        assert!(parse("--loss 1").is_err());
        assert!(parse("--seed").is_err());
    }
}
