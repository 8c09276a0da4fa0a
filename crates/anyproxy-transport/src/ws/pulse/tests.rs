use anyproxy_wire::{message::DEFAULT_CREDIT, mux::Side};

use super::*;
use crate::{SessionId, budget::StallBudget, tunnel::StreamIds};

const SECOND: Duration = Duration::from_secs(1);
const RTT: Duration = Duration::from_millis(20);

fn pulse(now: Instant) -> Pulse {
    let settings = Settings {
        side: Side::Client,
        send_credit: DEFAULT_CREDIT,
        recv_credit: DEFAULT_CREDIT,
        max_streams: 1,
        ping_interval: 10 * SECOND,
        dead_after: 30 * SECOND,
        budget: StallBudget::new(1 << 20),
        ids: StreamIds::new(Side::Client),
        session: SessionId::of(&[7; 16]),
    };
    Pulse::new(now, &settings)
}

#[test]
fn what_was_sent_is_asked_about_at_once_and_then_once_a_second() {
    let start = Instant::now();
    let mut pulse = pulse(start);
    assert_eq!(pulse.beat(start, 0, RTT), Beat::Idle);
    assert_eq!(pulse.next(), start + 10 * SECOND);
    pulse.sent();
    assert_eq!(pulse.beat(start, 0, RTT), Beat::Ping);
    pulse.sent();
    assert_eq!(pulse.beat(start, 0, RTT), Beat::Idle);
    assert_eq!(pulse.next(), start + SECOND, "nothing stays without a Ping");
    assert_eq!(pulse.beat(start + SECOND, 0, RTT), Beat::Ping);
    assert_eq!(pulse.beat(start + 3 * SECOND, 0, RTT), Beat::Ping, "suspected");
    assert!(pulse.heartbeat().is_suspected());
    assert_eq!(pulse.beat(start + 4 * SECOND, 40, RTT), Beat::Idle, "a Pong");
    assert!(!pulse.heartbeat().is_suspected());
    assert_eq!(pulse.beat(start + 4 * SECOND, 4_000, RTT), Beat::Ping, "for the round trip");
}

#[test]
fn a_ping_and_its_answer_bring_no_more_pings() {
    let start = Instant::now();
    let mut pulse = pulse(start);
    let at = start + 10 * SECOND;
    assert_eq!(pulse.beat(at, 0, RTT), Beat::Ping);
    let late = at + 2 * SECOND;
    assert_eq!(pulse.beat(late, 40, RTT), Beat::Idle);
    assert_eq!(pulse.next(), late + 10 * SECOND);
}

#[test]
fn silence_is_death_in_thirty_seconds() {
    let start = Instant::now();
    let mut pulse = pulse(start);
    let mut beat = Beat::Idle;
    let mut at = start;
    while beat != Beat::Dead {
        at = pulse.next();
        beat = pulse.beat(at, 0, RTT);
    }
    assert_eq!(at, start + 30 * SECOND);
}
