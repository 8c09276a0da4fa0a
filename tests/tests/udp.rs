//! Forwarded UDP ports: what goes in comes back, to whom it belongs.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure is the test's result"
)]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_client::Forward;
use anyproxy_gateway::DroppedDatagrams;
use anyproxy_tests::{
    lab::{Lab, Options, Site},
    target,
    udp::{self, LARGEST, Udp, payload},
    user::Way,
};
use anyproxy_transport::Transport;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Semaphore,
    time::timeout,
};

const SECOND: Duration = Duration::from_secs(1);
/// What takes longer never happens.
const LONG: Duration = Duration::from_secs(120);
/// Bytes under way at once: the kernel drops in silence what a socket has no room for, and all
/// peers share one socket of the target's.
const UNDER_WAY: usize = 96 * 1024;

/// From 1 byte to the largest, each order of magnitude as often as the others, both ends included.
fn size(number: usize) -> usize {
    match number {
        0 => 1,
        1 => LARGEST,
        _ => {
            let scattered = (number * 7919 % 10_007) as f64 / 10_007.0;
            ((LARGEST as f64).powf(scattered) as usize).clamp(1, LARGEST)
        }
    }
}

/// One peer's datagrams, each sent when the one before has come back.
async fn converse(
    user: Udp,
    peer: usize,
    datagrams: usize,
    port: SocketAddr,
    room: Arc<Semaphore>,
) {
    for number in 0..datagrams {
        let sent = payload(peer, number, size(peer * datagrams + number));
        let bytes = u32::try_from(sent.len() + 1024).unwrap();
        let _room = room.acquire_many(bytes).await.unwrap();
        let got = timeout(LONG, user.ask(&sent, port)).await;
        let got = got.unwrap_or_else(|_| panic!("peer {peer} lost {number} of {}", sent.len()));
        assert!(got == sent, "peer {peer}, datagram {number} of {} bytes", sent.len());
    }
}

async fn every_datagram_comes_back_to_its_peer(site: Site, transport: Transport, datagrams: usize) {
    const PEERS: usize = 50;
    let echo = udp::echo(&site);
    let lab = udp::lab(site, &Options::new(transport), &[echo]).await;
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    let mut peers = tokio::task::JoinSet::new();
    for peer in 0..PEERS {
        let user = Udp::user(&lab.site);
        peers.spawn(converse(user, peer, datagrams / PEERS, lab.ports[0], room.clone()));
    }
    while let Some(done) = peers.join_next().await {
        done.unwrap();
    }
    let flows = lab.gateway.flows();
    let all = datagrams as u64;
    assert_eq!((flows.from_users, flows.to_users), (all, all));
    assert_eq!((flows.live, flows.opened), (PEERS, PEERS as u64));
    assert_eq!(flows.dropped, DroppedDatagrams::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_datagrams_of_all_sizes_come_back_over_quic() {
    every_datagram_comes_back_to_its_peer(Site::loopback(), Transport::Quic, 10_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_datagrams_of_all_sizes_come_back_over_websocket() {
    every_datagram_comes_back_to_its_peer(Site::loopback(), Transport::WebSocket, 10_000).await;
}

async fn datagrams_of_all_sizes_come_back_simulated(transport: Transport) {
    let (site, world) = Site::simulated();
    udp::jumbo(&world);
    every_datagram_comes_back_to_its_peer(site, transport, 1000).await;
}

#[tokio::test(start_paused = true)]
async fn datagrams_of_all_sizes_come_back_simulated_over_quic() {
    datagrams_of_all_sizes_come_back_simulated(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn datagrams_of_all_sizes_come_back_simulated_over_websocket() {
    datagrams_of_all_sizes_come_back_simulated(Transport::WebSocket).await;
}

/// Replies in any number, and payloads of nothing.
async fn one_question_has_many_answers(site: Site, transport: Transport) {
    let (many, _) = udp::target(&site, |question| {
        let mut answers: Vec<_> = (0..20).map(|number| [question, &[number]].concat()).collect();
        answers.push(vec![]);
        answers
    });
    let (once, mut seen) = udp::target(&site, |_| vec![vec![]]);
    let lab = udp::lab(site, &Options::new(transport), &[many, once]).await;
    let user = Udp::user(&lab.site);
    user.send(b"q", lab.ports[0]);
    let mut got = Vec::new();
    for _ in 0..21 {
        got.push(timeout(LONG, user.recv()).await.unwrap().0);
    }
    got.sort();
    let mut expected: Vec<_> = (0..20).map(|number| vec![b'q', number]).collect();
    expected.insert(0, vec![]);
    assert_eq!(got, expected);

    assert_eq!(timeout(LONG, user.ask(b"", lab.ports[1])).await.unwrap(), b"");
    assert_eq!(seen.recv().await.unwrap().payload, b"");
}

#[tokio::test]
async fn one_question_has_many_answers_over_quic() {
    one_question_has_many_answers(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn one_question_has_many_answers_over_websocket() {
    one_question_has_many_answers(Site::loopback(), Transport::WebSocket).await;
}

/// The first datagrams wait for their flow, and nobody else gets the answers.
async fn the_first_datagrams_arrive_too(transport: Transport) {
    let (site, _world) = Site::simulated();
    let (echo, mut seen) = udp::target(&site, |payload| vec![payload.to_vec()]);
    let lab = udp::lab(site, &Options::new(transport), &[echo]).await;
    let (user, other) = (Udp::user(&lab.site), Udp::user(&lab.site));
    for number in 0..8 {
        user.send(&[number], lab.ports[0]);
    }
    let mut got = Vec::new();
    for _ in 0..8 {
        got.extend(timeout(LONG, user.recv()).await.unwrap().0);
    }
    got.sort();
    assert_eq!(got, (0..8).collect::<Vec<_>>());
    assert_eq!(other.ask(b"mine", lab.ports[0]).await, b"mine");
    assert_eq!(user.recv_within(SECOND).await, None);
    let mut sockets = std::collections::HashSet::new();
    while let Ok(seen) = seen.try_recv() {
        sockets.insert(seen.from);
    }
    assert_eq!(sockets.len(), 2, "one socket of the client for each peer");
}

#[tokio::test(start_paused = true)]
async fn the_first_datagrams_arrive_too_over_quic() {
    the_first_datagrams_arrive_too(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_datagrams_arrive_too_over_websocket() {
    the_first_datagrams_arrive_too(Transport::WebSocket).await;
}

/// TCP and UDP ports of one number are different ports.
async fn tcp_and_udp_share_a_number(transport: Transport) {
    let (site, _world) = Site::simulated();
    let (tcp, echo) = (target::echo(&site), udp::echo(&site));
    let number = SocketAddr::new(site.gateway_ip, 5353);
    let as_tcp = Forward {
        name: "tcp".into(),
        listen: number.to_string(),
        target: tcp.to_string(),
        ..Forward::default()
    };
    let options = Options { ports: Some((5353, 5353)), ..Options::new(transport) };
    let lab = udp::lab_with(site, &options, vec![as_tcp, udp::forward(number, echo)]).await;
    assert_eq!(lab.ports, [number, number]);
    both_work(&lab, tcp).await;
}

async fn both_work(lab: &Lab, tcp: SocketAddr) {
    let user = Udp::user(&lab.site);
    assert_eq!(user.ask(b"datagram", lab.ports[1]).await, b"datagram");
    let mut conn = lab.connect(Way::Forward, tcp).await;
    conn.write_all(b"stream").await.unwrap();
    let mut got = [0; 6];
    conn.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"stream");
}

#[tokio::test(start_paused = true)]
async fn tcp_and_udp_share_a_number_over_quic() {
    tcp_and_udp_share_a_number(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn tcp_and_udp_share_a_number_over_websocket() {
    tcp_and_udp_share_a_number(Transport::WebSocket).await;
}

/// A port on all addresses answers from the one that was asked, which is all that many peers take.
#[cfg(target_os = "linux")]
async fn answers_leave_from_where_the_question_went(transport: Transport) {
    let site = Site::loopback();
    let echo = udp::echo(&site);
    let forwards = vec![udp::forward("0.0.0.0:0".parse().unwrap(), echo)];
    let lab = udp::lab_with(site, &Options::new(transport), forwards).await;
    let user = Udp::user(&lab.site);
    for ip in [[127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 0, 1]] {
        let port = SocketAddr::from((ip, lab.ports[0].port()));
        assert_eq!(user.ask(b"who is there?", port).await, b"who is there?");
    }
    assert_eq!(lab.gateway.flows().opened, 2, "each pair of addresses has a flow");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn answers_leave_from_where_the_question_went_over_quic() {
    answers_leave_from_where_the_question_went(Transport::Quic).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn answers_leave_from_where_the_question_went_over_websocket() {
    answers_leave_from_where_the_question_went(Transport::WebSocket).await;
}
