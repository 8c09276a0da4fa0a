//! Which transport is tried when.

use super::*;
use crate::path::{carrier::GOOD_QUIC, decide::LOGIN_PATIENCE};

#[test]
fn quic_has_a_head_start() {
    let mut stage = Stage::new(Choice::Auto);
    assert_eq!(stage.commands(), [Command::Dial(Quic)]);
    assert_eq!(stage.next(), (HEAD_START, vec![Command::Dial(WebSocket)]));
    assert_eq!(stage.dialled(WebSocket), [Command::LogIn(WebSocket)]);
    assert_eq!(stage.dialled(Quic), [], "one at a time");
}

#[test]
fn what_carried_the_last_session_starts_first() {
    let mut stage = Stage::new(Choice::Auto).again(WebSocket);
    assert_eq!(stage.commands(), [Command::Dial(WebSocket)]);
    assert_eq!(stage.next(), (HEAD_START, vec![Command::Dial(Quic)]), "it gets its chance");
    stage.up(WebSocket);
    assert_eq!(stage.dialled(Quic), [Command::LogIn(Quic)], "and takes the session over");
}

#[test]
fn one_that_fails_makes_way_at_once() {
    let mut stage = Stage::new(Choice::Auto);
    stage.commands();
    stage.pass(MS);
    assert_eq!(stage.failed(Quic), [Command::Dial(WebSocket)]);
    assert!(!stage.path.is_exhausted());
    stage.failed(WebSocket);
    assert!(stage.path.is_exhausted());
    assert_eq!(stage.path.wait_until(), None);
}

#[test]
fn quic_that_is_up_first_ends_the_race() {
    for begun in [false, true] {
        let mut stage = Stage::new(Choice::Auto);
        stage.commands();
        if begun {
            assert_eq!(stage.pass(HEAD_START), [Command::Dial(WebSocket)]);
        }
        assert_eq!(stage.dialled(Quic), [Command::LogIn(Quic)]);
        if begun {
            assert_eq!(stage.dialled(WebSocket), []);
        }
        stage.path.logged_in(stage.now, Quic);
        let end: &[_] = if begun { &[Command::GiveUp(WebSocket)] } else { &[] };
        assert_eq!(stage.commands(), end);
        assert_eq!(stage.path.wait_until(), None);
    }
}

#[test]
fn a_login_that_hangs_gives_way() {
    let mut stage = Stage::new(Choice::Auto);
    stage.commands();
    stage.dialled(Quic);
    assert_eq!(stage.pass(HEAD_START), [Command::Dial(WebSocket)]);
    stage.now += 5 * SECOND;
    assert_eq!(stage.commands(), [], "nobody waits for its turn");
    assert_eq!(stage.dialled(WebSocket), [Command::GiveUp(Quic), Command::LogIn(WebSocket)]);
    let mut stage = Stage::new(Choice::Auto);
    stage.commands();
    stage.pass(HEAD_START);
    stage.dialled(Quic);
    assert_eq!(stage.dialled(WebSocket), []);
    let gives_way = vec![Command::GiveUp(Quic), Command::LogIn(WebSocket)];
    assert_eq!(stage.next(), (LOGIN_PATIENCE, gives_way));
}

#[test]
fn what_the_gateway_says_goes_for_both() {
    let mut stage = Stage::new(Choice::Auto);
    stage.commands();
    stage.pass(HEAD_START);
    stage.dialled(Quic);
    stage.path.failed(stage.now, Quic, Obstacle::Gateway);
    assert!(stage.path.is_exhausted());
    assert_eq!(stage.commands(), []);
}

#[test]
fn quic_is_probed_for_ever_with_growing_pauses() {
    let mut stage = Stage::carried(Choice::Auto, WebSocket);
    let mut expected = FIRST_PROBE;
    for _ in 0..1000 {
        let (pause, commands) = stage.next();
        assert_eq!(commands, [Command::Dial(Quic)]);
        assert!(pause >= expected * 3 / 4 && pause <= expected * 5 / 4, "{pause:?} {expected:?}");
        expected = (expected * 2).min(LAST_PROBE);
        assert_eq!(stage.pass(10 * SECOND), []);
        stage.failed(Quic);
    }
    stage.next();
    stage.up(Quic);
}

#[test]
fn quic_that_was_good_is_probed_soon_again_and_quic_that_was_not_is_not() {
    for (lasted, soon) in [(2 * GOOD_QUIC, true), (GOOD_QUIC / 2, false)] {
        let mut stage = Stage::carried(Choice::Auto, WebSocket);
        for _ in 0..4 {
            stage.next();
            stage.failed(Quic);
        }
        stage.next();
        stage.up(Quic);
        assert_eq!(stage.watch(lasted, GOOD), []);
        stage.watch(3 * SECOND, Traffic::Silent);
        stage.up(WebSocket);
        let (pause, _) = stage.next();
        assert_eq!(pause < 2 * FIRST_PROBE, soon, "{pause:?}");
    }
}

#[test]
fn the_session_falls_back_to_a_tunnel_that_is_left() {
    let mut stage = Stage::carried(Choice::Auto, WebSocket);
    stage.next();
    stage.up(Quic);
    stage.path.fell_back(stage.now, WebSocket, stage.now);
    assert!(stage.next().1.contains(&Command::Dial(Quic)));
}
