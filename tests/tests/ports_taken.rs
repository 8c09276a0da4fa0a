//! A group loses most of the ports that it holds, at once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_client::{ForwardState, State};
use anyproxy_gateway::PortRule;
use anyproxy_tests::{
    lab::{Options, Site, connected},
    party::{Party, forward, ping},
    target,
};
use anyproxy_transport::{Transport, net::Role};
use tokio::time::{sleep, timeout};

const FIRST: u16 = 20_000;
const PORTS: u16 = 100;
const KEPT: u16 = 2;
const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);

async fn losing_most_ports_ends_nothing_else(transport: Transport) {
    let (site, _world) = Site::simulated();
    let target = target::echo(&site);
    let party = Party::start(site, Options::new(transport));
    let ports = (FIRST..FIRST + PORTS)
        .map(|port| SocketAddr::new(party.site.gateway_ip, port))
        .collect::<Vec<_>>();
    let mut config = party.config("holder");
    config.forwards = ports.iter().map(|port| forward(*port, target)).collect();
    let client = party.client(config);
    assert_eq!(timeout(LONG, connected(&client)).await.unwrap(), ports);
    let mut user = party.user(ports[0]).await;
    ping(&mut user).await.unwrap();
    let mut state = client.state();
    state.mark_unchanged();
    let narrow = PortRule { address: None, first: FIRST, last: FIRST + KEPT - 1 };
    party.set_ports(&[narrow]);
    let refused = |state: &State| match state {
        State::Connected { forwards, .. } => {
            let refused = |it: &&ForwardState| matches!(it, ForwardState::Refused(_));
            forwards.iter().filter(refused).count() == usize::from(PORTS - KEPT)
        }
        other @ (State::Connecting | State::Waiting(_) | State::Ended) => {
            panic!("the session is over: {other:?}")
        }
    };
    // What it gives holds the state's lock.
    assert!(timeout(LONG, state.wait_for(refused)).await.is_ok(), "some were not told");
    ping(&mut user).await.unwrap();
    ping(&mut party.user(ports[1]).await).await.unwrap();
    assert!(party.site.user.connect(ports[2], Role::Proxied).await.is_err());
    // They are asked for again and again.
    sleep(20 * SECOND).await;
    ping(&mut user).await.unwrap();
    party.set_ports(&[PortRule { address: None, first: FIRST, last: u16::MAX }]);
    assert_eq!(timeout(LONG, connected(&client)).await.unwrap(), ports);
    ping(&mut party.user(ports[usize::from(PORTS) - 1]).await).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn losing_most_ports_ends_nothing_else_over_quic() {
    losing_most_ports_ends_nothing_else(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn losing_most_ports_ends_nothing_else_over_websocket() {
    losing_most_ports_ends_nothing_else(Transport::WebSocket).await;
}
