//! One transport alone: a tunnel that says nothing any more is replaced by another.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_client::{Choice, Client, State};
use anyproxy_tests::{net::Switch, pair::Pair, party::ping};
use tokio::time::{Instant, sleep, timeout};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const BOTH: [Choice; 2] = [Choice::Quic, Choice::WebSocket];

/// How long it takes until a connection that is asked for again and again is served.
async fn served(pair: &Pair, port: SocketAddr) -> Duration {
    let began = Instant::now();
    loop {
        let once = async {
            let mut user = pair.party.user(port).await;
            ping(&mut user).await
        };
        if let Ok(Ok(())) = timeout(500 * MS, once).await {
            return began.elapsed();
        }
    }
}

fn is_connected(client: &Client) -> bool {
    matches!(*client.state().borrow(), State::Connected { .. })
}

/// As when a NAT forgot its mappings, or one end of TCP is gone without a word.
#[tokio::test(start_paused = true)]
async fn a_tunnel_in_use_that_got_lost_is_replaced_within_five_seconds_over_both_transports() {
    for choice in BOTH {
        let pair = Pair::new(choice);
        let (client, port) = pair.connected().await;
        let mut user = pair.user(port).await;
        for offset in [0, 300, 700] {
            sleep(MINUTE + offset * MS).await;
            pair.link().forget();
            let took = served(&pair, port).await;
            assert!(took < 5 * SECOND, "{choice:?}: {took:?}");
            user = pair.user(port).await;
        }
        assert!(is_connected(&client));
        assert_eq!(pair.party.gateway.sessions(), 1, "it is the same session");
        ping(&mut user).await.unwrap();
    }
}

/// Nobody used it for an hour: it is asked less often.
#[tokio::test(start_paused = true)]
async fn a_tunnel_at_rest_that_got_lost_is_replaced_within_fifteen_seconds_over_both_transports() {
    for choice in BOTH {
        let pair = Pair::new(choice);
        let (client, port) = pair.connected().await;
        sleep(60 * MINUTE).await;
        pair.link().forget();
        let took = served(&pair, port).await;
        assert!(took < 15 * SECOND, "{choice:?}: {took:?}");
        assert!(is_connected(&client));
        assert_eq!(pair.party.gateway.sessions(), 1);
    }
}

/// Dials get nowhere either; when bytes come again nothing was torn down.
#[tokio::test(start_paused = true)]
async fn an_outage_of_everything_is_sat_out_over_both_transports() {
    for choice in [Choice::Quic, Choice::WebSocket, Choice::Auto] {
        let pair = Pair::new(choice);
        let (client, port) = pair.connected().await;
        let mut user = pair.user(port).await;
        let mut state = client.state();
        for _ in 0..5 {
            sleep(MINUTE).await;
            pair.link().black_hole(Switch::On);
            sleep(20 * SECOND).await;
            pair.link().black_hole(Switch::Off);
            timeout(5 * SECOND, ping(&mut user)).await.expect("it hangs").unwrap();
            assert!(served(&pair, port).await < 5 * SECOND);
            assert!(matches!(*state.borrow_and_update(), State::Connected { .. }));
        }
        assert_eq!(pair.party.gateway.sessions(), 1);
        sleep(10 * MINUTE).await;
        ping(&mut user).await.unwrap();
    }
}

/// What was left and is dark ends by itself; nothing piles up.
#[tokio::test(start_paused = true)]
async fn what_was_left_ends_when_it_is_dead_over_both_transports() {
    for choice in BOTH {
        let pair = Pair::new(choice);
        let (client, port) = pair.connected().await;
        let tasks = client.tasks();
        for pause in [10 * SECOND, 3 * SECOND] {
            let mut users = vec![];
            for loss in 0..20 {
                users.push(pair.user(port).await);
                sleep(pause).await;
                pair.link().forget();
                let took = served(&pair, port).await;
                assert!(took < 5 * SECOND, "{choice:?}, {pause:?}, loss {loss}: {took:?}");
            }
        }
        sleep(2 * MINUTE).await;
        assert_eq!(client.tasks(), tasks, "{choice:?}");
        assert_eq!(pair.party.gateway.sessions(), 1);
    }
}

/// The gateway that took over knows nothing of the session: no use to wait for the old tunnel's death.
#[tokio::test(start_paused = true)]
async fn a_session_that_the_gateway_does_not_know_is_not_waited_for_over_both_transports() {
    for choice in BOTH {
        let pair = Pair::new(choice);
        let (client, _) = pair.connected().await;
        let Pair { party, world, target, choice } = pair;
        // Nothing of its end is heard.
        let link = world.link([198, 18, 0, 2].into(), party.site.gateway_ip);
        link.black_hole(Switch::On);
        let party = party.restart().await;
        let pair = Pair { party, world, target, choice };
        pair.link().forget();
        pair.link().black_hole(Switch::Off);
        let began = Instant::now();
        anyproxy_tests::wait::until(&pair.party.site, || pair.party.gateway.sessions() == 1).await;
        assert!(began.elapsed() < 10 * SECOND, "{choice:?}: {:?}", began.elapsed());
        drop(client);
    }
}

/// What the watch costs at rest: a Ping in ten seconds.
#[tokio::test(start_paused = true)]
async fn a_tunnel_at_rest_costs_a_ping_in_ten_seconds_over_both_transports() {
    for choice in BOTH {
        let pair = Pair::new(choice);
        let (_client, _) = pair.connected().await;
        sleep(10 * MINUTE).await;
        let capture = pair.link().capture();
        sleep(60 * MINUTE).await;
        let packets = capture.take().len();
        assert!(packets < 360 * 8, "{choice:?}: {packets} packets in an hour");
    }
}
