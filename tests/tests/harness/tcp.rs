use std::io::ErrorKind;

use anyproxy_tests::net::LinkSettings;
use anyproxy_transport::net::{Conn, Role};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep, timeout},
};

use super::{Pair, addr, elapsed_ms, ms};

/// Writes until the connection takes no more for ten seconds; how much it took.
async fn fill(conn: &mut Conn) -> usize {
    let mut written = 0;
    while let Ok(wrote) = timeout(ms(10_000), conn.write(&[7; 10_000])).await {
        written += wrote.unwrap();
    }
    written
}

#[tokio::test(start_paused = true)]
async fn connecting_takes_a_round_trip_and_accepting_half_of_one_more() {
    let pair = Pair::with_delay(ms(50));
    let listener = pair.listen();
    let start = Instant::now();
    let client = async {
        let conn = pair.connect().await.unwrap();
        assert_eq!(elapsed_ms(start), 100);
        conn
    };
    let server = async {
        let accepted = listener.accept(Role::Proxied).await.unwrap();
        assert_eq!(elapsed_ms(start), 150);
        accepted
    };
    let (client, (server, peer)) = tokio::join!(client, server);
    assert_eq!(client.local_addr().unwrap(), peer);
    assert_eq!(server.peer_addr().unwrap(), peer);
    assert_eq!(peer.ip(), pair.a.ip());
    assert_eq!(client.peer_addr().unwrap(), addr("10.0.0.2:443"));
    assert_eq!(server.local_addr().unwrap(), addr("10.0.0.2:443"));
}

#[tokio::test(start_paused = true)]
async fn nobody_listens_is_known_after_a_round_trip() {
    let pair = Pair::with_delay(ms(50));
    let start = Instant::now();
    assert_eq!(pair.connect().await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(elapsed_ms(start), 100);
    assert_eq!(pair.world.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn bytes_take_the_delay_and_stay_in_order() {
    let pair = Pair::new(LinkSettings { jitter: ms(30), ..LinkSettings::with_delay(ms(50)) });
    let (mut client, mut server) = pair.connected().await;
    let start = Instant::now();
    let sent: Vec<u8> = (0..100_000_u32).map(|n| (n / 7) as u8).collect();
    client.write_all(&sent).await.unwrap();
    let mut got = vec![0; sent.len()];
    server.read_exact(&mut got[..1]).await.unwrap();
    assert!(elapsed_ms(start) >= 50);
    server.read_exact(&mut got[1..]).await.unwrap();
    assert!(elapsed_ms(start) <= 80);
    assert_eq!(got, sent);
}

#[tokio::test(start_paused = true)]
async fn each_direction_ends_by_itself() {
    for client_first in [true, false] {
        let pair = Pair::with_delay(ms(20));
        let (client, server) = pair.connected().await;
        let (mut first, mut second) =
            if client_first { (client, server) } else { (server, client) };
        let start = Instant::now();
        first.write_all(b"question").await.unwrap();
        first.shutdown().await.unwrap();
        let mut question = Vec::new();
        second.read_to_end(&mut question).await.unwrap();
        assert_eq!((elapsed_ms(start), &question[..]), (20, &b"question"[..]));
        assert_eq!(first.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        sleep(ms(60_000)).await;
        second.write_all(b"answer").await.unwrap();
        drop(second);
        let mut answer = Vec::new();
        first.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"answer");
        drop(first);
        assert_eq!(pair.world.connections(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_reset_received_bytes_are_read_first_and_the_error_comes_once() {
    let pair = Pair::with_delay(ms(20));
    let (mut client, mut server) = pair.connected().await;
    client.write_all(b"last words").await.unwrap();
    client.abort();
    sleep(ms(30)).await;
    let mut buf = [0; 4];
    assert_eq!(server.read(&mut buf).await.unwrap(), 4);
    let mut rest = [0; 6];
    server.read_exact(&mut rest).await.unwrap();
    assert_eq!((&buf, &rest), (b"last", b" words"));
    assert_eq!(server.read(&mut buf).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(server.read(&mut buf).await.unwrap(), 0);
    assert_eq!(server.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    server.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reset_after_the_end_breaks_the_pipe() {
    let pair = Pair::with_delay(ms(20));
    let (mut client, mut server) = pair.connected().await;
    client.shutdown().await.unwrap();
    client.abort();
    sleep(ms(30)).await;
    assert_eq!(server.read(&mut [0; 4]).await.unwrap(), 0);
    assert_eq!(server.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[tokio::test(start_paused = true)]
async fn closing_with_unread_bytes_resets() {
    let pair = Pair::with_delay(ms(20));
    let (mut client, server) = pair.connected().await;
    client.write_all(b"never read").await.unwrap();
    sleep(ms(30)).await;
    drop(server);
    let start = Instant::now();
    let error = client.read(&mut [0; 4]).await.unwrap_err();
    assert_eq!((error.kind(), elapsed_ms(start)), (ErrorKind::ConnectionReset, 20));
}

#[tokio::test(start_paused = true)]
async fn writing_to_a_closed_end_is_answered_with_a_reset() {
    let pair = Pair::with_delay(ms(20));
    let (mut client, server) = pair.connected().await;
    drop(server);
    sleep(ms(30)).await;
    assert_eq!(client.read(&mut [0; 4]).await.unwrap(), 0);
    client.write_all(b"are you there?").await.unwrap();
    sleep(ms(39)).await;
    client.write_all(b"still?").await.unwrap();
    sleep(ms(2)).await;
    assert_eq!(client.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    drop(client);
    assert_eq!(pair.world.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_its_reader() {
    let pair = Pair::new(LinkSettings { window: 100_000, ..LinkSettings::with_delay(ms(50)) });
    let (mut client, mut server) = pair.connected().await;
    assert_eq!(fill(&mut client).await, 100_000);
    let mut buf = vec![0; 30_000];
    server.read_exact(&mut buf).await.unwrap();
    let start = Instant::now();
    let wrote = client.write(&[0; 50_000]).await.unwrap();
    assert_eq!((elapsed_ms(start), wrote), (50, 30_000));
    assert_eq!(fill(&mut server).await, 100_000, "the other direction has its own room");
}

#[tokio::test(start_paused = true)]
async fn a_slow_link_has_its_rate() {
    let slow = LinkSettings { rate: Some(100_000), ..LinkSettings::with_delay(ms(50)) };
    let pair = Pair::new(slow);
    let (mut client, mut server) = pair.connected().await;
    let start = Instant::now();
    let write = async {
        client.write_all(&[0; 1_000_000]).await.unwrap();
        client.shutdown().await.unwrap();
    };
    let mut got = Vec::new();
    let (_, read) = tokio::join!(write, server.read_to_end(&mut got));
    assert_eq!(read.unwrap(), 1_000_000);
    assert_eq!(elapsed_ms(start), 10_050);
}

#[tokio::test(start_paused = true)]
async fn an_abort_overtakes_bytes_that_wait_for_a_slow_link() {
    let slow = LinkSettings { rate: Some(10_000), ..LinkSettings::with_delay(ms(50)) };
    let pair = Pair::new(slow);
    let (mut client, mut server) = pair.connected().await;
    client.write_all(&[0; 100_000]).await.unwrap();
    sleep(ms(1_000)).await;
    let start = Instant::now();
    client.abort();
    let mut got = Vec::new();
    let error = server.read_to_end(&mut got).await.unwrap_err();
    assert_eq!((error.kind(), elapsed_ms(start)), (ErrorKind::ConnectionReset, 50));
    assert!((8_000..=10_000).contains(&got.len()), "{}", got.len());
}

#[tokio::test(start_paused = true)]
async fn ports_are_owned_until_dropped() {
    let pair = Pair::with_delay(ms(5));
    let net = pair.b.net();
    let listener = net.listen(addr("10.0.0.2:0")).unwrap();
    let taken = listener.local_addr().unwrap();
    assert_ne!(taken.port(), 0);
    for clash in
        [taken, addr(&format!("0.0.0.0:{}", taken.port())), addr(&format!("[::]:{}", taken.port()))]
    {
        assert_eq!(net.listen(clash).unwrap_err().kind(), ErrorKind::AddrInUse);
    }
    net.listen(addr(&format!("127.0.0.1:{}", taken.port()))).unwrap();
    assert_eq!(net.listen(addr("10.9.9.9:1")).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    pair.a.net().listen(addr(&format!("0.0.0.0:{}", taken.port()))).unwrap();
    drop(listener);
    net.listen(taken).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_goes_away_resets_whom_it_did_not_accept() {
    let pair = Pair::with_delay(ms(5));
    let listener = pair.listen();
    let mut client = pair.connect().await.unwrap();
    sleep(ms(10)).await;
    drop(listener);
    let error = client.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    drop(client);
    assert_eq!(pair.world.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dual_stack_listener_shows_mapped_peers() {
    let pair = Pair::with_delay(ms(5));
    let listener = pair.b.net().listen(addr("[::]:443")).unwrap();
    let (client, server) = tokio::join!(pair.connect(), listener.accept(Role::Proxied));
    let port = client.unwrap().local_addr().unwrap().port();
    assert_eq!(server.unwrap().1, addr(&format!("[::ffff:10.0.0.1]:{port}")));
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_on_when_the_world_is_gone() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let pair = Pair::with_delay(ms(5));
    let ends = pair.connected().await;
    drop(ends);
    sleep(ms(100)).await;
    assert_eq!(tasks(), 1);
    drop(pair);
    sleep(ms(1)).await;
    assert_eq!(tasks(), 0);
}
