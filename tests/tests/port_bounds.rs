//! How many forwarded ports there are over all sessions.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is the test's")]

use anyproxy_client::{ForwardState, State};
use anyproxy_tests::{
    lab::{Options, Site, connected},
    party::{Party, forward},
    target,
};
use anyproxy_transport::Transport;

async fn ports_of_all_sessions_are_bounded(transport: Transport) {
    let (site, _world) = Site::simulated();
    let target = target::echo(&site);
    let mut options = Options::new(transport);
    options.limits.max_ports = 2;
    let party = Party::start(site, options);
    let mut config = party.config("first");
    config.forwards = vec![party.any_port(target), party.any_port(target)];
    let first = party.client(config);
    let ports = connected(&first).await;
    assert_eq!(ports.len(), 2);
    // What is shared is not one more; what is new is.
    let mut config = party.config("second");
    config.forwards = vec![forward(ports[0], target), party.any_port(target)];
    let second = party.client(config);
    let answers = |state: &State| match state {
        State::Connected { forwards, .. } => Some(forwards.clone()),
        State::Connecting | State::Waiting(_) | State::Ended => None,
    };
    let is_asked = |forward: &ForwardState| !matches!(forward, ForwardState::Requested);
    let all = |state: &State| answers(state).is_some_and(|all| all.iter().all(is_asked));
    let told = answers(&second.state().wait_for(all).await.unwrap()).unwrap();
    assert_eq!(told[0], ForwardState::Bound(ports[0]));
    let ForwardState::Refused(why) = &told[1] else { panic!("{told:?}") };
    assert!(why.contains("all the 2 ports"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn ports_of_all_sessions_are_bounded_over_quic() {
    ports_of_all_sessions_are_bounded(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn ports_of_all_sessions_are_bounded_over_websocket() {
    ports_of_all_sessions_are_bounded(Transport::WebSocket).await;
}
