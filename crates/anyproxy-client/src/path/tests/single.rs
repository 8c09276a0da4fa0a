//! One transport alone.

use super::*;

const BOTH: [(Choice, Transport); 2] = [(Choice::Quic, Quic), (Choice::WebSocket, WebSocket)];

#[test]
fn a_fixed_choice_is_kept() {
    for (choice, transport) in BOTH {
        let mut stage = Stage::new(choice).again(other(transport));
        assert_eq!(stage.commands(), [Command::Dial(transport)]);
        assert_eq!(stage.path.wait_until(), None);
        stage.up(transport);
        assert_eq!(stage.path.wait_until(), None);
        assert_eq!(stage.watch(600 * SECOND, GOOD), []);
        let strange = Command::Dial(other(transport));
        assert!(!stage.watch(60 * SECOND, Traffic::Silent).contains(&strange));
        let mut stage = Stage::new(choice);
        stage.commands();
        stage.failed(transport);
        assert!(stage.path.is_exhausted());
    }
}

#[test]
fn a_dark_tunnel_in_use_is_replaced_within_five_seconds() {
    for (choice, transport) in BOTH {
        let mut stage = Stage::carried(choice, transport);
        stage.sample.streams = 1;
        assert_eq!(stage.watch(600 * SECOND, GOOD), []);
        assert_eq!(stage.watch(SECOND, Traffic::Silent), [Command::Ping]);
        assert_eq!(stage.watch(SECOND, Traffic::Silent), [Command::Dial(transport)]);
        assert_eq!(stage.dialled(transport), [], "it may come back");
        assert_eq!(stage.watch(SECOND, Traffic::Silent), [Command::LogIn(transport)]);
        stage.path.logged_in(stage.now, transport);
        assert_eq!(stage.watch(60 * SECOND, GOOD), []);
    }
}

#[test]
fn bytes_that_come_again_end_the_search() {
    for (choice, transport) in BOTH {
        let mut stage = Stage::carried(choice, transport);
        stage.sample.streams = 1;
        stage.watch(SECOND, GOOD);
        stage.watch(2 * SECOND, Traffic::Silent);
        stage.dialled(transport);
        assert_eq!(stage.watch(SECOND, GOOD), [Command::GiveUp(transport)]);
        assert_eq!(stage.watch(600 * SECOND, GOOD), []);
    }
}

#[test]
fn a_network_that_is_dark_altogether_is_tried_again_and_again() {
    for (choice, transport) in BOTH {
        let mut stage = Stage::carried(choice, transport);
        stage.watch(SECOND, GOOD);
        stage.watch(3 * SECOND, Traffic::Silent);
        for _ in 0..100 {
            assert_eq!(stage.failed(transport), []);
            let again = stage.watch(RESCUE_PAUSE, Traffic::Silent);
            assert_eq!(again, [Command::Dial(transport)]);
        }
        stage.failed(transport);
        assert_eq!(stage.watch(600 * SECOND, GOOD), [], "nothing is torn down");
    }
}

/// What a battery pays for.
#[test]
fn a_tunnel_at_rest_is_asked_after_ten_seconds() {
    for (choice, transport) in BOTH {
        let mut stage = Stage::carried(choice, transport);
        stage.watch(61 * SECOND, GOOD);
        assert_eq!(stage.path.look_every(), Some(SECOND));
        assert_eq!(stage.watch(9 * SECOND, Traffic::Silent), []);
        assert_eq!(stage.watch(SECOND + LOOK, Traffic::Silent), [Command::Ping]);
        assert_eq!(stage.path.look_every(), Some(LOOK));
        assert_eq!(stage.watch(SECOND, Traffic::Silent), [Command::Dial(transport)]);
        stage.dialled(transport);
        assert_eq!(stage.watch(SECOND, Traffic::Silent), [Command::LogIn(transport)]);
    }
}

#[test]
fn who_wakes_up_asks_at_once() {
    for (choice, transport) in BOTH {
        let mut stage = Stage::carried(choice, transport);
        stage.watch(120 * SECOND, GOOD);
        stage.now += Duration::from_secs(3600);
        let asked = stage.watch(2 * SECOND, Traffic::Silent);
        assert_eq!(asked, [Command::Ping], "it was not silent, but it is asked soon");
        stage.watch(SECOND, Traffic::Silent);
        assert_eq!(stage.dialled(transport), []);
        assert_eq!(stage.watch(SECOND, Traffic::Silent), [Command::LogIn(transport)]);
    }
}

#[test]
fn a_slow_network_is_given_its_time() {
    for (choice, transport) in BOTH {
        let mut stage = Stage::carried(choice, transport);
        stage.sample.rtt = 800 * MS;
        stage.watch(SECOND, GOOD);
        assert_eq!(stage.watch(6 * SECOND, Traffic::Silent), [Command::Ping]);
        assert_eq!(stage.watch(2 * SECOND, Traffic::Silent), [Command::Dial(transport)]);
    }
}
