//! A QUIC tunnel in trouble, where there is the WebSocket.

use super::*;
use crate::path::decide::LAST_RESORT;

#[test]
fn silence_is_answered_within_five_seconds() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    assert_eq!(stage.watch(60 * SECOND, GOOD), []);
    assert_eq!(stage.watch(2 * SECOND, Traffic::Silent), [Command::Dial(WebSocket)], "standby");
    assert_eq!(stage.dialled(WebSocket), [], "it may come back");
    assert_eq!(stage.watch(SECOND, Traffic::Silent), [Command::LogIn(WebSocket)]);
    stage.path.logged_in(stage.now, WebSocket);
    assert!(stage.next().0 < 2 * FIRST_PROBE);
}

#[test]
fn silence_that_ends_moves_nothing() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    stage.watch(60 * SECOND, GOOD);
    stage.watch(2 * SECOND + 500 * MS, Traffic::Silent);
    stage.dialled(WebSocket);
    assert_eq!(stage.watch(SECOND, GOOD), [Command::GiveUp(WebSocket)]);
    assert_eq!(stage.watch(60 * SECOND, GOOD), []);
}

#[test]
fn who_wakes_up_has_not_been_silent() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    stage.watch(SECOND, GOOD);
    stage.now += Duration::from_secs(3600);
    assert_eq!(stage.watch(SECOND, Traffic::Silent), []);
}

#[test]
fn a_slow_network_is_given_its_time() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    stage.sample.rtt = 800 * MS;
    stage.watch(60 * SECOND, GOOD);
    assert_eq!(stage.watch(5 * SECOND, Traffic::Silent), []);
    assert_eq!(stage.watch(3 * SECOND, Traffic::Silent), [Command::Dial(WebSocket)]);
}

#[test]
fn a_rescue_that_fails_is_tried_again() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    stage.watch(SECOND, GOOD);
    stage.watch(3 * SECOND, Traffic::Silent);
    for round in 0..10 {
        assert_eq!(stage.failed(WebSocket), []);
        let commands = stage.watch(RESCUE_PAUSE, Traffic::Silent);
        assert!(commands.contains(&Command::Dial(WebSocket)), "{commands:?}");
        // There may be no other way.
        assert_eq!(commands.contains(&Command::Dial(Quic)), round == 0, "{commands:?}");
    }
    stage.up(WebSocket);
}

#[test]
fn a_new_quic_tunnel_is_the_last_resort() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    stage.watch(SECOND, GOOD);
    assert_eq!(stage.watch(2 * SECOND, Traffic::Silent), [Command::Dial(WebSocket)]);
    assert_eq!(stage.watch(SECOND, Traffic::Silent), []);
    assert_eq!(stage.watch(LAST_RESORT, Traffic::Silent), [Command::Dial(Quic)]);
    assert_eq!(stage.dialled(Quic), [Command::LogIn(Quic)]);
    assert_eq!(stage.dialled(WebSocket), [], "one at a time");
    stage.path.logged_in(stage.now, Quic);
    assert_eq!(stage.commands(), [Command::GiveUp(WebSocket)]);
    assert_eq!(stage.watch(60 * SECOND, GOOD), []);
}

#[test]
fn a_websocket_in_trouble_is_left_for_whatever_comes_first() {
    for first in [Quic, WebSocket] {
        let mut stage = Stage::carried(Choice::Auto, WebSocket);
        stage.sample.streams = 1;
        stage.watch(SECOND, GOOD);
        let both = [Command::Ping, Command::Dial(Quic), Command::Dial(WebSocket)];
        assert_eq!(stage.watch(2 * SECOND + LOOK, Traffic::Silent), both, "{first}");
        stage.watch(SECOND, Traffic::Silent);
        assert_eq!(stage.dialled(first), [Command::LogIn(first)]);
        assert_eq!(stage.dialled(other(first)), []);
        stage.path.logged_in(stage.now, first);
        let rest = if first == Quic { Command::GiveUp(WebSocket) } else { Command::LogIn(Quic) };
        assert_eq!(stage.commands(), [rest]);
    }
}

#[test]
fn a_collapse_is_left_if_the_other_way_is_brisk() {
    let losing = Traffic::Losing(40);
    let mut stage = Stage::carried(Choice::Auto, Quic);
    stage.watch(60 * SECOND, GOOD);
    assert_eq!(stage.watch(12 * SECOND, losing), []);
    assert_eq!(stage.watch(8 * SECOND, losing), [Command::Dial(WebSocket)]);
    stage.now += 1500 * MS;
    assert_eq!(stage.dialled(WebSocket), [Command::GiveUp(WebSocket)], "TCP fares no better");
    assert_eq!(stage.watch(5 * SECOND, losing), []);
    assert_eq!(stage.watch(6 * SECOND, losing), [Command::Dial(WebSocket)]);
    assert_eq!(stage.dialled(WebSocket), [Command::LogIn(WebSocket)]);
}

#[test]
fn strain_is_a_collapse_however_well_quic_copes() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    stage.watch(60 * SECOND, GOOD);
    assert_eq!(stage.watch(9 * SECOND, Traffic::Strained), []);
    assert_eq!(stage.watch(2 * SECOND, Traffic::Strained), [Command::Dial(WebSocket)]);
    assert_eq!(stage.dialled(WebSocket), [Command::LogIn(WebSocket)]);
}

/// Two windows at a time: a path that has a bad while now and then.
#[test]
fn strain_that_ends_moves_nothing() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    for _ in 0..100 {
        assert_eq!(stage.watch(5 * SECOND, Traffic::Strained), []);
        assert_eq!(stage.watch(10 * SECOND, GOOD), []);
    }
}

#[test]
fn silence_does_not_wait_for_what_a_collapse_waits_for() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    stage.watch(60 * SECOND, GOOD);
    assert_eq!(stage.watch(20 * SECOND, Traffic::Losing(40)), [Command::Dial(WebSocket)]);
    stage.now += 1500 * MS;
    assert_eq!(stage.dialled(WebSocket), [Command::GiveUp(WebSocket)]);
    assert_eq!(stage.watch(2 * SECOND, Traffic::Silent), [Command::Dial(WebSocket)]);
    assert_eq!(stage.dialled(WebSocket), [Command::LogIn(WebSocket)]);
}

#[test]
fn loss_and_delay_that_quic_is_made_for_are_no_collapse() {
    for (percent, rtt) in [(10, RTT), (20, 400 * MS), (1, 1900 * MS)] {
        let mut stage = Stage::carried(Choice::Auto, Quic);
        stage.sample.rtt = rtt;
        assert_eq!(stage.watch(600 * SECOND, Traffic::Losing(percent)), []);
    }
}
