//! SOCKS5 UDP ASSOCIATE: through the tunnel, for its user alone, as long as its connection lives.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure is the test's result"
)]

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyproxy_gateway::{DroppedDatagrams, Ended, FlowFigures};
use anyproxy_tests::{
    lab::{Lab, Options, Site},
    net::{Host, LinkSettings, World},
    udp::{self, Association, Udp, header},
    user::{As, Refusal},
};
use anyproxy_transport::Transport;
use tokio::{
    io::AsyncWriteExt as _,
    time::{sleep, timeout},
};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
/// What takes longer never happens.
const LONG: Duration = Duration::from_secs(600);

/// Gateway, client, user and target, as [`Site::simulated`] but with their hosts, at `ip(1)` to `ip(4)`.
fn hosts(ip: fn(u8) -> IpAddr) -> (Site, World, [Host; 4]) {
    let world = World::new(7);
    world.set_default(LinkSettings::with_delay(10 * MS));
    let hosts = [("gateway", 1), ("client", 2), ("user", 3), ("target", 4)]
        .map(|(name, last)| world.host(name, ip(last)));
    let [gateway, client, user, target] = hosts.each_ref().map(Host::net);
    let site = Site { gateway, client, user, target, gateway_ip: ip(1), target_ip: ip(4) };
    (site, world, hosts)
}

fn v4(last: u8) -> IpAddr {
    IpAddr::from([198, 18, 0, last])
}

fn v6(last: u8) -> IpAddr {
    IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)])
}

async fn open(lab: &Lab) -> Association {
    timeout(LONG, Association::open(lab, &As::default(), None)).await.unwrap().unwrap()
}

/// Waits until the figures are as they should be.
async fn figures(lab: &Lab, what: impl Fn(&FlowFigures) -> bool) -> FlowFigures {
    for _ in 0..10_000 {
        if what(&lab.gateway.flows()) {
            return lab.gateway.flows();
        }
        sleep(MS).await;
    }
    panic!("{:?}", lab.gateway.flows())
}

/// Fault 12, and 11 for UDP.
async fn datagrams_go_through_the_tunnel(transport: Transport) {
    let (site, _world, [gateway, client, ..]) = hosts(v4);
    client.name("private.test", &[v4(4)]);
    gateway.name("private.test", &[v4(9)]);
    let (echo, mut seen) = udp::target(&site, |payload| vec![payload.to_vec()]);
    let lab = Lab::start(site, &Options::new(transport)).await;
    let user = open(&lab).await;
    assert_eq!(user.relay.ip(), v4(1), "where the user reached the gateway");

    let by_name = user.ask("private.test", echo.port(), b"by name").await;
    assert_eq!(by_name, (echo.to_string(), b"by name".to_vec()), "from the dialled address");
    let by_address = user.ask(&echo.ip().to_string(), echo.port(), b"").await;
    assert_eq!(by_address, (echo.to_string(), vec![]));
    assert_eq!(gateway.lookups(), Vec::<String>::new());
    assert!(client.lookups().contains(&"private.test".to_owned()));
    for _ in 0..2 {
        assert_eq!(seen.recv().await.unwrap().from.ip(), v4(2), "the client sends, nobody else");
    }
    assert_eq!(lab.gateway.flows().dropped, DroppedDatagrams::default());
    assert_eq!(lab.gateway.flows().live, 2);
}

#[tokio::test(start_paused = true)]
async fn datagrams_go_through_the_tunnel_over_quic() {
    datagrams_go_through_the_tunnel(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn datagrams_go_through_the_tunnel_over_websocket() {
    datagrams_go_through_the_tunnel(Transport::WebSocket).await;
}

/// The same over IPv6, and with a real kernel.
async fn every_family_works(site: Site, transport: Transport) {
    let echo = udp::echo(&site);
    let lab = Lab::start(site, &Options::new(transport)).await;
    let user = open(&lab).await;
    assert_eq!(user.relay.ip(), lab.site.gateway_ip);
    for size in [0, 1, 1200, 9000, 60_000] {
        let sent = udp::payload(1, size, size);
        let got = timeout(LONG, user.ask(&echo.ip().to_string(), echo.port(), &sent)).await;
        assert_eq!(got.unwrap(), (echo.to_string(), sent));
    }
}

#[tokio::test(start_paused = true)]
async fn ipv6_works_over_quic() {
    every_family_works(hosts(v6).0, Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn ipv6_works_over_websocket() {
    every_family_works(hosts(v6).0, Transport::WebSocket).await;
}

#[tokio::test]
async fn real_sockets_work_over_quic() {
    every_family_works(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn real_sockets_work_over_websocket() {
    every_family_works(Site::loopback(), Transport::WebSocket).await;
}

#[derive(Debug, Clone, Copy)]
enum Leaves {
    Fin,
    Reset,
}

async fn an_association_ends_with_its_connection(transport: Transport) {
    let (site, ..) = hosts(v4);
    let echo = udp::echo(&site);
    let lab = Lab::start(site, &Options::new(transport)).await;
    let idle = lab.gateway.users();
    for leaves in [Leaves::Fin, Leaves::Reset] {
        let mut user = open(&lab).await;
        user.control.write_all(b"this means nothing").await.unwrap();
        sleep(600 * SECOND).await;
        let (_, answer) = user.ask("198.18.0.4", echo.port(), b"still here").await;
        assert_eq!(answer, b"still here", "a connection may rest");
        assert_eq!(lab.gateway.flows().live, 1);
        let Association { control, relay, socket } = user;
        match leaves {
            Leaves::Fin => drop(control),
            Leaves::Reset => control.abort(),
        }
        figures(&lab, |flows| flows.live == 0).await;
        while lab.gateway.users() > idle {
            sleep(MS).await;
        }
        socket.send(&[header("198.18.0.4", echo.port()), b"hello?".to_vec()].concat(), relay);
        assert_eq!(socket.recv_within(5 * SECOND).await, None, "{leaves:?}");
    }
    assert_eq!(lab.gateway.flows().from_users, 2);
}

#[tokio::test(start_paused = true)]
async fn an_association_ends_with_its_connection_over_quic() {
    an_association_ends_with_its_connection(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn an_association_ends_with_its_connection_over_websocket() {
    an_association_ends_with_its_connection(Transport::WebSocket).await;
}

async fn what_cannot_be_used_is_dropped_and_counted(transport: Transport) {
    let (site, ..) = hosts(v4);
    let (echo, mut seen) = udp::target(&site, |payload| vec![payload.to_vec()]);
    let lab = Lab::start(site, &Options::new(transport)).await;
    let user = open(&lab).await;
    let good = [header("198.18.0.4", echo.port()), b"x".to_vec()].concat();
    for fragment in [1, 2, 0x80 | 3] {
        let mut bytes = good.clone();
        bytes[2] = fragment;
        user.socket.send(&bytes, user.relay);
    }
    for bad in
        [&b""[..], b"\0\0\0", b"\0\0\0\x09nonsense", &good[..9], b"\0\0\0\x01\x0a\0\0\x01\0\0x"]
    {
        user.socket.send(bad, user.relay);
    }
    let flows = figures(&lab, |flows| flows.from_users == 8).await;
    let expected = DroppedDatagrams { fragment: 3, malformed: 5, ..Default::default() };
    assert_eq!((flows.dropped, flows.opened), (expected, 0));
    assert!(seen.try_recv().is_err());
    assert_eq!(user.ask("198.18.0.4", echo.port(), b"good").await.1, b"good");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_is_dropped_and_counted_over_quic() {
    what_cannot_be_used_is_dropped_and_counted(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_is_dropped_and_counted_over_websocket() {
    what_cannot_be_used_is_dropped_and_counted(Transport::WebSocket).await;
}

async fn strangers_cannot_use_an_association(transport: Transport) {
    let (site, world, _) = hosts(v4);
    let stranger = world.host("stranger", v4(7)).net();
    let (echo, mut seen) = udp::target(&site, |payload| vec![payload.to_vec()]);
    let lab = Lab::start(site, &Options::new(transport)).await;
    let datagram = [header("198.18.0.4", echo.port()), b"x".to_vec()].concat();

    let user = open(&lab).await;
    let (stranger, neighbour) = (Udp::bind(&*stranger, v4(7)), Udp::user(&lab.site));
    stranger.send(&datagram, user.relay);
    figures(&lab, |flows| flows.dropped.wrong_peer == 1).await;
    assert_eq!(user.ask("198.18.0.4", echo.port(), b"mine").await.1, b"mine");
    neighbour.send(&datagram, user.relay);
    figures(&lab, |flows| flows.dropped.wrong_peer == 2).await;

    // With an announced port even the first has to come from there.
    let socket = Udp::user(&lab.site);
    let port = socket.addr().port();
    let user = Association::with(&lab, &As::default(), socket, Some(port)).await.unwrap();
    neighbour.send(&datagram, user.relay);
    figures(&lab, |flows| flows.dropped.wrong_peer == 3).await;
    assert_eq!(user.ask("198.18.0.4", echo.port(), b"mine too").await.1, b"mine too");
    let heard = [seen.recv().await.unwrap().payload, seen.recv().await.unwrap().payload];
    assert_eq!(heard, [b"mine".to_vec(), b"mine too".to_vec()]);
    assert!(seen.try_recv().is_err());
    assert_eq!(neighbour.recv_within(SECOND).await, None);
    assert_eq!(stranger.recv_within(SECOND).await, None);

    let wrong = As { password: "guess", ..As::default() };
    let refused = Association::open(&lab, &wrong, None).await.err();
    assert_eq!(refused, Some(Refusal::Socks5(0xff01)));
}

#[tokio::test(start_paused = true)]
async fn strangers_cannot_use_an_association_over_quic() {
    strangers_cannot_use_an_association(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn strangers_cannot_use_an_association_over_websocket() {
    strangers_cannot_use_an_association(Transport::WebSocket).await;
}

/// The client's policy holds for datagrams as for connections.
async fn policy_holds(transport: Transport) {
    let (site, _world, [_, client, ..]) = hosts(v4);
    client.name("denied.test", &[v4(4)]);
    let (denied, mut seen) = udp::target(&site, |payload| vec![payload.to_vec()]);
    let allowed = udp::echo(&site);
    let options = Options { deny: vec![denied.to_string()], ..Options::new(transport) };
    let lab = Lab::start(site, &options).await;
    let user = open(&lab).await;
    for host in ["198.18.0.4", "denied.test", "::ffff:198.18.0.4"] {
        user.send(host, denied.port(), b"knock");
        user.send(host, denied.port(), b"knock");
    }
    let flows = figures(&lab, |flows| flows.dropped.refused == 6).await;
    assert_eq!((flows.opened, flows.to_users), (0, 0));
    assert!(seen.try_recv().is_err());
    assert_eq!(user.ask("198.18.0.4", allowed.port(), b"fine").await.1, b"fine");
}

#[tokio::test(start_paused = true)]
async fn policy_holds_over_quic() {
    policy_holds(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn policy_holds_over_websocket() {
    policy_holds(Transport::WebSocket).await;
}

/// An association has 256 flows at most; a new target takes the place of the one silent longest.
async fn targets_are_bounded(transport: Transport) {
    let (site, ..) = hosts(v4);
    let targets: Vec<SocketAddr> = (0..257).map(|_| udp::echo(&site)).collect();
    let lab = Lab::start(site, &Options::new(transport)).await;
    let user = open(&lab).await;
    for target in &targets {
        let (from, _) = user.ask(&target.ip().to_string(), target.port(), b"you").await;
        assert_eq!(from, target.to_string());
    }
    let flows = figures(&lab, |flows| flows.live == 256).await;
    assert_eq!((flows.opened, flows.dropped.total()), (257, 0));
    for (target, opened) in [(&targets[256], 257), (&targets[2], 257), (&targets[0], 258)] {
        user.ask(&target.ip().to_string(), target.port(), b"again").await;
        assert_eq!(lab.gateway.flows().opened, opened);
    }
}

#[tokio::test(start_paused = true)]
async fn targets_are_bounded_over_quic() {
    targets_are_bounded(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn targets_are_bounded_over_websocket() {
    targets_are_bounded(Transport::WebSocket).await;
}

async fn associations_do_not_hold_up_a_drain(transport: Transport) {
    let (site, ..) = hosts(v4);
    let echo = udp::echo(&site);
    let lab = Lab::start(site, &Options::new(transport)).await;
    let (mut used, mut unused) = (open(&lab).await, open(&lab).await);
    used.ask("198.18.0.4", echo.port(), b"hello").await;
    let draining = timeout(3 * SECOND, lab.gateway.shutdown(10 * SECOND));
    let (ended, (), ()) = tokio::join!(draining, used.ended(), unused.ended());
    assert_eq!(ended.unwrap(), Ended::Drained);
}

#[tokio::test(start_paused = true)]
async fn associations_do_not_hold_up_a_drain_over_quic() {
    associations_do_not_hold_up_a_drain(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn associations_do_not_hold_up_a_drain_over_websocket() {
    associations_do_not_hold_up_a_drain(Transport::WebSocket).await;
}
