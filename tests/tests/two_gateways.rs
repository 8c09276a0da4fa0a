//! Two gateways behind one name: a session is known to one of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyproxy_client::{Choice, Client};
use anyproxy_gateway::Gateway;
use anyproxy_tests::{
    lab,
    net::{LinkHandle, LinkSettings, Switch},
    pair::{LONG, Pair},
    party::ping,
};
use tokio::time::{sleep, timeout};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const ALL: [Choice; 3] = [Choice::Quic, Choice::WebSocket, Choice::Auto];

/// The pair's gateway, and another one at the same port of the next host.
struct Two {
    pair: Pair,
    other: Gateway,
    /// What is between the client and the other one.
    detour: LinkHandle,
}

impl Two {
    /// The other one comes first in the name's addresses.
    fn new(choice: Choice) -> Self {
        let pair = Pair::new(choice);
        let ip = IpAddr::from([198, 18, 0, 9]);
        let host = pair.world.host("other", ip);
        let (site, options) = (&pair.party.site, &pair.party.options);
        let mut config = lab::gateway_config(site, options, &pair.party.certificates);
        let tunnels = SocketAddr::new(ip, pair.party.gateway.addresses().tunnels.port());
        config.tunnels.addr = tunnels;
        let any = SocketAddr::new(ip, 0);
        (config.http, config.socks5) = (vec![any], vec![any]);
        let other = Gateway::start(&config, host.net(), 10 * SECOND).unwrap();
        pair.world.name("gateway.test", &[ip, site.gateway_ip]);
        let detour = pair.world.link([198, 18, 0, 2].into(), ip);
        Self { pair, other, detour }
    }

    /// With a session at the pair's gateway.
    async fn connected(&self) -> (Client, SocketAddr) {
        self.detour.black_hole(Switch::On);
        let mut config = self.pair.party.config("two");
        config.transport = self.pair.choice;
        config.gateway.host = "gateway.test".into();
        config.forwards = vec![self.pair.party.any_port(self.pair.target)];
        let client = self.pair.party.client(config);
        let port = timeout(LONG, lab::connected(&client)).await.expect("no session")[0];
        self.detour.black_hole(Switch::Off);
        (client, port)
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_sessions_gateway_costs_no_connection_over_both_transports() {
    for choice in ALL {
        for pause in [3, 6, 10] {
            let two = Two::new(choice);
            let (_client, port) = two.connected().await;
            let mut user = two.pair.user(port).await;
            sleep(MINUTE / 2).await;
            two.pair.link().black_hole(Switch::On);
            sleep(pause * SECOND).await;
            two.pair.link().black_hole(Switch::Off);
            let answer = timeout(15 * SECOND, ping(&mut user)).await.expect("it hangs");
            answer.unwrap_or_else(|error| panic!("{choice:?}, {pause} s: {error}"));
            two.pair.works(port).await;
            assert_eq!(two.pair.party.gateway.sessions(), 1);
            assert_eq!(two.other.sessions(), 0);
        }
    }
}

/// The other one is as near, or much nearer and answers first.
#[tokio::test(start_paused = true)]
async fn a_lost_tunnel_is_replaced_at_the_sessions_gateway_over_both_transports() {
    for choice in ALL {
        for (delay, soon) in [(10 * MS, 5 * SECOND), (300 * MS, 15 * SECOND)] {
            let two = Two::new(choice);
            two.pair.link().set(LinkSettings::with_delay(delay));
            let (_client, port) = two.connected().await;
            let _user = two.pair.user(port).await;
            sleep(MINUTE / 2).await;
            two.pair.link().forget();
            let served = async {
                loop {
                    let once = async {
                        let mut user = two.pair.party.user(port).await;
                        ping(&mut user).await
                    };
                    if let Ok(Ok(())) = timeout(2 * SECOND, once).await {
                        break;
                    }
                }
            };
            let served = timeout(soon, served).await;
            served.unwrap_or_else(|_| panic!("{choice:?}, {delay:?}: no service"));
            assert_eq!(two.pair.party.gateway.sessions(), 1, "it is the same session");
            assert_eq!(two.other.sessions(), 0);
        }
    }
}
