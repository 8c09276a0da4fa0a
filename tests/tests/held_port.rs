//! A port that another group holds.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::time::Duration;

use anyproxy_client::{ForwardState, State};
use anyproxy_tests::{
    lab::{Options, Site, connected},
    party::{Party, forward, ping},
    target,
};
use anyproxy_transport::Transport;
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Conformance case 22.
async fn another_groups_port_is_refused_until_it_is_free(transport: Transport) {
    let (site, world) = Site::simulated();
    let target = target::echo(&site);
    let party = Party::start(site, Options::new(transport));
    let mut config = party.config("holder");
    config.forwards = vec![party.any_port(target)];
    let holder = party.client(config);
    let port = connected(&holder).await[0];
    let mut config = party.config("other");
    config.group = "empty".into();
    config.forwards = vec![forward(port, target)];
    let other = party.client_at(world.host("other", [198, 18, 0, 5].into()).net(), config);
    let refusal = |state: &State| match state {
        State::Connected { forwards, .. } => match &forwards[0] {
            ForwardState::Refused(why) => Some(why.clone()),
            ForwardState::Requested | ForwardState::Bound(_) => None,
        },
        State::Connecting | State::Waiting(_) | State::Ended => None,
    };
    let mut state = other.state();
    let shown = state.wait_for(|state| refusal(state).is_some()).await.unwrap().clone();
    let why = refusal(&shown).unwrap();
    assert!(why.contains("another group") && why.contains(&port.to_string()), "{why}");
    sleep(HOUR).await;
    assert!(refusal(&state.borrow()).is_some());
    ping(&mut party.user(port).await).await.unwrap();
    holder.shutdown(Duration::ZERO).await;
    let freed = Instant::now();
    assert_eq!(timeout(HOUR, connected(&other)).await.unwrap(), [port]);
    assert!(freed.elapsed() <= 6 * SECOND, "{:?}", freed.elapsed());
    ping(&mut party.user(port).await).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn another_groups_port_is_refused_until_it_is_free_over_quic() {
    another_groups_port_is_refused_until_it_is_free(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn another_groups_port_is_refused_until_it_is_free_over_websocket() {
    another_groups_port_is_refused_until_it_is_free(Transport::WebSocket).await;
}
