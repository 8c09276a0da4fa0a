//! Ending: in order, in time, and with nothing left behind.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "a failure is the test's result"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_client::{Ended as ClientEnded, State};
use anyproxy_gateway::Ended;
use anyproxy_runtime::Scope;
use anyproxy_tests::{
    lab::{Lab, Options, Site},
    target,
    user::{As, Refusal, Way, base64, read_head},
};
use anyproxy_transport::{
    Transport,
    net::{Conn, Role},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Echoes one byte, so that everything is set up on both sides.
async fn live(lab: &Lab, way: Way, target: SocketAddr) -> Conn {
    let mut conn = lab.connect(way, target).await;
    conn.write_all(b"x").await.unwrap();
    assert_eq!(conn.read_u8().await.unwrap(), b'x');
    conn
}

async fn thousand_live_connections_are_cut(site: Site, transport: Transport) {
    let target = target::echo(&site);
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    let mut users = Vec::new();
    for index in 0..1000 {
        let way = [Way::Http, Way::Socks5, Way::Forward][index % 3];
        users.push(live(&lab, way, target).await);
    }
    let (scope, ports) = (lab.gateway.scope(), tcp_ports(&lab));
    assert_eq!(lab.gateway.shutdown(SECOND).await, Ended::Cut(1000));
    assert_eq!(scope.tasks(), 0);
    for port in ports {
        lab.site.gateway.listen(port).unwrap();
    }
    for user in &mut users {
        let error = user.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "a cut is no clean end");
    }
}

fn tcp_ports(lab: &Lab) -> Vec<SocketAddr> {
    let addresses = lab.gateway.addresses();
    let proxies = [&addresses.http[..], &addresses.socks5].concat();
    [&proxies[..], &lab.ports, &[addresses.tunnels]].concat()
}

#[tokio::test]
async fn thousand_live_connections_are_cut_over_quic() {
    thousand_live_connections_are_cut(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn thousand_live_connections_are_cut_over_websocket() {
    thousand_live_connections_are_cut(Site::loopback(), Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn thousand_live_connections_are_cut_over_quic_simulated() {
    thousand_live_connections_are_cut(Site::simulated().0, Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn thousand_live_connections_are_cut_over_websocket_simulated() {
    thousand_live_connections_are_cut(Site::simulated().0, Transport::WebSocket).await;
}

/// One connection through each ingress ends during the drain, the last one after `lasts`.
async fn a_drain_ends_with_the_last_connection(transport: Transport) {
    let (lab, target) = simulated(transport).await;
    let mut users = Vec::new();
    for way in [Way::Http, Way::Socks5, Way::Forward] {
        users.push(live(&lab, way, target).await);
    }
    let began = Instant::now();
    let finishing = async {
        for mut user in users {
            sleep(SECOND).await;
            user.write_all(b"still here").await.unwrap();
            user.shutdown().await.unwrap();
            let mut got = String::new();
            user.read_to_string(&mut got).await.unwrap();
            assert_eq!(got, "still here");
        }
    };
    let (ended, ()) = tokio::join!(lab.gateway.shutdown(MINUTE), finishing);
    assert_eq!(ended, Ended::Drained);
    let took = began.elapsed();
    assert!(took < Duration::from_millis(3500), "{took:?}");
}

/// A lab with an echo behind a forwarded port.
async fn simulated(transport: Transport) -> (Lab, SocketAddr) {
    let site = Site::simulated().0;
    let target = target::echo(&site);
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    (lab, target)
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_with_the_last_connection_over_quic() {
    a_drain_ends_with_the_last_connection(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_with_the_last_connection_over_websocket() {
    a_drain_ends_with_the_last_connection(Transport::WebSocket).await;
}

/// A user whose two plain requests were answered, and who keeps the connection. The gateway keeps
/// the target's.
async fn served_user(transport: Transport) -> (Lab, Conn) {
    let site = Site::simulated().0;
    let target = target::serve(&site, |mut conn| async move {
        while read_head(&mut conn).await.is_ok() {
            conn.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        }
    });
    let lab = Lab::start(site, &Options::new(transport)).await;
    let mut served = lab.tcp(lab.http()).await;
    let login = base64(format!("{}:{}", As::default().name, As::default().password).as_bytes());
    let request = format!(
        "GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {login}\r\n\r\n"
    );
    for _ in 0..2 {
        served.write_all(request.as_bytes()).await.unwrap();
        assert!(read_head(&mut served).await.unwrap().starts_with("HTTP/1.1 200"));
        served.read_exact(&mut [0; 2]).await.unwrap();
    }
    (lab, served)
}

async fn idle_keep_alive_users_do_not_hold_the_drain(transport: Transport) {
    let (lab, mut served) = served_user(transport).await;
    // And one that has not asked yet.
    let mut silent = lab.tcp(lab.http()).await;
    sleep(SECOND).await;
    let began = Instant::now();
    let users = async {
        assert_eq!(served.read(&mut [0]).await.unwrap(), 0);
        drop(served);
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
        drop(silent);
    };
    let (ended, ()) = tokio::join!(lab.gateway.shutdown(MINUTE), users);
    assert_eq!(ended, Ended::Drained);
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
}

async fn kept_connections_do_not_hold_a_clients_drain(transport: Transport) {
    let (lab, _served) = served_user(transport).await;
    let began = Instant::now();
    assert_eq!(lab.client.shutdown(MINUTE).await, ClientEnded::Drained);
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn kept_connections_do_not_hold_a_clients_drain_over_quic() {
    kept_connections_do_not_hold_a_clients_drain(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn kept_connections_do_not_hold_a_clients_drain_over_websocket() {
    kept_connections_do_not_hold_a_clients_drain(Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn idle_keep_alive_users_do_not_hold_the_drain_over_quic() {
    idle_keep_alive_users_do_not_hold_the_drain(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn idle_keep_alive_users_do_not_hold_the_drain_over_websocket() {
    idle_keep_alive_users_do_not_hold_the_drain(Transport::WebSocket).await;
}

async fn a_draining_gateway_takes_nothing_new(transport: Transport) {
    let (lab, target) = simulated(transport).await;
    let mut user = live(&lab, Way::Socks5, target).await;
    let (doors, ports) = (lab.doors(), tcp_ports(&lab));
    let (net, tunnels) = (lab.site.user.clone(), lab.gateway.addresses().tunnels);
    let during = async {
        sleep(SECOND).await;
        for way in [Way::Http, Way::Socks5, Way::Forward] {
            assert!(doors.connect(way, target).await.is_err(), "{way:?}");
        }
        for port in ports.iter().filter(|port| **port != tunnels) {
            let error = net.connect(*port, Role::Proxied).await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused, "{port}");
        }
        user.write_all(b"y").await.unwrap();
        assert_eq!(user.read_u8().await.unwrap(), b'y', "what is live goes on");
        drop(user);
    };
    let (ended, ()) = tokio::join!(lab.gateway.shutdown(MINUTE), during);
    assert_eq!(ended, Ended::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_draining_gateway_takes_nothing_new_over_quic() {
    a_draining_gateway_takes_nothing_new(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_draining_gateway_takes_nothing_new_over_websocket() {
    a_draining_gateway_takes_nothing_new(Transport::WebSocket).await;
}

/// What `main` does at the second signal.
async fn a_second_signal_skips_the_drain(transport: Transport) {
    let (lab, target) = simulated(transport).await;
    let mut user = live(&lab, Way::Forward, target).await;
    let (began, second) = (Instant::now(), lab.gateway.scope());
    let (ended, ()) = tokio::join!(lab.gateway.shutdown(MINUTE), cancel_after(SECOND, second));
    assert_eq!(ended, Ended::Cut(1));
    assert!(began.elapsed() < SECOND + Duration::from_millis(50), "{:?}", began.elapsed());
    assert!(user.read_u8().await.is_err());

    let (lab, target) = simulated(transport).await;
    let mut user = live(&lab, Way::Forward, target).await;
    let (began, second) = (Instant::now(), lab.client.scope());
    let (ended, ()) = tokio::join!(lab.client.shutdown(MINUTE), cancel_after(SECOND, second));
    assert_eq!(ended, ClientEnded::Cut(1));
    assert!(began.elapsed() < SECOND + Duration::from_millis(50), "{:?}", began.elapsed());
    assert!(user.read_u8().await.is_err());
}

async fn cancel_after(pause: Duration, scope: Scope) {
    sleep(pause).await;
    scope.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_skips_the_drain_over_quic() {
    a_second_signal_skips_the_drain(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_skips_the_drain_over_websocket() {
    a_second_signal_skips_the_drain(Transport::WebSocket).await;
}

async fn a_client_drains_too(transport: Transport) {
    let (lab, target) = simulated(transport).await;
    let mut user = live(&lab, Way::Socks5, target).await;
    let (scope, doors) = (lab.client.scope(), lab.doors());
    let began = Instant::now();
    let during = async {
        sleep(SECOND).await;
        // The gateway was told (Goaway), so it does not even ask.
        let refusal = doors.socks5_connect("198.18.0.4", target.port(), &As::default()).await;
        assert_eq!(refusal.unwrap_err(), Refusal::Socks5(1));
        let name = target.to_string();
        let refusal = doors.http_connect(&name, &As::default()).await.unwrap_err();
        assert_eq!(refusal, Refusal::Http(503, "destination_unavailable".into()));
        user.write_all(b"y").await.unwrap();
        assert_eq!(user.read_u8().await.unwrap(), b'y', "what is live goes on");
        user.shutdown().await.unwrap();
        assert_eq!(user.read(&mut [0]).await.unwrap(), 0);
    };
    let state = lab.client.state();
    let (ended, ()) = tokio::join!(lab.client.shutdown(MINUTE), during);
    assert_eq!(ended, ClientEnded::Drained);
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
    assert_eq!((scope.tasks(), state.borrow().clone()), (0, State::Ended));
    let gateway = &lab.gateway;
    anyproxy_tests::wait::until(&lab.site, || gateway.sessions() == 0).await;
    assert!(began.elapsed() < 2 * SECOND, "the gateway was told: {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_drains_too_over_quic() {
    a_client_drains_too(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_drains_too_over_websocket() {
    a_client_drains_too(Transport::WebSocket).await;
}

async fn a_client_cuts_what_outlives_the_drain(transport: Transport) {
    let (lab, target) = simulated(transport).await;
    let mut users = Vec::new();
    for way in [Way::Http, Way::Socks5, Way::Forward] {
        users.push(live(&lab, way, target).await);
    }
    let scope = lab.client.scope();
    assert_eq!(lab.client.shutdown(SECOND).await, ClientEnded::Cut(3));
    assert_eq!(scope.tasks(), 0);
    for mut user in users {
        assert!(user.read_u8().await.is_err(), "a cut is no clean end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_cuts_what_outlives_the_drain_over_quic() {
    a_client_cuts_what_outlives_the_drain(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_cuts_what_outlives_the_drain_over_websocket() {
    a_client_cuts_what_outlives_the_drain(Transport::WebSocket).await;
}

/// A client that has no session, because nobody answers, ends at once.
#[tokio::test(start_paused = true)]
async fn a_client_that_cannot_connect_ends_at_once() {
    for transport in [Transport::Quic, Transport::WebSocket] {
        let site = Site::simulated().0;
        let options = Options::new(transport);
        let certificates = anyproxy_tests::lab::Certificates::new(&["gateway.test"]);
        let silent = SocketAddr::new([198, 18, 0, 99].into(), 8443);
        let client = anyproxy_tests::lab::start_client(&site, &options, &certificates, silent);
        sleep(5 * SECOND).await;
        let began = Instant::now();
        assert_eq!(client.shutdown(MINUTE).await, ClientEnded::Drained);
        assert!(began.elapsed() < Duration::from_millis(50), "{:?}", began.elapsed());
    }
}

/// Strangers in the middle of a handshake, on every port, do not hold the shutdown.
#[tokio::test(start_paused = true)]
async fn silent_strangers_do_not_hold_the_shutdown() {
    let (lab, _) = simulated(Transport::Quic).await;
    let mut strangers = Vec::new();
    for port in tcp_ports(&lab).iter().filter(|port| !lab.ports.contains(port)) {
        for _ in 0..10 {
            strangers.push(lab.tcp(*port).await);
        }
    }
    sleep(SECOND).await;
    let began = Instant::now();
    let (scope, ended) = (lab.gateway.scope(), lab.gateway.shutdown(5 * SECOND).await);
    // Users of the proxies who have not said a word count as connections.
    assert!(matches!(ended, Ended::Drained | Ended::Cut(_)), "{ended:?}");
    assert!(began.elapsed() < 6 * SECOND, "{:?}", began.elapsed());
    assert_eq!(scope.tasks(), 0);
}
