//! What each group may take of the gateway, and the limits that all share.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a failure is the test's result, and tasks end with its runtime"
)]

use std::time::Duration;

use anyproxy_gateway::{GroupConfig, GroupLimits};
use anyproxy_tests::{
    groups::{BLUE, RED, blue, member, red, refused, town},
    lab::{Options, Site, connected},
    party::{Party, ping},
    user::{Refusal, read_head},
};
use anyproxy_transport::Transport;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const SECOND: Duration = Duration::from_secs(1);

fn limited(limits: GroupLimits) -> GroupConfig {
    GroupConfig { limits, ..red() }
}

async fn sessions_of_a_group_are_limited(transport: Transport) {
    let (party, _echo) = town(transport);
    let limits = GroupLimits { max_sessions: Some(2), ..GroupLimits::default() };
    party.gateway.set_groups(&[limited(limits), blue()]);
    let one = party.client(member(&party, "one", "red", "red secret"));
    let two = party.client(member(&party, "two", "red", "red secret"));
    connected(&one).await;
    connected(&two).await;
    let three = party.client(member(&party, "three", "red", "red secret"));
    let reason = refused(&three).await;
    assert!(reason.contains("max_sessions") && reason.contains('2'), "{reason}");
    // Another group is not concerned, and a client that is started again takes its own place.
    let four = party.client(member(&party, "four", "blue", "blue secret"));
    connected(&four).await;
    let again = party.client(member(&party, "one", "red", "red secret"));
    connected(&again).await;
    assert_eq!(party.gateway.sessions(), 3);
    drop(again);
    two.shutdown(Duration::ZERO).await;
    connected(&three).await;
    drop(one);
}

#[tokio::test(start_paused = true)]
async fn sessions_of_a_group_are_limited_over_quic() {
    sessions_of_a_group_are_limited(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn sessions_of_a_group_are_limited_over_websocket() {
    sessions_of_a_group_are_limited(Transport::WebSocket).await;
}

/// The same for all sessions of a gateway.
#[tokio::test(start_paused = true)]
async fn a_full_gateway_takes_those_back_that_it_had() {
    let (site, _world) = Site::simulated();
    let mut options = Options::new(Transport::Quic);
    options.limits.max_sessions = 1;
    let party = Party::start(site, options);
    let one = party.client(party.config("one"));
    connected(&one).await;
    let two = party.client(party.config("two"));
    assert!(refused(&two).await.contains("max_sessions"));
    two.shutdown(Duration::ZERO).await;
    let again = party.client(party.config("one"));
    connected(&again).await;
    assert_eq!(party.gateway.sessions(), 1);
}

async fn connections_of_a_group_are_limited(transport: Transport) {
    let (party, echo) = town(transport);
    let limits = GroupLimits { max_connections: Some(3), ..GroupLimits::default() };
    party.gateway.set_groups(&[limited(limits), blue()]);
    let mut config = member(&party, "one", "red", "red secret");
    config.replicas = 2;
    config.forwards = vec![party.any_port(echo)];
    let client = party.client(config);
    let port = connected(&client).await[0];
    let other = party.client(member(&party, "two", "blue", "blue secret"));
    connected(&other).await;
    let doors = party.doors(&[port]);
    let (target, host) = (echo.to_string(), echo.ip().to_string());
    // One by each way, over both sessions.
    let mut by_http = doors.http_connect(&target, &RED).await.unwrap();
    let mut by_socks = doors.socks5_connect(&host, echo.port(), &RED).await.unwrap();
    let mut forwarded = party.user(port).await;
    for conn in [&mut by_http, &mut by_socks, &mut forwarded] {
        ping(conn).await.unwrap();
    }
    let full = doors.http_connect(&target, &RED).await.unwrap_err();
    assert_eq!(full, Refusal::Http(503, "connection_limit_reached".into()));
    let full = doors.socks5_connect(&host, echo.port(), &RED).await.unwrap_err();
    assert_eq!(full, Refusal::Socks5(1));
    assert!(ping(&mut party.user(port).await).await.is_err());
    let mut asking = party.user(party.gateway.addresses().http[0]).await;
    let login = anyproxy_tests::user::base64(b"red:red secret");
    let request = format!(
        "GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\
         Proxy-Authorization: Basic {login}\r\n\r\n"
    );
    asking.write_all(request.as_bytes()).await.unwrap();
    read_head(&mut asking).await.unwrap();
    let mut text = String::new();
    asking.read_to_string(&mut text).await.unwrap();
    assert!(text.contains("max_connections") && text.contains('3'), "{text}");
    doors.http_connect(&target, &BLUE).await.unwrap();

    drop(by_socks);
    let mut next = None;
    for _ in 0..100 {
        tokio::time::sleep(SECOND / 100).await;
        if let Ok(conn) = doors.http_connect(&target, &RED).await {
            next = Some(conn);
            break;
        }
    }
    ping(&mut next.unwrap()).await.unwrap();
    // A lower limit is for new ones.
    let limits = GroupLimits { max_connections: Some(0), ..GroupLimits::default() };
    party.gateway.set_groups(&[limited(limits), blue()]);
    ping(&mut by_http).await.unwrap();
    ping(&mut forwarded).await.unwrap();
    assert!(doors.http_connect(&target, &RED).await.is_err());
    party.gateway.set_groups(&[red(), blue()]);
    ping(&mut doors.http_connect(&target, &RED).await.unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connections_of_a_group_are_limited_over_quic() {
    connections_of_a_group_are_limited(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn connections_of_a_group_are_limited_over_websocket() {
    connections_of_a_group_are_limited(Transport::WebSocket).await;
}
