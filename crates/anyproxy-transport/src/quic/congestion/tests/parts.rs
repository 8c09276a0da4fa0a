//! The parts, and the whole under events that make no sense.

use std::time::{Duration, Instant};

use super::{
    super::{
        Congestion,
        bbr::Bbr,
        loss::{LossMeter, Queue, Verdict},
        max_filter::MaxFilter,
        rtt::RoundTrips,
        sampler::{Sampler, Sent, Supply},
    },
    link::Lots,
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn the_maximum_ages_by_rounds() {
    let mut filter = MaxFilter::new(3);
    assert_eq!(filter.get(), None);
    filter.update(1, 10);
    filter.update(2, 4);
    filter.update(3, 6);
    assert_eq!(filter.get(), Some(10));
    filter.update(4, 1);
    assert_eq!(filter.get(), Some(6), "round 1 is out, and 4 never counted beside 6");
    filter.update(7, 1);
    assert_eq!(filter.get(), Some(1));
    filter.reset(8, 2);
    assert_eq!(filter.get(), Some(2));
}

#[test]
fn the_least_round_trip_ages_by_time() {
    let start = Instant::now();
    let mut rtt = RoundTrips::default();
    rtt.sample(start, ms(40));
    for second in 1..=20 {
        rtt.sample(start + Duration::from_secs(second), ms(60));
        if second == 9 {
            assert!(!rtt.is_stale(start + Duration::from_secs(second)));
        }
        if second == 11 {
            assert!(rtt.is_stale(start + Duration::from_secs(second)));
            assert_eq!(rtt.min(), ms(40));
        }
    }
    assert_eq!(rtt.min(), ms(60));
}

#[test]
fn one_late_packet_is_no_standing_queue() {
    let now = Instant::now();
    let mut rtt = RoundTrips::default();
    rtt.sample(now, ms(40));
    rtt.end_round();
    rtt.sample(now, ms(90));
    rtt.sample(now, ms(41));
    rtt.end_round();
    assert!(!rtt.is_queued());
    rtt.sample(now, ms(90));
    rtt.end_round();
    assert!(rtt.is_queued());
}

#[test]
fn a_rate_is_what_arrived_over_the_longer_of_sending_and_arriving() {
    let start = Instant::now();
    let mut sampler = Sampler::new(start);
    // A packet of 1000 bytes each millisecond, 40 ms away, acknowledged ten at a time.
    let mut rate = None;
    for tick in 0..200 {
        let now = start + ms(tick);
        sampler.on_sent(now, 1_000, ms(40), Sent::Busy);
        if tick >= 40 && tick % 10 == 9 {
            for packet in tick - 49..tick - 39 {
                let _ = sampler.on_ack(now, start + ms(packet), 1_000);
            }
            let sample = sampler.end_acks(now, 40_000, Supply::Ample, ms(40));
            rate = sample.rate.or(rate);
        }
    }
    let bits = rate.expect("a sample").bits_per_second();
    assert!((7_500_000..8_500_000).contains(&bits), "{bits}");
}

#[test]
fn losses_are_usual_if_calm_packets_are_lost_as_well() {
    let round = |meter: &mut LossMeter, acked, lost, kind| {
        meter.acked(acked, kind);
        meter.lost(lost, kind);
    };
    let mut meter = LossMeter::default();
    round(&mut meter, 300.0, 15.0, Sent::Calm);
    let _ = meter.end_round(Queue::None);
    assert!((0.04..0.06).contains(&meter.own()));
    round(&mut meter, 300.0, 17.0, Sent::Busy);
    assert_eq!(meter.end_round(Queue::Standing), Verdict::Usual);
    round(&mut meter, 300.0, 40.0, Sent::Busy);
    assert_eq!(meter.end_round(Queue::Standing), Verdict::Congestion);

    let mut meter = LossMeter::default();
    round(&mut meter, 300.0, 5.0, Sent::Busy);
    assert_eq!(meter.end_round(Queue::None), Verdict::Usual, "few, and nothing waits");
    round(&mut meter, 300.0, 5.0, Sent::Busy);
    assert_eq!(meter.end_round(Queue::Standing), Verdict::Congestion);
    meter.marked();
    assert_eq!(meter.end_round(Queue::None), Verdict::Congestion);
}

#[test]
fn persistent_congestion_leaves_the_least_window() {
    let start = Instant::now();
    let mut bbr = Bbr::new(start, 1_200, 1);
    assert_eq!(bbr.window(), 12_000, "RFC 9002, 7.2");
    bbr.on_persistent_congestion();
    assert_eq!(bbr.window(), 4_800);
    bbr.on_mtu(9_000);
    assert_eq!(bbr.window(), 36_000, "some packets fit at any size");
}

/// Times that run backwards, sizes and numbers without sense: no panic, and a usable window.
#[test]
fn nothing_makes_it_panic_or_stop() {
    for seed in 0..20 {
        let start = Instant::now() + Duration::from_secs(1_000);
        let mut lots = Lots::new(seed);
        let mut bbr = Bbr::new(start, 1_200, seed);
        for _ in 0..3_000 {
            let at = |lots: &mut Lots| start + ms((lots.draw() * 60_000.0) as u64);
            let (now, sent) = (at(&mut lots), at(&mut lots));
            let bytes = match lots.draw() {
                low if low < 0.1 => u64::MAX,
                low if low < 0.2 => 0,
                other => (other * 3_000.0) as u64,
            };
            match (lots.draw() * 8.0) as u64 {
                0 | 1 => bbr.on_sent(now, bytes),
                2 | 3 => bbr.on_ack(now, sent, bytes),
                4 if lots.draw() < 0.3 => bbr.on_end_acks(now, bytes, Supply::Short),
                4 => bbr.on_end_acks(now, bytes, Supply::Ample),
                5 => bbr.on_lost(sent, bytes),
                6 => bbr.on_mtu((lots.draw() * 70_000.0) as u16),
                _ if lots.draw() < 0.05 => bbr.on_persistent_congestion(),
                _ => bbr.on_marked(),
            }
            assert!(bbr.window() >= 4, "quinn does not take a window of zero");
        }
    }
}

#[test]
fn the_setting_decides_who_controls() {
    let build = |choice: Congestion| choice.factory().build(Instant::now(), 1_200).into_any();
    assert!(build(Congestion::default()).is::<Bbr>());
    assert!(build(Congestion::Cubic).is::<quinn::congestion::Cubic>());
}
