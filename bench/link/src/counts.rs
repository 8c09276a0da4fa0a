//! What became of the frames of one way.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub struct Counts {
    pub entered: AtomicU64,
    pub bytes: AtomicU64,
    /// The queue was full.
    pub overflowed: AtomicU64,
    /// Chance took it.
    pub lost: AtomicU64,
    /// The kernel did not take it at the other end: the emulation's own fault.
    pub refused: AtomicU64,
    /// Longer than a packet of the wire: offloads are on somewhere.
    pub oversized: AtomicU64,
    /// Left more than 2 ms after its time: the machine was too busy.
    pub late: AtomicU64,
}

impl Counts {
    pub fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    pub fn json(&self) -> String {
        let fields = [
            ("entered", &self.entered),
            ("bytes", &self.bytes),
            ("overflowed", &self.overflowed),
            ("lost", &self.lost),
            ("refused", &self.refused),
            ("oversized", &self.oversized),
            ("late", &self.late),
        ];
        let pairs: Vec<String> = fields
            .iter()
            .map(|(name, count)| format!("\"{name}\":{}", count.load(Ordering::Relaxed)))
            .collect();
        format!("{{{}}}", pairs.join(","))
    }
}
