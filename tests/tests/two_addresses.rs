//! The gateway's name has several addresses (RFC 8305).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{net::IpAddr, time::Duration};

use anyproxy_client::Choice;
use anyproxy_tests::{
    lab,
    net::{Connects, Switch},
    pair::{LONG, Pair},
};
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// One family is broken: what goes there is swallowed, or an error comes back.
#[tokio::test(start_paused = true)]
async fn an_address_that_leads_nowhere_costs_less_than_a_second_over_both_transports() {
    let nowhere: [&[IpAddr]; 3] = [
        &["2001:db8::1".parse().unwrap()],
        &[[198, 18, 0, 77].into()],
        &[[198, 18, 0, 77].into(), [198, 18, 0, 78].into()],
    ];
    for choice in [Choice::Quic, Choice::WebSocket, Choice::Auto] {
        for dead in nowhere {
            let pair = Pair::new(choice);
            let gateway = pair.party.site.gateway_ip;
            for ip in dead {
                let link = pair.world.link([198, 18, 0, 2].into(), *ip);
                link.black_hole(Switch::On);
                link.connects(Connects::Pass);
            }
            pair.world.name("gateway.test", &[dead, &[gateway]].concat());
            let mut config = pair.party.config("pair");
            (config.transport, config.gateway.host) = (choice, "gateway.test".into());
            config.forwards = vec![pair.party.any_port(pair.target)];
            let began = Instant::now();
            let client = pair.party.client(config);
            let port = timeout(LONG, lab::connected(&client)).await.expect("no session")[0];
            assert!(began.elapsed() < SECOND, "{choice:?}, {dead:?}: {:?}", began.elapsed());
            pair.works(port).await;
        }
    }
}
