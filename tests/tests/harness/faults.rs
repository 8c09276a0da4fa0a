use std::io::ErrorKind;

use anyproxy_tests::net::{Carrier, Connects, LinkSettings, Switch};
use anyproxy_transport::net::Role;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep, timeout},
};

use super::{Pair, addr, elapsed_ms, ip, ms};

#[tokio::test(start_paused = true)]
async fn a_black_hole_keeps_bytes_back_until_it_is_lifted() {
    let pair = Pair::with_delay(ms(50));
    let (mut client, mut server) = pair.connected().await;
    client.write_all(b"under way ").await.unwrap();
    pair.link.black_hole_tcp(Switch::On);
    client.write_all(b"kept back").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = [0; 32];
    assert_eq!(server.read(&mut got).await.unwrap(), 10);
    assert!(timeout(ms(60_000), server.read(&mut got)).await.is_err());
    pair.link.black_hole_tcp(Switch::Off);
    let start = Instant::now();
    let mut rest = Vec::new();
    server.read_to_end(&mut rest).await.unwrap();
    assert_eq!((elapsed_ms(start), &rest[..]), (50, &b"kept back"[..]));
}

#[tokio::test(start_paused = true)]
async fn an_abort_drops_the_bytes_that_were_kept_back() {
    let pair = Pair::with_delay(ms(50));
    let (mut client, mut server) = pair.connected().await;
    pair.link.black_hole_tcp(Switch::On);
    client.write_all(b"never seen").await.unwrap();
    client.abort();
    sleep(ms(1_000)).await;
    pair.link.black_hole_tcp(Switch::Off);
    let error = server.read(&mut [0; 32]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn without_acknowledgements_a_writer_stops_though_its_bytes_arrive() {
    let pair = Pair::new(LinkSettings { window: 1_000, ..LinkSettings::with_delay(ms(10)) });
    let (mut client, mut server) = pair.connected().await;
    pair.link.backward().black_hole_tcp(Switch::On);
    client.write_all(&[0; 1_000]).await.unwrap();
    server.read_exact(&mut [0; 1_000]).await.unwrap();
    assert!(timeout(ms(60_000), client.write(b"x")).await.is_err());
    pair.link.black_hole_tcp(Switch::Off);
    client.write_all(b"x").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connecting_into_a_black_hole_fails_after_127_seconds() {
    let pair = Pair::with_delay(ms(50));
    let _listener = pair.listen();
    pair.link.black_hole(Switch::On);
    let start = Instant::now();
    assert_eq!(pair.connect().await.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(elapsed_ms(start), 127_000);
    assert_eq!(pair.world.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn connecting_goes_on_with_the_next_syn_after_a_black_hole() {
    let pair = Pair::with_delay(ms(50));
    let listener = pair.listen();
    pair.link.backward().black_hole_tcp(Switch::On);
    let start = Instant::now();
    let lift = async {
        sleep(ms(2_000)).await;
        pair.link.black_hole_tcp(Switch::Off);
    };
    let (client, ()) = tokio::join!(pair.connect(), lift);
    // SYN went out at 0, 1 and 3 s; the first two were received, but not their answers.
    assert_eq!(elapsed_ms(start), 3_100);
    let accepted = listener.accept(Role::Proxied).await.unwrap();
    assert_eq!(accepted.1, client.unwrap().local_addr().unwrap());
    assert!(timeout(ms(10_000), listener.accept(Role::Proxied)).await.is_err(), "one, not three");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_given_up_leaves_nothing() {
    let pair = Pair::with_delay(ms(50));
    let listener = pair.listen();
    for patience in [20, 80, 101, 120] {
        assert!(timeout(ms(patience), pair.connect()).await.is_err() || patience > 100);
        sleep(ms(1_000)).await;
    }
    let stay = ms(1_000);
    let mut accepted = 0;
    while let Ok(conn) = timeout(stay, listener.accept(Role::Proxied)).await {
        drop(conn);
        accepted += 1;
    }
    assert_eq!(accepted, 2);
    assert_eq!(pair.world.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_link_can_refuse_and_be_unreachable() {
    let pair = Pair::with_delay(ms(50));
    let _listener = pair.listen();
    for (rule, kind) in [
        (Connects::Refused, ErrorKind::ConnectionRefused),
        (Connects::HostUnreachable, ErrorKind::HostUnreachable),
        (Connects::NetworkUnreachable, ErrorKind::NetworkUnreachable),
    ] {
        pair.link.connects(rule);
        let start = Instant::now();
        assert_eq!(pair.connect().await.unwrap_err().kind(), kind);
        assert_eq!(elapsed_ms(start), 100);
    }
    pair.link.connects(Connects::Pass);
    pair.connect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn addresses_that_nobody_has_are_unreachable() {
    let pair = Pair::with_delay(ms(50));
    let net = pair.a.net();
    let error = net.connect(addr("10.0.0.99:1"), Role::Proxied).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostUnreachable);
    let error = net.connect(addr("[fd00::2]:1"), Role::Proxied).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
}

#[tokio::test(start_paused = true)]
async fn resetting_a_link_reaches_both_ends_of_every_connection() {
    let pair = Pair::with_delay(ms(50));
    let (mut client, mut server) = pair.connected().await;
    let listener = pair.b.net().listen(addr("127.0.0.1:1")).unwrap();
    let net = pair.b.net();
    let near = net.connect(addr("127.0.0.1:1"), Role::Proxied);
    let (near, accepted) = tokio::join!(near, listener.accept(Role::Proxied));
    let (mut near, mut accepted) = (near.unwrap(), accepted.unwrap().0);
    let start = Instant::now();
    let reset = async { pair.link.reset_tcp() };
    let (mut one, mut two) = ([0; 1], [0; 1]);
    let (at_client, at_server, ()) =
        tokio::join!(client.read(&mut one), server.read(&mut two), reset);
    assert_eq!(at_client.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(at_server.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(elapsed_ms(start), 0);
    near.write_all(b"x").await.unwrap();
    accepted.read_exact(&mut one).await.unwrap();

    let (mut client, _server) = pair.connected().await;
    pair.world.link(pair.b.ip(), pair.a.ip()).reset_tcp();
    let error = client.read(&mut one).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn loss_delays_bytes_but_loses_none() {
    let pair = Pair::with_delay(ms(50));
    let (mut client, mut server) = pair.connected().await;
    pair.link.set(LinkSettings { loss: 0.05, ..LinkSettings::with_delay(ms(50)) });
    let sent: Vec<u8> = (0..200_000_u32).map(|n| (n / 11) as u8).collect();
    let start = Instant::now();
    client.write_all(&sent).await.unwrap();
    let mut got = vec![0; sent.len()];
    server.read_exact(&mut got).await.unwrap();
    assert_eq!(got, sent);
    // One round trip is 100 ms, so the first time-out is 200 ms and the second 400 ms.
    let retransmitted = pair.link.stats().retransmitted;
    assert!((1..30).contains(&retransmitted), "{retransmitted}");
    assert!([250, 650].contains(&elapsed_ms(start)), "{}", elapsed_ms(start));
}

#[tokio::test(start_paused = true)]
async fn a_connection_stalls_while_its_address_is_gone() {
    let pair = Pair::with_delay(ms(50));
    let (mut client, mut server) = pair.connected().await;
    pair.a.set_ip(ip("10.0.0.7"));
    client.write_all(b"lost?").await.unwrap();
    let mut got = [0; 5];
    assert!(timeout(ms(60_000), server.read(&mut got)).await.is_err());
    pair.a.set_ip(ip("10.0.0.1"));
    server.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"lost?");
}

#[tokio::test(start_paused = true)]
async fn a_tap_sees_what_enters_the_link() {
    let pair = Pair::with_delay(ms(50));
    let tap = pair.link.forward().capture();
    let (mut client, mut server) = pair.connected().await;
    client.write_all(&[1; 2_000]).await.unwrap();
    server.write_all(&[2; 10]).await.unwrap();
    let records = tap.take();
    let sizes: Vec<usize> = records.iter().map(|record| record.bytes.len()).collect();
    assert_eq!(sizes, [1_448, 552]);
    assert!(records.iter().all(|record| record.carrier == Carrier::Tcp && record.bytes[0] == 1));
    assert_eq!(records[0].to, addr("10.0.0.2:443"));
    assert_eq!(pair.link.stats().segment_bytes, 2_010);
    assert_eq!(pair.link.forward().stats().segment_bytes, 2_000);
    assert!(tap.take().is_empty());
}
