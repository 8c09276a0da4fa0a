use anyproxy_tests::net::{Datagrams, LinkSettings, Switch};
use tokio::time::{Instant, timeout};

use super::{Pair, addr, elapsed_ms, ip, ms};

fn sockets(pair: &Pair) -> (Datagrams, Datagrams) {
    let a = Datagrams::bind(&*pair.a.net(), addr("0.0.0.0:1000")).unwrap();
    let b = Datagrams::bind(&*pair.b.net(), addr("0.0.0.0:2000")).unwrap();
    (a, b)
}

/// Everything that `socket` gets until nothing comes for ten seconds.
async fn drain(socket: &Datagrams) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Ok(got) = timeout(ms(10_000), socket.recv_from()).await {
        all.push(got.unwrap().0);
    }
    all
}

fn numbered(count: u32, from: &Datagrams) {
    for number in 0..count {
        from.send_to(&number.to_be_bytes(), addr("10.0.0.2:2000")).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_datagram_takes_exactly_the_delay_of_its_direction() {
    let pair = Pair::with_delay(ms(50));
    pair.link.backward().set(LinkSettings::with_delay(ms(7)));
    let (a, b) = sockets(&pair);
    let start = Instant::now();
    a.send_to(b"ping", addr("10.0.0.2:2000")).unwrap();
    let (bytes, from) = b.recv_from().await.unwrap();
    assert_eq!((elapsed_ms(start), &bytes[..], from), (50, &b"ping"[..], addr("10.0.0.1:1000")));
    b.send_to(b"pong", from).unwrap();
    assert_eq!(a.recv_from().await.unwrap().1, addr("10.0.0.2:2000"));
    assert_eq!(elapsed_ms(start), 57);
}

#[tokio::test(start_paused = true)]
async fn loss_has_its_rate_and_follows_the_seed() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let lossy = LinkSettings { loss: 0.1, ..LinkSettings::with_delay(ms(5)) };
        let pair = Pair::seeded(seed, lossy);
        let (a, b) = sockets(&pair);
        numbered(10_000, &a);
        let got = drain(&b).await;
        let stats = pair.link.stats();
        assert!((8_850..=9_150).contains(&got.len()), "{} of 10,000 arrived", got.len());
        assert_eq!(stats.lost + stats.delivered, 10_000);
        assert_eq!(stats.delivered, got.len() as u64);
        runs.push(got);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test(start_paused = true)]
async fn traffic_elsewhere_does_not_change_what_a_link_loses() {
    let mut runs = Vec::new();
    for noise in [0, 100] {
        let pair = Pair::new(LinkSettings { loss: 0.5, ..LinkSettings::default() });
        let (a, b) = sockets(&pair);
        let elsewhere = pair.world.link(ip("10.0.0.2"), ip("10.0.0.9"));
        elsewhere.set(LinkSettings { loss: 0.5, ..LinkSettings::default() });
        for _ in 0..noise {
            b.send_to(b"noise", addr("10.0.0.9:9")).unwrap();
        }
        numbered(100, &a);
        runs.push(drain(&b).await);
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test(start_paused = true)]
async fn two_links_of_a_host_lose_different_packets() {
    let lossy = LinkSettings { loss: 0.5, ..LinkSettings::default() };
    let pair = Pair::new(lossy);
    let (a, b) = sockets(&pair);
    let third = pair.world.host("c", ip("10.0.0.3"));
    pair.world.link(pair.a.ip(), third.ip()).set(lossy);
    let c = Datagrams::bind(&*third.net(), addr("0.0.0.0:2000")).unwrap();
    for number in 0..100 {
        a.send_to(&[number], addr("10.0.0.2:2000")).unwrap();
        a.send_to(&[number], addr("10.0.0.3:2000")).unwrap();
    }
    assert_ne!(drain(&b).await, drain(&c).await);
}

#[tokio::test(start_paused = true)]
async fn jitter_reorders_within_its_bounds() {
    let pair = Pair::new(LinkSettings { jitter: ms(20), ..LinkSettings::with_delay(ms(50)) });
    let (a, b) = sockets(&pair);
    let start = Instant::now();
    numbered(100, &a);
    let mut got = Vec::new();
    while got.len() < 100 {
        got.push(b.recv_from().await.unwrap().0);
        assert!((50..=70).contains(&elapsed_ms(start)));
    }
    let mut sorted = got.clone();
    sorted.sort();
    assert_ne!(got, sorted);
    sorted.dedup();
    assert_eq!(sorted.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_swallows_one_direction_until_it_is_gone() {
    let pair = Pair::with_delay(ms(10));
    let (a, b) = sockets(&pair);
    pair.link.forward().black_hole_udp(Switch::On);
    numbered(3, &a);
    b.send_to(b"back", addr("10.0.0.1:1000")).unwrap();
    assert_eq!(a.recv_from().await.unwrap().0, b"back");
    assert!(drain(&b).await.is_empty());
    assert_eq!(pair.link.stats().black_holed, 3);
    pair.link.forward().black_hole_udp(Switch::Off);
    numbered(1, &a);
    assert_eq!(drain(&b).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn duplicates_come_twice() {
    let pair = Pair::new(LinkSettings { duplicate: 1.0, ..LinkSettings::with_delay(ms(10)) });
    let (a, b) = sockets(&pair);
    numbered(2, &a);
    assert_eq!(drain(&b).await.len(), 4);
    assert_eq!(pair.link.stats().duplicated, 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_over_the_mtu_vanishes_and_segments_count_singly() {
    let pair = Pair::new(LinkSettings { mtu: 1_200, ..LinkSettings::default() });
    let (a, b) = sockets(&pair);
    let to = addr("10.0.0.2:2000");
    a.send_to(&[0; 1_200], to).unwrap();
    a.send_to(&[0; 1_201], to).unwrap();
    a.send_segments(&[0; 2_500], 1_200, to).unwrap();
    a.send_to(&[], to).unwrap();
    let sizes: Vec<usize> = drain(&b).await.iter().map(Vec::len).collect();
    assert_eq!(sizes, [1_200, 1_200, 1_200, 100, 0]);
    assert_eq!(pair.link.stats().over_mtu, 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_link_queues_and_then_drops() {
    let slow =
        LinkSettings { rate: Some(10_000), queue: 3_000, ..LinkSettings::with_delay(ms(50)) };
    let pair = Pair::new(slow);
    let (a, b) = sockets(&pair);
    let start = Instant::now();
    for _ in 0..4 {
        a.send_to(&[0; 1_000], addr("10.0.0.2:2000")).unwrap();
    }
    for arrival in [150, 250, 350] {
        b.recv_from().await.unwrap();
        assert_eq!(elapsed_ms(start), arrival);
    }
    assert!(drain(&b).await.is_empty());
    assert_eq!(pair.link.stats().queue_full, 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_sleeps_loses_what_its_queue_cannot_hold() {
    let pair = Pair::with_delay(ms(1));
    let (a, b) = sockets(&pair);
    for _ in 0..1_100 {
        a.send_to(&[0; 1_024], addr("10.0.0.2:2000")).unwrap();
    }
    tokio::time::sleep(ms(5)).await;
    assert_eq!(drain(&b).await.len(), 1_024);
    assert_eq!(pair.link.stats().overflown, 76);
}

#[tokio::test(start_paused = true)]
async fn after_a_move_packets_leave_from_the_new_address_and_the_old_one_is_dead() {
    let pair = Pair::with_delay(ms(10));
    let (a, b) = sockets(&pair);
    b.send_to(b"under way", addr("10.0.0.1:1000")).unwrap();
    pair.a.set_ip(ip("10.0.0.7"));
    assert_eq!(pair.a.ip(), ip("10.0.0.7"));
    a.send_to(b"hello", addr("10.0.0.2:2000")).unwrap();
    let (_, from) = b.recv_from().await.unwrap();
    assert_eq!(from, addr("10.0.0.7:1000"));
    b.send_to(b"old", addr("10.0.0.1:1000")).unwrap();
    b.send_to(b"new", from).unwrap();
    assert_eq!(drain(&a).await, [b"new"]);
    assert_eq!(pair.link.stats().unreachable, 2);
}

#[tokio::test(start_paused = true)]
async fn a_dual_stack_socket_maps_ipv4() {
    let pair = Pair::with_delay(ms(1));
    pair.b.add_ip(ip("fd00::2"));
    let a = Datagrams::bind(&*pair.a.net(), addr("0.0.0.0:1000")).unwrap();
    let b = Datagrams::bind(&*pair.b.net(), addr("[::]:2000")).unwrap();
    a.send_to(b"ping", addr("10.0.0.2:2000")).unwrap();
    let (_, from) = b.recv_from().await.unwrap();
    assert_eq!(from, addr("[::ffff:10.0.0.1]:1000"));
    b.send_to(b"pong", from).unwrap();
    assert_eq!(a.recv_from().await.unwrap().1, addr("10.0.0.2:2000"));
}

#[tokio::test(start_paused = true)]
async fn loopback_is_each_hosts_own_and_takes_no_time() {
    let pair = Pair::with_delay(ms(50));
    let (a, b) = sockets(&pair);
    let near = Datagrams::bind(&*pair.a.net(), addr("127.0.0.1:2000")).unwrap();
    let start = Instant::now();
    a.send_to(b"here", addr("127.0.0.1:2000")).unwrap();
    assert_eq!(near.recv_from().await.unwrap().1, addr("127.0.0.1:1000"));
    assert_eq!(elapsed_ms(start), 0);
    near.send_to(b"out", addr("10.0.0.2:2000")).unwrap();
    assert!(drain(&b).await.is_empty());
}
