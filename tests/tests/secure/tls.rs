//! HTTP/1.1 behind TLS.

use std::time::Duration;

use anyproxy_tests::{
    lab::Site,
    target,
    user::{read_all, read_head},
};
use anyproxy_transport::Transport;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

use crate::{Scene, VERSIONS, expect, login, send};

everywhere! {
    requests_and_tunnels_work_with_every_version
    an_end_without_close_notify_is_no_end
    a_targets_reset_is_no_end
    plain_http_at_the_tls_port_is_told_what_to_do
    tls_at_the_plain_port_ends
}

simulated! {
    a_slow_handshake_ends_at_the_deadline
    a_reader_who_rests_gets_everything
}

fn connect(scene: &Scene) -> String {
    let (target, login) = (scene.target, login());
    format!("CONNECT {target} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {login}\r\n\r\n")
}

async fn head_of(tls: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tls.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Also for users who know nothing of ALPN.
async fn requests_and_tunnels_work_with_every_version(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    for (version, alpn) in VERSIONS.into_iter().zip([&[&b"http/1.1"[..]][..], &[]]) {
        let mut user = scene.tls(version, alpn).await;
        assert_eq!(user.get_ref().1.alpn_protocol(), alpn.first().copied());
        let (target, login) = (scene.target, login());
        let get = format!(
            "GET http://{target}/x HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {login}\r\n\r\n"
        );
        user.write_all(get.as_bytes()).await.unwrap();
        let mut target = scene.accept().await;
        assert!(read_head(&mut target).await.unwrap().starts_with("GET /x HTTP/1.1\r\n"));
        // It closes, so that it is not kept for the next round.
        send(&mut target, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            .await;
        assert!(head_of(&mut user).await.starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!([user.read_u8().await.unwrap(), user.read_u8().await.unwrap()], *b"ok");

        user.write_all((connect(&scene) + "early").as_bytes()).await.unwrap();
        let mut target = scene.accept().await;
        expect(&mut target, "early").await;
        assert!(head_of(&mut user).await.starts_with("HTTP/1.1 200 OK\r\n"));
        // Half-closing works as without TLS.
        user.write_all(b"late").await.unwrap();
        user.shutdown().await.unwrap();
        assert_eq!(read_all(&mut target).await, (b"late".to_vec(), Ok(())));
        send(&mut target, "behind the end").await;
        drop(target);
        let mut rest = String::new();
        user.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "behind the end");
    }
}

/// RFC 8446 section 6.1. A FIN may come from anybody; the upload before it may be half an upload.
async fn an_end_without_close_notify_is_no_end(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    for version in VERSIONS {
        let mut user = scene.tls(version, &[]).await;
        user.write_all(connect(&scene).as_bytes()).await.unwrap();
        let mut target = scene.accept().await;
        head_of(&mut user).await;
        user.write_all(b"half").await.unwrap();
        user.flush().await.unwrap();
        expect(&mut target, "half").await;
        user.get_mut().0.shutdown().await.unwrap();
        assert!(read_all(&mut target).await.1.is_err());
    }
}

async fn a_targets_reset_is_no_end(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.tls(VERSIONS[1], &[]).await;
    user.write_all(connect(&scene).as_bytes()).await.unwrap();
    let target = scene.accept().await;
    head_of(&mut user).await;
    target.abort();
    assert!(user.read_to_end(&mut Vec::new()).await.is_err());
}

async fn plain_http_at_the_tls_port_is_told_what_to_do(site: Site, transport: Transport) {
    let scene = Scene::start(site, transport).await;
    let mut user = scene.lab.tcp(scene.https()).await;
    send(&mut user, connect(&scene)).await;
    let (told, end) = read_all(&mut user).await;
    let told = String::from_utf8(told).unwrap();
    assert!(told.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{told}");
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    assert!(body.contains("this port speaks TLS"), "{told}");
    assert!(head.contains("Proxy-Status: anyproxy; error=http_request_error"), "{told}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{told}");
    assert_eq!(end, Ok(()));
}

async fn tls_at_the_plain_port_ends(site: Site, transport: Transport) {
    let scene = Scene::start(site, transport).await;
    let mut user = scene.lab.tcp(scene.lab.http()).await;
    send(&mut user, b"\x16\x03\x01\x00\x05hello").await;
    let (told, end) = read_all(&mut user).await;
    assert!(told.is_empty() || told.starts_with(b"HTTP/1.1 400"), "{told:?}");
    assert_eq!(end, Ok(()));
}

/// Silence, a first byte and then silence, and half a handshake.
async fn a_slow_handshake_ends_at_the_deadline(site: Site, transport: Transport) {
    let scene = Scene::start(site, transport).await;
    for sent in [&b""[..], b"\x16", b"\x16\x03\x01\x00\xf0\x01\x00"] {
        let began = Instant::now();
        let mut user = scene.lab.tcp(scene.https()).await;
        send(&mut user, sent).await;
        read_all(&mut user).await.1.ok();
        let took = began.elapsed();
        assert!((30..32).contains(&took.as_secs()), "{sent:?}: {took:?}");
    }
    assert_eq!(scene.lab.gateway.users(), 0);
}

/// Bytes that are encrypted already wait for the user as any others do.
async fn a_reader_who_rests_gets_everything(site: Site, transport: Transport) {
    const SIZE: usize = 4 * 1024 * 1024;
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.tls(VERSIONS[1], &[b"http/1.1"]).await;
    let (target, login) = (scene.target, login());
    let get = format!(
        "GET http://{target}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Proxy-Authorization: {login}\r\n\r\n"
    );
    user.write_all(get.as_bytes()).await.unwrap();
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    let body = target::pattern(SIZE);
    let sending = async {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        send(&mut target, [head.as_bytes(), &body].concat()).await;
    };
    let receiving = async {
        head_of(&mut user).await;
        for rest in [600, 400, 0] {
            let mut some = vec![0; SIZE / 4];
            user.read_exact(&mut some).await.unwrap();
            tokio::time::sleep(Duration::from_secs(rest)).await;
        }
        let mut last = Vec::new();
        user.read_to_end(&mut last).await.unwrap();
        assert!(body.ends_with(&last) && last.len() == SIZE - 3 * (SIZE / 4));
    };
    tokio::join!(sending, receiving);
}
