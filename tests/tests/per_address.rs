//! One address cannot take the places of all users.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's")]

use std::time::Duration;

use anyproxy_runtime::Deadline;
use anyproxy_tests::{
    lab::{Lab, Options, Site},
    target,
    user::Way,
};
use anyproxy_transport::{Transport, net::Role};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Somebody opens connections at every entry point and holds them; another address is still served.
async fn a_greedy_address_is_turned_away_and_others_are_served(transport: Transport) {
    let (site, world) = Site::simulated();
    let greedy = world.host("greedy", "198.18.0.66".parse().unwrap()).net();
    let echo = target::echo(&site);
    let mut options = Options::new(transport).forwards(&[echo]);
    options.limits.max_users = 16;
    options.limits.max_users_per_address = 5;
    let lab = Lab::start(site, &options).await;
    let doors = [lab.http(), lab.socks5(), lab.ports[0]];
    let mut held = Vec::new();
    for door in doors.into_iter().cycle().take(30) {
        held.push(greedy.connect(door, Role::Proxied).await.unwrap());
    }
    for closed in held.iter_mut().skip(5) {
        let read = Deadline::after(Duration::from_secs(5)).bound(closed.read(&mut [0])).await;
        assert_eq!(read.unwrap().unwrap_or(0), 0, "closed at once");
    }
    assert_eq!(lab.gateway.turned_away(), 25);
    let mut served = Vec::new();
    for way in [Way::Http, Way::Socks5] {
        let mut conn = lab.connect(way, echo).await;
        conn.write_all(b"hello").await.unwrap();
        let mut got = [0; 5];
        conn.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"hello");
        served.push(conn);
    }
    drop(held);
    let mut forwarded = loop {
        // Its old connections end one by one.
        let mut conn = greedy.connect(lab.ports[0], Role::Proxied).await.unwrap();
        let written = conn.write_all(b"hello").await;
        let mut got = [0; 5];
        if written.is_ok() && conn.read_exact(&mut got).await.is_ok() {
            assert_eq!(&got, b"hello");
            break conn;
        }
    };
    forwarded.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_greedy_address_is_turned_away_and_others_are_served_over_quic() {
    a_greedy_address_is_turned_away_and_others_are_served(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_greedy_address_is_turned_away_and_others_are_served_over_websocket() {
    a_greedy_address_is_turned_away_and_others_are_served(Transport::WebSocket).await;
}
