//! Tunnels that may get so old and no older.

use super::*;

const PERIOD: Duration = Duration::from_secs(60);

/// How many tunnels running are cut at the period.
fn cut(stage: &mut Stage, times: u32) {
    for _ in 0..times {
        let born = stage.now;
        stage.now += PERIOD;
        stage.path.lived(stage.now, (WebSocket, born), Life::Cut);
    }
}

#[test]
fn a_tunnel_has_a_successor_before_its_time_is_over() {
    for (choice, transport) in
        [(Choice::Auto, Quic), (Choice::Quic, Quic), (Choice::WebSocket, WebSocket)]
    {
        let mut stage = Stage::with(choice, Some(PERIOD)).onto(transport);
        for _ in 0..100 {
            let (after, commands) = stage.next();
            assert!(after >= 48 * SECOND && after <= 54 * SECOND, "{after:?}");
            assert_eq!(commands, [Command::Dial(transport)]);
            assert_eq!(stage.path.wait_until(), None);
            stage.up(transport);
        }
    }
}

#[test]
fn what_is_learnt_outlives_the_session() {
    let mut stage = Stage::new(Choice::WebSocket).onto(WebSocket);
    cut(&mut stage, 1);
    assert_eq!(stage.path.wait_until(), None);
    cut(&mut stage, 1);
    assert!(stage.path.wait_until().is_some(), "it holds for the tunnel that is there");
    let mut stage = stage.again(WebSocket);
    stage.commands();
    stage.up(WebSocket);
    assert_eq!(stage.next().1, [Command::Dial(WebSocket)]);
}

#[test]
fn what_is_learnt_is_forgotten_when_a_tunnel_lives_on() {
    let mut stage = Stage::new(Choice::WebSocket).onto(WebSocket);
    cut(&mut stage, 2);
    let mut stage = stage.again(WebSocket).onto(WebSocket);
    let (_, commands) = stage.next();
    assert_eq!(commands, [Command::Dial(WebSocket)]);
    assert_eq!(stage.watch(30 * SECOND, GOOD), [Command::GiveUp(WebSocket)]);
    assert_eq!(stage.path.wait_until(), None);
}

/// Nothing cuts any more, or never did: the renewals end by themselves.
#[test]
fn what_was_learnt_by_mistake_comes_to_rest() {
    let mut stage = Stage::new(Choice::WebSocket).onto(WebSocket);
    cut(&mut stage, 2);
    let mut stage = stage.again(WebSocket);
    stage.commands();
    stage.up(WebSocket);
    let mut renewals = 0;
    while stage.path.wait_until().is_some() {
        assert_eq!(stage.next().1, [Command::Dial(WebSocket)]);
        stage.up(WebSocket);
        renewals += 1;
        assert!(renewals < 50, "it never ends");
    }
    assert!(renewals > 17, "a cut is felt too often");
    assert_eq!(stage.watch(600 * SECOND, GOOD), []);
    cut(&mut stage, 1);
    assert_eq!(stage.path.wait_until(), None, "it is forgotten, so it takes two again");
}

/// It does cut: one cut is felt, then none for longer than before.
#[test]
fn what_was_learnt_and_is_proven_is_believed_for_longer() {
    let mut stage = Stage::new(Choice::WebSocket).onto(WebSocket);
    cut(&mut stage, 2);
    let mut before = 0;
    for _ in 0..3 {
        let mut renewals = 0;
        while stage.path.wait_until().is_some() {
            stage.next();
            stage.up(WebSocket);
            renewals += 1;
        }
        assert!(renewals > 3 * before, "{renewals} after {before}");
        before = renewals;
        cut(&mut stage, 1);
        stage = stage.again(WebSocket);
        stage.commands();
        stage.up(WebSocket);
    }
}

#[test]
fn a_renewal_that_fails_is_tried_again_with_growing_pauses() {
    let mut stage = Stage::with(Choice::WebSocket, Some(PERIOD)).onto(WebSocket);
    stage.next();
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        assert_eq!(stage.failed(WebSocket), []);
        assert_eq!(stage.next(), (pause * SECOND, vec![Command::Dial(WebSocket)]));
    }
    stage.up(WebSocket);
    assert!(stage.next().0 >= 48 * SECOND);
}

#[test]
fn an_older_tunnel_that_the_session_falls_back_to_is_renewed_by_its_own_age() {
    let mut stage = Stage::with(Choice::WebSocket, Some(PERIOD)).onto(WebSocket);
    let born = stage.now;
    stage.now += PERIOD;
    stage.path.fell_back(stage.now, WebSocket, born);
    assert_eq!(stage.commands(), [Command::Dial(WebSocket)]);
}
