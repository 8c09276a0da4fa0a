//! A bottleneck: a rate, a drop-tail queue, random loss and a delay.

use std::time::Duration;

/// What a link is like. Loss holds for each direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) mbit: f64,
    pub(super) rtt: Duration,
    pub(super) queue: u64,
    pub(super) loss: f64,
    /// Most that a packet is held up at random, without being overtaken.
    pub(super) jitter: Duration,
    /// Acknowledgements leave the receiver's side only at multiples of this.
    pub(super) lumps: Duration,
}

impl Link {
    /// 100 Mbit/s, 40 ms, a queue of 500 kB.
    pub(super) fn usual() -> Self {
        Self {
            mbit: 100.0,
            rtt: Duration::from_millis(40),
            queue: 500_000,
            loss: 0.0,
            jitter: Duration::ZERO,
            lumps: Duration::ZERO,
        }
    }

    fn nanos_for(&self, bytes: u64) -> u64 {
        (bytes as f64 * 8_000.0 / self.mbit) as u64
    }
}

/// xorshift64*: the same numbers in each run.
#[derive(Debug, Clone)]
pub(super) struct Lots(u64);

impl Lots {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn draw(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The bottleneck's state.
#[derive(Debug)]
pub(super) struct Bottleneck {
    pub(super) link: Link,
    free: u64,
    last: u64,
    /// Packets that found the queue full.
    pub(super) overflowed: u64,
}

impl Bottleneck {
    pub(super) fn new(link: Link) -> Self {
        Self { link, free: 0, last: 0, overflowed: 0 }
    }

    /// Nanoseconds that a packet would wait now.
    pub(super) fn waiting(&self, now: u64) -> u64 {
        self.free.saturating_sub(now)
    }

    /// When a packet arrives at the other side; `None` if it does not.
    pub(super) fn pass(&mut self, now: u64, bytes: u64, lots: &mut Lots) -> Option<u64> {
        if self.waiting(now) > self.link.nanos_for(self.link.queue) {
            self.overflowed += 1;
            return None;
        }
        self.free = self.free.max(now) + self.link.nanos_for(bytes);
        if lots.draw() < self.link.loss {
            return None;
        }
        let jitter = (self.link.jitter.as_nanos() as f64 * lots.draw()) as u64;
        let at = self.free + self.link.rtt.as_nanos() as u64 / 2 + jitter;
        self.last = self.last.max(at);
        Some(self.last)
    }
}
