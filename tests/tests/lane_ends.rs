//! What is live on a tunnel that the session left, and how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_client::{Choice, Client};
use anyproxy_tests::{
    lab::{self, GROUP, SECRET, Site},
    net::Switch,
    pair::{LONG, Pair, carried, transport},
    party::ping,
    target,
    udp::{self, Udp},
    user::{base64, read_head},
    wait,
};
use anyproxy_transport::{
    Transport,
    net::{Conn, Role},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep, timeout},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A session over both transports: a user's connection began over the WebSocket, and another one over
/// QUIC, to which the session has moved.
async fn two_tunnels(pair: &Pair) -> (Client, SocketAddr, Conn, Conn) {
    pair.link().refuse_udp(Switch::On);
    let (client, port) = pair.connected().await;
    assert_eq!(transport(&client), Some(Transport::WebSocket));
    let old = pair.user(port).await;
    pair.link().refuse_udp(Switch::Off);
    carried(&client, Transport::Quic).await;
    let new = pair.user(port).await;
    (client, port, old, new)
}

/// Goaway comes over both; what is live on either goes on beside the next session.
#[tokio::test(start_paused = true)]
async fn a_former_session_serves_all_its_tunnels() {
    let pair = Pair::new(Choice::Auto);
    let (client, _, mut old, mut new) = two_tunnels(&pair).await;
    let Pair { party, .. } = pair;
    let leaving = tokio::spawn(party.gateway.shutdown(MINUTE));
    sleep(10 * SECOND).await;
    for _ in 0..10 {
        ping(&mut old).await.unwrap();
        ping(&mut new).await.unwrap();
        sleep(SECOND).await;
    }
    drop(old);
    sleep(SECOND).await;
    ping(&mut new).await.unwrap();
    drop(new);
    let ended = timeout(30 * SECOND, leaving).await.expect("it waits for nothing").unwrap();
    assert_eq!(format!("{ended:?}"), "Drained");
    drop(client);
}

/// The drain is over while two tunnels live: both are closed with a code, and nothing is left.
#[tokio::test(start_paused = true)]
async fn a_close_after_goaway_ends_all_tunnels() {
    let pair = Pair::new(Choice::Auto);
    let (client, _, mut old, mut new) = two_tunnels(&pair).await;
    let Pair { party, world, target, choice } = pair;
    let began = Instant::now();
    let party = party.restart().await;
    for user in [&mut old, &mut new] {
        let end = timeout(SECOND, ping(user)).await.expect("it hangs");
        end.expect_err("the gateway is gone");
    }
    let pair = Pair { party, world, target, choice };
    wait::until(&pair.party.site, || pair.party.gateway.sessions() == 1).await;
    assert!(began.elapsed() < MINUTE, "{:?}", began.elapsed());
    let port = timeout(LONG, lab::connected(&client)).await.unwrap()[0];
    pair.works(port).await;
    drop((old, new));
    sleep(2 * MINUTE).await;
    assert_eq!(pair.party.gateway.sessions(), 1);
    assert_eq!(client.flows(), 0);
}

/// One tunnel is lost right after Goaway, the other is not: what is live there goes on.
#[tokio::test(start_paused = true)]
async fn a_former_session_outlives_one_of_its_tunnels() {
    let pair = Pair::new(Choice::Auto);
    let (client, _, mut old, mut new) = two_tunnels(&pair).await;
    let link = pair.link();
    let Pair { party, .. } = pair;
    let leaving = tokio::spawn(party.gateway.shutdown(10 * MINUTE));
    sleep(2 * SECOND).await;
    link.reset_tcp();
    timeout(SECOND, ping(&mut old)).await.expect("it hangs").expect_err("its tunnel is gone");
    for _ in 0..60 {
        ping(&mut new).await.unwrap();
        sleep(SECOND).await;
    }
    drop(new);
    timeout(30 * SECOND, leaving).await.expect("it waits for nothing").unwrap();
    drop(client);
}

/// Answers request after request on one connection.
fn web(site: &Site) -> SocketAddr {
    target::serve(site, |mut conn| async move {
        while read_head(&mut conn).await.is_ok_and(|head| !head.is_empty()) {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
            if conn.write_all(answer).await.is_err() {
                return;
            }
        }
    })
}

async fn request(user: &mut Conn, target: SocketAddr) {
    let who = base64(format!("{GROUP}:{SECRET}").as_bytes());
    let head = format!(
        "GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {who}\r\n\r\n"
    );
    user.write_all(head.as_bytes()).await.unwrap();
    let head = read_head(user).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut body = [0; 2];
    user.read_exact(&mut body).await.unwrap();
    assert_eq!(&body, b"hi");
}

/// A connection that the HTTP proxy keeps for the user's next request is on the tunnel that was
/// cut: the request is not lost there.
#[tokio::test(start_paused = true)]
async fn a_kept_connection_on_a_tunnel_that_was_left_costs_no_request() {
    for dark in [Switch::Off, Switch::On] {
        let pair = Pair::new(Choice::Auto);
        let web = web(&pair.party.site);
        let (client, _) = pair.connected().await;
        let http = pair.party.gateway.addresses().http[0];
        let mut user = pair.party.site.user.connect(http, Role::Proxied).await.unwrap();
        request(&mut user, web).await;
        // The tunnel with the kept connection is left, and dark or not.
        pair.link().black_hole_udp(Switch::On);
        carried(&client, Transport::WebSocket).await;
        pair.link().black_hole_udp(dark);
        let began = Instant::now();
        timeout(5 * SECOND, request(&mut user, web)).await.expect("it hangs");
        assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
        assert_eq!(pair.party.gateway.sessions(), 1);
        sleep(2 * MINUTE).await;
        request(&mut user, web).await;
    }
}

/// A flow on the tunnel that was cut opens anew on the next tunnel; one on a tunnel that was merely left
/// stays, since its target would see another address.
#[tokio::test(start_paused = true)]
async fn a_flow_leaves_a_tunnel_that_is_dark_and_no_other() {
    for dark in [Switch::On, Switch::Off] {
        let pair = Pair::new(Choice::Auto);
        let any = SocketAddr::new(pair.party.site.gateway_ip, 0);
        let mut config = pair.party.config("flows");
        config.transport = Choice::Auto;
        config.forwards = vec![udp::forward(any, udp::echo(&pair.party.site))];
        let client = pair.party.client(config);
        let port = lab::connected(&client).await[0];
        let user = Udp::user(&pair.party.site);
        assert_eq!(user.ask(b"first", port).await, b"first");
        pair.link().black_hole_udp(Switch::On);
        carried(&client, Transport::WebSocket).await;
        pair.link().black_hole_udp(dark);
        sleep(SECOND).await;
        let began = Instant::now();
        loop {
            user.send(b"again", port);
            if user.recv_within(SECOND / 2).await.is_some() {
                break;
            }
            assert!(began.elapsed() < 5 * SECOND, "the user waits for the dark tunnel");
        }
        let expected = if dark == Switch::On { 2 } else { 1 };
        assert_eq!(pair.party.gateway.flows().opened, expected, "{dark:?}");
        assert_eq!(pair.party.gateway.sessions(), 1);
    }
}
