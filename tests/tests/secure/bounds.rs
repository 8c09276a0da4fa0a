//! How long an HTTP/2 connection lives, and how much it may hold.

use std::time::Duration;

use anyproxy_gateway::Ended;
use anyproxy_runtime::Deadline;
use anyproxy_tests::{
    lab::Site,
    target,
    user::{eventually, read_all, read_head},
};
use anyproxy_transport::Transport;
use bytes::Bytes;
use http::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

use crate::{Scene, collect, expect_data, login, send};

simulated! {
    an_idle_connection_ends_a_strangers_soon
    a_tunnel_may_rest_for_as_long_as_it_likes
    an_upload_waits_for_its_target
    a_strangers_upload_is_not_taken
    draining_lets_streams_finish
    a_flood_of_resets_ends_the_connection
    a_reader_who_rests_gets_everything
    a_target_that_sends_hints_without_end_fills_nothing
}

async fn an_idle_connection_ends_a_strangers_soon(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    for (logged_in, expected) in [(false, 30), (true, 300)] {
        let (sender, connection) = scene.http2().await;
        let mut sender = sender.ready().await.unwrap();
        let asked = scene.request(Method::GET, "/").body(()).unwrap();
        if logged_in {
            let (response, _) = sender.send_request(asked, true).unwrap();
            let mut target = scene.accept().await;
            read_head(&mut target).await.unwrap();
            send(&mut target, "HTTP/1.1 204 No Content\r\n\r\n").await;
            assert_eq!(response.await.unwrap().status(), 204);
        } else {
            let mut asked = asked;
            asked.headers_mut().clear();
            let (response, _) = sender.send_request(asked, true).unwrap();
            assert_eq!(response.await.unwrap().status(), 407);
        }
        let began = Instant::now();
        // Said politely (GOAWAY, NO_ERROR), and closed.
        connection.await.unwrap().unwrap();
        let lived = began.elapsed().as_secs();
        assert!((expected - 1..=expected + 1).contains(&lived), "{lived} s");
    }
}

async fn a_tunnel_may_rest_for_as_long_as_it_likes(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let (sender, _connection) = scene.http2().await;
    let mut sender = sender.ready().await.unwrap();
    let (response, mut up) = sender.send_request(scene.connect_request(), false).unwrap();
    let mut down = response.await.unwrap().into_body();
    let mut target = scene.accept().await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(900)).await;
        up.send_data("ping".into(), false).unwrap();
        crate::expect(&mut target, "ping").await;
        send(&mut target, "pong").await;
        expect_data(&mut down, "pong").await;
    }
}

/// Sends until there is no room for a minute; returns how much went.
async fn send_until_full(up: &mut h2::SendStream<Bytes>, most: usize) -> usize {
    let mut sent = 0;
    while sent < most {
        up.reserve_capacity(64 * 1024);
        let room = std::future::poll_fn(|cx| up.poll_capacity(cx));
        let Ok(room) = Deadline::after(Duration::from_secs(60)).bound(room).await else { break };
        let room = room.unwrap().unwrap().min(most - sent);
        up.send_data(target::pattern(room).into(), false).unwrap();
        sent += room;
    }
    sent
}

/// What a target does not take the user cannot send, beyond what the windows on the way hold.
async fn an_upload_waits_for_its_target(site: Site, transport: Transport) {
    const MOST: usize = 64 * 1024 * 1024;
    let mut scene = Scene::start(site, transport).await;
    let (sender, _connection) = scene.http2().await;
    let mut sender = sender.ready().await.unwrap();
    let (response, mut up) = sender.send_request(scene.connect_request(), false).unwrap();
    response.await.unwrap();
    let mut target = scene.accept().await;
    let sent = send_until_full(&mut up, MOST).await;
    assert!(sent < 4 * 1024 * 1024, "{sent} bytes are on their way");
    assert!(sent > 256 * 1024, "{sent} bytes are on their way");
    up.send_data("".into(), true).unwrap();
    let (got, end) = read_all(&mut target).await;
    assert_eq!((got.len(), end), (sent, Ok(())));
}

/// Before anybody has logged in, a whole connection gets 64 KiB.
async fn a_strangers_upload_is_not_taken(site: Site, transport: Transport) {
    let scene = Scene::start(site, transport).await;
    let (mut sender, _connection) = scene.http2().await;
    let mut sent = 0;
    let mut waiting = Vec::new();
    // The log-in of these is held back by nothing; so they are given up at once, and what they have
    // sent meanwhile is thrown away. Hence: no answer is waited for.
    for _ in 0..4 {
        sender = sender.ready().await.unwrap();
        let mut asked = scene.request(Method::POST, "/").body(()).unwrap();
        asked.headers_mut().remove("proxy-authorization");
        let (response, mut up) = sender.send_request(asked, false).unwrap();
        up.reserve_capacity(1 << 20);
        let room = std::future::poll_fn(|cx| up.poll_capacity(cx)).await.unwrap().unwrap();
        up.send_data(vec![0; room].into(), false).unwrap();
        sent += room;
        waiting.push((response, up));
        if sent >= 65_535 {
            break;
        }
    }
    assert_eq!(sent, 65_535);
    for (response, _up) in waiting {
        assert_eq!(response.await.unwrap().status(), 407);
    }
}

/// GOAWAY, and what is under way goes on to its end.
async fn draining_lets_streams_finish(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let (sender, connection) = scene.http2().await;
    let mut sender = sender.ready().await.unwrap();
    let (response, mut up) = sender.send_request(scene.connect_request(), false).unwrap();
    let mut down = response.await.unwrap().into_body();
    let mut target = scene.accept().await;
    let (idle, idle_connection) = scene.http2().await;
    let idle = idle.ready().await.unwrap();
    let shutdown = tokio::spawn(scene.lab.gateway.shutdown(Duration::from_secs(60)));
    idle_connection.await.unwrap().unwrap();
    drop(idle);
    // Told: this one takes no more.
    let refused = loop {
        match sender.clone().ready().await {
            Err(error) => break error,
            Ok(mut sender) => {
                let asked = crate::connect_request("198.18.0.4:1");
                match sender.send_request(asked, true) {
                    Err(error) => break error,
                    Ok((response, _)) => assert!(response.await.is_err()),
                }
            }
        }
    };
    assert!(refused.is_go_away() || refused.is_remote() || refused.is_io(), "{refused}");
    for _ in 0..3 {
        up.send_data("ping".into(), false).unwrap();
        crate::expect(&mut target, "ping").await;
        send(&mut target, "pong").await;
        expect_data(&mut down, "pong").await;
    }
    up.send_data("".into(), true).unwrap();
    assert_eq!(read_all(&mut target).await, (vec![], Ok(())));
    drop(target);
    assert_eq!(collect(&mut down).await, (vec![], Ok(())));
    drop((up, down, sender));
    connection.await.unwrap().unwrap();
    assert_eq!(shutdown.await.unwrap(), Ended::Drained);
}

/// CVE-2023-44487: opened and reset in one breath, many times, below any client that would be too
/// well-behaved for it.
async fn a_flood_of_resets_ends_the_connection(site: Site, transport: Transport) {
    let scene = Scene::start(site, transport).await;
    let mut tls = scene.tls(&rustls::version::TLS13, &[b"h2"]).await;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    // RFC 7541: two literal fields, `:method` and `:authority`.
    let head = [&[0x02, 7][..], b"CONNECT", &[0x01, 9], b"x.test:80"].concat();
    for number in 0..200 {
        let stream = 1 + 2 * number;
        bytes.extend(frame(1, 0x4, stream, &head));
        bytes.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
    }
    let _ = tls.write_all(&bytes).await;
    let mut told = Vec::new();
    let _ = tls.read_to_end(&mut told).await;
    assert_eq!(goaway(&told), Some(0xb), "ENHANCE_YOUR_CALM");
    drop(tls);
    let gateway = &scene.lab.gateway;
    let limit = Duration::from_secs(60);
    eventually("all is gone", limit, || gateway.users() == 0).await;
}

/// RFC 9113 section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The error code of the last GOAWAY among `frames`.
fn goaway(mut frames: &[u8]) -> Option<u32> {
    let mut code = None;
    while let Some((head, rest)) = frames.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (payload, rest) = rest.split_at_checked(length)?;
        if head[3] == 7 {
            code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        frames = rest;
    }
    code
}

/// The tail waits for the user, however long ago the target has sent it.
async fn a_reader_who_rests_gets_everything(site: Site, transport: Transport) {
    const SIZE: usize = 4 * 1024 * 1024;
    let scene = Scene::start(site, transport).await;
    let target = target::http(&scene.lab.site, target::Framing::Length, SIZE);
    let (sender, _connection) = scene.http2().await;
    let mut sender = sender.ready().await.unwrap();
    let asked = http::Request::builder().uri(format!("http://{target}/"));
    let asked = asked.header("proxy-authorization", login()).body(()).unwrap();
    let (response, _) = sender.send_request(asked, true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut got = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        if got.len() / (1 << 20) != (got.len() + data.len()) / (1 << 20) {
            tokio::time::sleep(Duration::from_secs(400)).await;
        }
        body.flow_control().release_capacity(data.len()).unwrap();
        got.extend(data);
    }
    assert!(got == target::pattern(SIZE), "{} bytes", got.len());
}

/// Heads are not flow-controlled: a queue of them grows as long as somebody adds to it.
async fn a_target_that_sends_hints_without_end_fills_nothing(site: Site, transport: Transport) {
    const MOST: usize = 16;
    let mut scene = Scene::start(site, transport).await;
    let (sender, _connection) = scene.http2().await;
    let mut sender = sender.ready().await.unwrap();
    let asked = scene.request(Method::GET, "/").body(()).unwrap();
    let (mut response, _) = sender.send_request(asked, true).unwrap();
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    for _ in 0..10 * MOST {
        send(&mut target, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").await;
        // Each of them arrives by itself, so none is dropped because many wait.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    send(&mut target, "HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut hints = 0;
    while let Some(hint) = std::future::poll_fn(|cx| response.poll_informational(cx)).await {
        assert_eq!(hint.unwrap().status(), 103);
        hints += 1;
    }
    assert_eq!(hints, MOST);
    assert_eq!(response.await.unwrap().status(), 204);
}
