//! Connections that stop being HTTP, and bytes that come before they do.

use anyproxy_tests::{
    lab::Site,
    user::{WAYS, read_all, read_head},
};
use anyproxy_transport::Transport;
use tokio::io::AsyncWriteExt as _;

use crate::{Scene, answer, body_of, expect, send, status, values};

everywhere! {
    bytes_sent_early_come_first
    an_upgrade_passes_both_ways
    an_upgrade_that_the_target_refuses_leaves_http
    a_switch_that_nobody_asked_for_is_refused
}

/// Behind a CONNECT, a SOCKS5 request, and at a forwarded port; nothing of the request itself
/// reaches the target.
async fn bytes_sent_early_come_first(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    for way in WAYS {
        let (mut user, ahead) = scene.lab.doors().hasty(way, scene.target).await.unwrap();
        send(&mut user, [&ahead[..], b"early"].concat()).await;
        let mut target = scene.accept().await;
        expect(&mut target, "early").await;
        scene.lab.doors().catch_up(way, &mut user).await.unwrap();
        send(&mut user, "late").await;
        user.shutdown().await.unwrap();
        assert_eq!(read_all(&mut target).await, (b"late".to_vec(), Ok(())), "{way:?}");
        send(&mut target, "behind the end").await;
        drop(target);
        assert_eq!(read_all(&mut user).await, (b"behind the end".to_vec(), Ok(())), "{way:?}");
    }
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n";

async fn an_upgrade_passes_both_ways(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/", UPGRADE) + "early").await;
    let mut target = scene.accept().await;
    let head = read_head(&mut target).await.unwrap().to_lowercase();
    assert_eq!(values(&head, "connection"), ["upgrade"]);
    assert_eq!(values(&head, "upgrade"), ["websocket"]);
    assert_eq!(values(&head, "sec-websocket-key"), ["k"]);
    send(
        &mut target,
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: a\r\n\r\nfirst",
    )
    .await;
    let head = read_head(&mut user).await.unwrap().to_lowercase();
    assert_eq!(status(&head), 101);
    assert_eq!(values(&head, "connection"), ["upgrade"]);
    assert_eq!(values(&head, "upgrade"), ["websocket"]);
    assert_eq!(values(&head, "sec-websocket-accept"), ["a"]);
    expect(&mut user, "first").await;
    expect(&mut target, "early").await;
    for _ in 0..3 {
        send(&mut user, "ping").await;
        expect(&mut target, "ping").await;
        send(&mut target, "pong").await;
        expect(&mut user, "pong").await;
    }
    user.shutdown().await.unwrap();
    assert_eq!(read_all(&mut target).await, (vec![], Ok(())));
    send(&mut target, "bye").await;
    drop(target);
    assert_eq!(read_all(&mut user).await, (b"bye".to_vec(), Ok(())));
}

async fn an_upgrade_that_the_target_refuses_leaves_http(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    for (reply, upgrade) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", vec![]),
        (
            "HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\
             Content-Length: 0\r\n\r\n",
            vec!["h2c"],
        ),
    ] {
        send(&mut user, scene.request("GET", "/", UPGRADE)).await;
        let mut target = scene.accept().await;
        read_head(&mut target).await.unwrap();
        send(&mut target, reply).await;
        let head = read_head(&mut user).await.unwrap();
        assert!(head.starts_with(&reply[..12]), "{head}");
        assert_eq!(values(&head, "upgrade"), upgrade);
        scene.goes_on(&mut user, &mut target).await;
    }
}

async fn a_switch_that_nobody_asked_for_is_refused(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/", "")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    send(&mut target, switch).await;
    let head = read_head(&mut user).await.unwrap();
    assert_eq!(status(&head), 502, "{head}");
    assert!(values(&head, "proxy-status")[0].contains("error=http_protocol_error"), "{head}");
    body_of(&head, &mut user).await;
    send(&mut user, scene.request("GET", "/", "")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    answer(&mut user, &mut target, "ok").await;
}
