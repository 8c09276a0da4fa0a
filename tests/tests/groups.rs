//! Groups that change while the gateway runs (Conformance cases 19, 27, 28).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a failure is the test's result, and tasks end with its runtime"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_client::{ForwardState, State};
use anyproxy_gateway::{GroupConfig, PortRule, UserConfig};
use anyproxy_tests::{
    groups::{BLUE, RED, blue, kept, member, red, refused, town},
    lab::connected,
    party::{forward, ping},
    user::{As, Refusal, eventually},
};
use anyproxy_transport::Transport;

const SECOND: Duration = Duration::from_secs(1);

/// What is gone or has another secret is closed, and only that.
async fn only_what_changed_is_closed(transport: Transport, after: Option<GroupConfig>) {
    let (party, echo) = town(transport);
    let mut config = member(&party, "one", "red", "red secret");
    config.forwards = vec![party.any_port(echo)];
    let one = party.client(config);
    let mut config = member(&party, "two", "blue", "blue secret");
    config.forwards = vec![party.any_port(echo)];
    let two = party.client(config);
    let (red_port, blue_port) = (connected(&one).await[0], connected(&two).await[0]);
    let doors = party.doors(&[]);
    let mut red_user = doors.http_connect(&echo.to_string(), &RED).await.unwrap();
    let mut blue_user = doors.http_connect(&echo.to_string(), &BLUE).await.unwrap();
    let mut forwarded = party.user(blue_port).await;
    for conn in [&mut red_user, &mut blue_user, &mut forwarded] {
        ping(conn).await.unwrap();
    }

    let groups = after.into_iter().chain([blue()]).collect::<Vec<_>>();
    party.gateway.set_groups(&groups);
    assert_eq!(party.gateway.sessions(), 1);
    let reason = refused(&one).await;
    assert!(reason.contains("the group"), "{reason}");
    assert!(reason.contains("secret was changed") || reason.contains("removed"), "{reason}");
    assert!(ping(&mut red_user).await.is_err(), "connections end with their session");
    // The port is free for others at once.
    let mut config = member(&party, "three", "blue", "blue secret");
    config.forwards = vec![forward(red_port, echo)];
    let three = party.client(config);
    assert_eq!(connected(&three).await, [red_port]);
    ping(&mut party.user(red_port).await).await.unwrap();
    ping(&mut blue_user).await.unwrap();
    ping(&mut forwarded).await.unwrap();
    // The old secret is refused, not superseded or let in again.
    tokio::time::sleep(120 * SECOND).await;
    let reason = refused(&one).await;
    assert!(reason.contains("check group and secret"), "{reason}");
    assert!(matches!(&*two.state().borrow(), State::Connected { .. }));
    assert_eq!(party.gateway.sessions(), 2);
    // As it was before: everybody is back.
    party.gateway.set_groups(&[red(), blue()]);
    let back = eventually("back", 120 * SECOND, || party.gateway.sessions() == 3).await;
    assert!(back > Duration::ZERO);
    ping(&mut doors.http_connect(&echo.to_string(), &RED).await.unwrap()).await.unwrap();
    ping(&mut blue_user).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_removed_group_is_closed_and_nothing_else_over_quic() {
    only_what_changed_is_closed(Transport::Quic, None).await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_group_is_closed_and_nothing_else_over_websocket() {
    only_what_changed_is_closed(Transport::WebSocket, None).await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_tunnel_secret_closes_its_sessions_and_nothing_else_over_quic() {
    let changed = GroupConfig { tunnel: kept("another"), ..red() };
    only_what_changed_is_closed(Transport::Quic, Some(changed)).await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_tunnel_secret_closes_its_sessions_and_nothing_else_over_websocket() {
    let changed = GroupConfig { tunnel: kept("another"), ..red() };
    only_what_changed_is_closed(Transport::WebSocket, Some(changed)).await;
}

/// Users come, go and change their passwords; sessions and open connections stay.
async fn users_change_without_disturbing_anybody(transport: Transport) {
    let (party, echo) = town(transport);
    let client = party.client(member(&party, "one", "red", "red secret"));
    connected(&client).await;
    let doors = party.doors(&[]);
    let host = echo.ip().to_string();
    let (target, wrong) = (echo.to_string(), Refusal::Http(407, "http_request_denied".into()));
    let mut open = doors.http_connect(&target, &RED).await.unwrap();
    ping(&mut open).await.unwrap();
    // A user of another group cannot use this one, nor can this one's client secret alone.
    let failed = doors.http_connect(&target, &BLUE).await.unwrap_err();
    assert_eq!(failed, Refusal::Http(503, "destination_unavailable".into()));

    let users = [("ann", "ann's"), ("bob", "bob's")]
        .map(|(name, password)| UserConfig { name: name.into(), password: kept(password) });
    let several = GroupConfig { users: users.to_vec(), ..red() };
    party.gateway.set_groups(&[several, blue()]);
    for (name, password, right) in [
        ("ann", "ann's", true),
        ("bob", "bob's", true),
        ("ann", "bob's", false),
        ("red", "red secret", false),
        ("ann", "red secret", false),
    ] {
        let user = As { name, password };
        let result = doors.http_connect(&target, &user).await;
        assert_eq!(result.is_ok(), right, "{name} {password}");
        if let Err(refusal) = result {
            assert_eq!(refusal, wrong);
        }
        let by_socks = doors.socks5_connect(&host, echo.port(), &user).await;
        assert_eq!(by_socks.is_ok(), right, "{name} {password}");
    }
    ping(&mut open).await.unwrap();
    // Nobody: the group cannot be used at the proxies.
    party.gateway.set_groups(&[GroupConfig { users: vec![], ..red() }, blue()]);
    for (name, password) in [("ann", "ann's"), ("red", "red secret"), ("", "")] {
        let refusal = doors.http_connect(&target, &As { name, password }).await.unwrap_err();
        assert_eq!(refusal, wrong);
    }
    ping(&mut open).await.unwrap();
    assert_eq!(party.gateway.sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn users_change_without_disturbing_anybody_over_quic() {
    users_change_without_disturbing_anybody(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn users_change_without_disturbing_anybody_over_websocket() {
    users_change_without_disturbing_anybody(Transport::WebSocket).await;
}

/// A port that the group may not have any more closes, and its client is told.
async fn a_port_that_is_not_allowed_any_more_closes(transport: Transport) {
    let (party, echo) = town(transport);
    let [kept, lost] = [3000, 4000].map(|port| SocketAddr::new(party.site.gateway_ip, port));
    let mut config = member(&party, "one", "red", "red secret");
    config.forwards = vec![forward(kept, echo), forward(lost, echo)];
    let client = party.client(config);
    assert_eq!(connected(&client).await, [kept, lost]);
    let mut open = party.user(lost).await;
    ping(&mut open).await.unwrap();

    let ports = vec![PortRule { address: None, first: 3000, last: 3999 }];
    party.gateway.set_groups(&[GroupConfig { ports, ..red() }, blue()]);
    let told = |state: &State| match state {
        State::Connected { forwards, .. } => {
            matches!(&forwards[..], [ForwardState::Bound(_), ForwardState::Refused(_)])
        }
        _ => false,
    };
    client.state().wait_for(told).await.unwrap();
    ping(&mut open).await.unwrap();
    ping(&mut party.user(kept).await).await.unwrap();
    let mut config = member(&party, "two", "blue", "blue secret");
    config.forwards = vec![forward(lost, echo)];
    let other = party.client(config);
    assert_eq!(connected(&other).await, [lost], "it is free for another group");
    other.shutdown(Duration::ZERO).await;
    // Allowed again: the client asks again by itself.
    party.gateway.set_groups(&[red(), blue()]);
    let back = |state: &State| match state {
        State::Connected { forwards, .. } => {
            forwards.iter().all(|forward| matches!(forward, ForwardState::Bound(_)))
        }
        _ => false,
    };
    client.state().wait_for(back).await.unwrap();
    ping(&mut party.user(lost).await).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_not_allowed_any_more_closes_over_quic() {
    a_port_that_is_not_allowed_any_more_closes(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_not_allowed_any_more_closes_over_websocket() {
    a_port_that_is_not_allowed_any_more_closes(Transport::WebSocket).await;
}

/// Two processes with one client id by mistake: the one that was started last stays.
async fn two_processes_with_one_name_do_not_take_turns(transport: Transport) {
    let (party, echo) = town(transport);
    let first = party.client(member(&party, "same", "red", "red secret"));
    connected(&first).await;
    let second = party.client(member(&party, "same", "red", "red secret"));
    connected(&second).await;
    let reason = refused(&first).await;
    assert!(reason.contains("client_id"), "{reason}");
    let doors = party.doors(&[]);
    let mut open = doors.http_connect(&echo.to_string(), &RED).await.unwrap();
    for _ in 0..20 {
        tokio::time::sleep(60 * SECOND).await;
        ping(&mut open).await.unwrap();
    }
    assert!(matches!(&*second.state().borrow(), State::Connected { .. }));
    // Only when the newer one has left the older one may come back.
    second.shutdown(Duration::ZERO).await;
    connected(&first).await;
    assert_eq!(party.gateway.sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_processes_with_one_name_do_not_take_turns_over_quic() {
    two_processes_with_one_name_do_not_take_turns(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn two_processes_with_one_name_do_not_take_turns_over_websocket() {
    two_processes_with_one_name_do_not_take_turns(Transport::WebSocket).await;
}
