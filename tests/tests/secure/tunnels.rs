//! CONNECT over HTTP/2: each stream is a connection of its own.

use anyproxy_tests::{lab::Site, target, user::read_all};
use anyproxy_transport::{Transport, net::Conn};
use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client::SendRequest};

use crate::{Scene, collect, connect_request, expect, expect_data, send};

everywhere! {
    a_listener_that_negotiates_h2_serves_connect
    half_closes_pass_both_ways
    a_targets_reset_is_a_connect_error
    a_users_reset_is_a_reset
    a_failed_open_is_told_on_its_stream
    log_ins_are_asked_for_on_each_stream
    a_stream_that_nobody_reads_holds_up_no_other
    an_upload_waits_for_its_target
}

/// A tunnel to the target of the scene.
async fn tunnel(
    scene: &mut Scene,
    sender: &mut SendRequest<Bytes>,
) -> (SendStream<Bytes>, RecvStream, Conn) {
    *sender = sender.clone().ready().await.unwrap();
    let (response, up) = sender.send_request(scene.connect_request(), false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    (up, response.into_body(), scene.accept().await)
}

/// FAULTS 9: ALPN promised HTTP/2, and CONNECT was then answered with 500.
async fn a_listener_that_negotiates_h2_serves_connect(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let (mut sender, _connection) = scene.http2().await;
    assert!(!sender.is_extended_connect_protocol_enabled());
    let mut tunnels = Vec::new();
    for _ in 0..3 {
        tunnels.push(tunnel(&mut scene, &mut sender).await);
    }
    for (up, down, target) in &mut tunnels {
        up.send_data("ping".into(), false).unwrap();
        expect(target, "ping").await;
        send(target, "pong").await;
        expect_data(down, "pong").await;
    }
}

async fn half_closes_pass_both_ways(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let (mut sender, _connection) = scene.http2().await;
    let (mut up, mut down, mut target) = tunnel(&mut scene, &mut sender).await;
    up.send_data("last".into(), true).unwrap();
    assert_eq!(read_all(&mut target).await, (b"last".to_vec(), Ok(())));
    send(&mut target, "behind the end").await;
    drop(target);
    assert_eq!(collect(&mut down).await, (b"behind the end".to_vec(), Ok(())));

    let (mut up, mut down, mut target) = tunnel(&mut scene, &mut sender).await;
    send(&mut target, "all").await;
    tokio::io::AsyncWriteExt::shutdown(&mut target).await.unwrap();
    assert_eq!(collect(&mut down).await, (b"all".to_vec(), Ok(())));
    up.send_data("still".into(), false).unwrap();
    expect(&mut target, "still").await;
    up.send_data("".into(), true).unwrap();
    assert_eq!(read_all(&mut target).await, (vec![], Ok(())));
}

/// RFC 9113 section 8.5.
async fn a_targets_reset_is_a_connect_error(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let (mut sender, _connection) = scene.http2().await;
    let (_up, mut down, target) = tunnel(&mut scene, &mut sender).await;
    target.abort();
    assert_eq!(collect(&mut down).await.1, Err(Some(Reason::CONNECT_ERROR)));
    // And of no concern to any other stream.
    let (_up, mut down, mut target) = tunnel(&mut scene, &mut sender).await;
    send(&mut target, "ok").await;
    expect_data(&mut down, "ok").await;
}

/// Whatever its code, behind an end as well, and by losing the connection too.
async fn a_users_reset_is_a_reset(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let (mut sender, connection) = scene.http2().await;
    for (reason, end) in [
        (Reason::CANCEL, false),
        (Reason::NO_ERROR, false),
        (Reason::CONNECT_ERROR, false),
        (Reason::CANCEL, true),
    ] {
        let (mut up, down, mut target) = tunnel(&mut scene, &mut sender).await;
        up.send_data("half".into(), end).unwrap();
        expect(&mut target, "half").await;
        if end {
            assert_eq!(read_all(&mut target).await, (vec![], Ok(())));
            up.send_reset(reason);
            // A target that has seen the end sees a reset when it writes.
            let endless = vec![0; 64 * 1024];
            while tokio::io::AsyncWriteExt::write_all(&mut target, &endless).await.is_ok() {}
        } else {
            up.send_reset(reason);
            assert!(read_all(&mut target).await.1.is_err(), "{reason:?}");
        }
        drop(down);
    }
    let (_up, _down, mut target) = tunnel(&mut scene, &mut sender).await;
    connection.abort();
    assert!(read_all(&mut target).await.1.is_err());
}

async fn a_failed_open_is_told_on_its_stream(site: Site, transport: Transport) {
    let nobody = target::nobody(&site);
    let scene = Scene::start(site, transport).await;
    let (sender, _connection) = scene.http2().await;
    let mut sender = sender.ready().await.unwrap();
    let asked = connect_request(&nobody.to_string());
    let (response, _up) = sender.send_request(asked, false).unwrap();
    let mut response = response.await.unwrap();
    assert_eq!(response.status(), 502);
    let status = response.headers()["proxy-status"].to_str().unwrap();
    assert!(status.contains("error=connection_refused"), "{status}");
    let (text, end) = collect(response.body_mut()).await;
    assert!(String::from_utf8(text).unwrap().contains("cannot reach"));
    assert_eq!(end, Ok(()));
}

async fn log_ins_are_asked_for_on_each_stream(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let (mut sender, _connection) = scene.http2().await;
    for _ in 0..2 {
        let mut asked = scene.connect_request();
        asked.headers_mut().clear();
        sender = sender.ready().await.unwrap();
        let (response, _) = sender.send_request(asked, false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 407);
        let challenge = response.headers()["proxy-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Basic realm=\"anyproxy\""), "{challenge}");
        let (_up, mut down, mut target) = tunnel(&mut scene, &mut sender).await;
        send(&mut target, "in").await;
        expect_data(&mut down, "in").await;
    }
}

/// Neither way: the user reads nothing of one stream, a target nothing of another.
async fn a_stream_that_nobody_reads_holds_up_no_other(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let (mut sender, _connection) = scene.http2().await;
    let mut stuck = Vec::new();
    for _ in 0..3 {
        let (mut up, down, mut target) = tunnel(&mut scene, &mut sender).await;
        // As much as each side takes. More is on the way and waits.
        let sending = tokio::spawn(async move {
            let endless = vec![7; 64 * 1024];
            while tokio::io::AsyncWriteExt::write_all(&mut target, &endless).await.is_ok() {}
        });
        up.reserve_capacity(64 << 20);
        let mut capacity = std::future::poll_fn(|cx| up.poll_capacity(cx)).await.unwrap().unwrap();
        capacity = capacity.max(up.capacity());
        up.send_data(vec![7; capacity].into(), false).unwrap();
        stuck.push((up, down, sending));
    }
    for _ in 0..3 {
        let (mut up, mut down, mut target) = tunnel(&mut scene, &mut sender).await;
        for _ in 0..10 {
            up.send_data("ping".into(), false).unwrap();
            expect(&mut target, "ping").await;
            send(&mut target, "pong").await;
            expect_data(&mut down, "pong").await;
        }
        up.send_data("".into(), true).unwrap();
        drop(target);
        assert_eq!(collect(&mut down).await.1, Ok(()));
    }
    for (.., sending) in stuck {
        sending.abort();
    }
}

/// What a target does not take, the user cannot send: nothing piles up in between. All of it
/// arrives in the end.
async fn an_upload_waits_for_its_target(site: Site, transport: Transport) {
    const SIZE: usize = 32 * 1024 * 1024;
    let mut scene = Scene::start(site, transport).await;
    let (mut sender, _connection) = scene.http2().await;
    let (mut up, _down, mut target) = tunnel(&mut scene, &mut sender).await;
    let all = target::pattern(SIZE);
    let sending = async {
        let mut rest = Bytes::from(all.clone());
        while !rest.is_empty() {
            up.reserve_capacity(rest.len().min(64 * 1024));
            let room = std::future::poll_fn(|cx| up.poll_capacity(cx)).await.unwrap().unwrap();
            up.send_data(rest.split_to(room.min(rest.len())), false).unwrap();
        }
        up.send_data("".into(), true).unwrap();
    };
    let receiving = read_all(&mut target);
    let ((), (got, end)) = tokio::join!(sending, receiving);
    assert!(got == all, "{} bytes", got.len());
    assert_eq!(end, Ok(()));
}
