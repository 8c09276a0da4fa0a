use super::*;

const MIB: u64 = 1024 * 1024;
const SECOND: Duration = Duration::from_secs(1);
const RTT: Duration = Duration::from_millis(20);

/// What the sender does meanwhile.
#[derive(Clone, Copy, PartialEq)]
enum Supply {
    Ample,
    Short,
}
use Supply::{Ample, Short};

struct Stage {
    now: Instant,
    reading: Reading,
    meter: Meter,
    rates: Rates,
}

impl Stage {
    fn new() -> Self {
        let (now, reading) = (Instant::now(), Reading { rtt: RTT, ..Reading::default() });
        Self { now, reading, meter: Meter::new(now, reading), rates: Rates::default() }
    }

    /// One that sent 10 MiB a second.
    fn fast() -> Self {
        let mut stage = Self::new();
        assert_eq!(stage.send(10, 10 * MIB, Ample), 0);
        stage
    }

    /// Looks twice a second; says how often it is strained.
    fn send(&mut self, seconds: u64, rate: u64, supply: Supply) -> usize {
        let looks = (0..2 * seconds).map(|_| {
            self.now += SECOND / 2;
            self.reading.acked += rate / 2;
            self.reading.idle += u64::from(supply == Short);
            self.meter.look(self.now, self.reading, &self.rates)
        });
        looks.filter(|strained| *strained).count()
    }
}

#[test]
fn a_throttle_is_found_after_five_seconds_and_each_second_from_then_on() {
    let mut stage = Stage::fast();
    assert_eq!(stage.send(4, 100 * 1024, Ample), 0);
    assert_eq!(stage.send(10, 100 * 1024, Ample), 10);
    assert_eq!(stage.send(1, 10 * MIB, Ample), 0, "it is over");
    assert_eq!(stage.send(4, 100 * 1024, Ample), 0, "a burst of losses");
}

#[test]
fn a_sixteenth_is_little() {
    assert_eq!(Stage::fast().send(60, 10 * MIB / 16 + 2, Ample), 0);
    assert_eq!(Stage::fast().send(60, 10 * MIB / 16, Ample), 56);
}

#[test]
fn who_sends_little_is_not_strained() {
    assert_eq!(Stage::fast().send(600, 20_000, Short), 0);
    // Also if there is enough to send now and then.
    let mut stage = Stage::fast();
    for _ in 0..100 {
        assert_eq!(stage.send(4, 20_000, Ample) + stage.send(1, 20_000, Short), 0);
    }
}

#[test]
fn who_is_held_by_credit_while_a_queue_is_full_is_strained() {
    let mut stage = Stage::fast();
    stage.reading.rtt = SECOND / 2;
    assert_eq!(stage.send(60, 100 * 1024, Short), 0, "half a second is no such queue");
    stage.reading.rtt = SECOND;
    assert!(stage.send(10, 100 * 1024, Short) > 3);
    let mut far = Stage::new();
    far.reading.rtt = SECOND / 2;
    far.send(10, 10 * MIB, Ample);
    far.reading.rtt = 2 * SECOND;
    assert_eq!(far.send(60, 100 * 1024, Short), 0, "it was slow before");
}

#[test]
fn silence_is_not_judged() {
    let mut stage = Stage::fast();
    stage.send(4, 100 * 1024, Ample);
    assert_eq!(stage.send(600, 0, Ample), 0);
    // A window may end with the first byte after it, and one bad window is none.
    let mut stage = Stage::fast();
    stage.send(600, 0, Short);
    assert_eq!(stage.send(60, 10 * MIB, Ample), 0);
}

#[test]
fn what_was_never_fast_cannot_be_slow() {
    let mut stage = Stage::new();
    stage.send(10, 60 * 1024, Ample);
    assert_eq!(stage.send(60, 1024, Ample), 0);
}

#[test]
fn the_best_is_forgotten_within_ten_minutes() {
    let mut stage = Stage::fast();
    assert!(stage.send(280, 100 * 1024, Ample) > 270);
    assert!(stage.send(300, 100 * 1024, Ample) > 290, "at least five minutes");
    stage.send(60, 100 * 1024, Ample);
    assert_eq!(stage.send(600, 100 * 1024, Ample), 0);
}

/// One that was dialled under the throttle.
#[test]
fn the_next_tunnel_is_measured_by_the_one_before() {
    let mut stage = Stage::fast();
    stage.reading = Reading { rtt: RTT, ..Reading::default() };
    stage.meter = Meter::new(stage.now, stage.reading);
    assert_eq!(stage.send(10, 100 * 1024, Ample), 6);
}
