//! Handshakes that pass, and log-ins that hang, while the session's tunnel is silent.

use super::*;
use crate::path::decide::{HUNG_PAUSE, LAST_RESORT, LOGIN_PATIENCE};

/// A WebSocket that went dark, with QUIC logging in and another WebSocket that waits for its turn.
fn both_up() -> Stage {
    let mut stage = Stage::carried(Choice::Auto, WebSocket);
    stage.sample.streams = 1;
    stage.watch(SECOND, GOOD);
    stage.watch(2 * SECOND + LOOK, Traffic::Silent);
    assert_eq!(stage.dialled(Quic), [Command::LogIn(Quic)]);
    assert_eq!(stage.dialled(WebSocket), []);
    stage
}

#[test]
fn a_rescue_whose_log_in_hangs_gives_way_to_the_one_that_waits() {
    let mut stage = both_up();
    let gives_way = [Command::GiveUp(Quic), Command::LogIn(WebSocket)];
    assert_eq!(stage.watch(LOGIN_PATIENCE, Traffic::Silent), gives_way);
    stage.path.logged_in(stage.now, WebSocket);
    let (pause, commands) = stage.next();
    assert_eq!(commands, [Command::Dial(Quic)], "it is probed for ever");
    assert!(pause <= 2 * FIRST_PROBE * 5 / 4, "{pause:?}");
}

#[test]
fn a_last_resort_whose_log_in_hangs_gives_way_to_the_websocket() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    stage.watch(SECOND, GOOD);
    stage.watch(3 * SECOND, Traffic::Silent);
    assert_eq!(stage.watch(LAST_RESORT, Traffic::Silent), [Command::Dial(Quic)]);
    assert_eq!(stage.dialled(Quic), [Command::LogIn(Quic)]);
    assert_eq!(stage.watch(2 * LOGIN_PATIENCE, Traffic::Silent), [], "nobody waits for its turn");
    let gives_way = [Command::GiveUp(Quic), Command::LogIn(WebSocket)];
    assert_eq!(stage.dialled(WebSocket), gives_way);
}

#[test]
fn two_that_hang_do_not_push_each_other_out_in_turns() {
    let mut stage = both_up();
    stage.watch(LOGIN_PATIENCE, Traffic::Silent);
    assert_eq!(stage.watch(HUNG_PAUSE - LOOK, Traffic::Silent), []);
    assert_eq!(stage.watch(2 * LOOK, Traffic::Silent), [Command::Dial(Quic)]);
    let gives_way = [Command::GiveUp(WebSocket), Command::LogIn(Quic)];
    assert_eq!(stage.dialled(Quic), gives_way);
}

#[test]
fn a_log_in_has_its_time_where_bytes_come_again() {
    let mut stage = both_up();
    assert_eq!(stage.watch(LOOK, GOOD), [Command::GiveUp(WebSocket)]);
    assert_eq!(stage.watch(5 * SECOND, GOOD), []);
    stage.path.logged_in(stage.now, Quic);
}
