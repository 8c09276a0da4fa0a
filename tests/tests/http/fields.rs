//! Header fields: what ends at the proxy, what passes, and how much there may be.

use std::net::{IpAddr, Ipv6Addr};

use anyproxy_tests::{
    cases::{TOO_LONG_SIMULATED, limited},
    lab::{GROUP, SECRET, Site},
    net::World,
    user::{WAYS, base64, read_head},
};
use anyproxy_transport::Transport;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{Scene, answer, body_of, expect, send, status, take, values};

everywhere! {
    a_target_sees_nothing_that_is_for_the_proxy
    a_user_sees_nothing_that_is_for_the_proxy
    large_heads_are_refused
    many_fields_pass_both_ways
    a_target_with_a_large_head_is_told
    a_target_that_does_not_speak_http_is_told
    illegal_spaces_and_folds_are_repaired
}

/// The lines behind the first one, in lower case and sorted.
fn sorted(head: &str) -> Vec<String> {
    let head = head.to_lowercase();
    let mut lines = head.lines().skip(1).map(|line| line.trim().into()).collect::<Vec<String>>();
    lines.retain(|line| !line.is_empty());
    lines.sort();
    lines
}

async fn a_target_sees_nothing_that_is_for_the_proxy(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let target = scene.target;
    let mut user = scene.user().await;
    let login = base64(format!("{GROUP}:{SECRET}").as_bytes());
    send(
        &mut user,
        format!(
            "GET http://name:password@{target}?q HTTP/1.1\r\n\
             Host: elsewhere.test\r\n\
             PROXY-authorization: Basic {login}\r\n\
             Proxy-Connection: keep-alive\r\n\
             Connection: keep-alive, x-named\r\n\
             Connection: X-Also-Named\r\n\
             Keep-Alive: timeout=5\r\n\
             X-Named: 1\r\n\
             X-Also-Named: 2\r\n\
             TE: gzip\r\n\
             Upgrade: h2c\r\n\
             X-Forwarded-For: somebody\r\n\
             Cookie: a=b\r\n\
             Authorization: Bearer for-the-target\r\n\
             X-MiXeD: Kept\r\n\
             X-Empty:\r\n\r\n"
        ),
    )
    .await;
    let mut conn = scene.accept().await;
    let head = read_head(&mut conn).await.unwrap();
    assert!(head.starts_with("GET /?q HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nX-MiXeD: Kept\r\n"), "{head}");
    let host = format!("host: {target}");
    let expected = [
        "authorization: bearer for-the-target",
        "cookie: a=b",
        &host,
        "x-empty:",
        "x-forwarded-for: somebody",
        "x-mixed: kept",
    ];
    assert_eq!(sorted(&head), expected, "{head}");
    answer(&mut user, &mut conn, "ok").await;
}

async fn a_user_sees_nothing_that_is_for_the_proxy(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/", "")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    send(
        &mut target,
        format!(
            "HTTP/1.1 200 Fine\r\n{date}\
             Connection: keep-alive, x-hop\r\n\
             Keep-Alive: timeout=5\r\n\
             Proxy-Connection: keep-alive\r\n\
             Proxy-Authenticate: Basic realm=\"not this proxy's\"\r\n\
             Proxy-Authentication-Info: x\r\n\
             Upgrade: h2c\r\n\
             X-Hop: 1\r\n\
             Set-Cookie: a=1\r\n\
             Set-Cookie: b=2\r\n\
             WWW-Authenticate: Basic realm=\"the target's\"\r\n\
             Content-Length: 2\r\n\r\nok"
        ),
    )
    .await;
    let head = read_head(&mut user).await.unwrap();
    let expected = [
        "content-length: 2",
        "date: sun, 06 nov 1994 08:49:37 gmt",
        "set-cookie: a=1",
        "set-cookie: b=2",
        "www-authenticate: basic realm=\"the target's\"",
    ];
    assert_eq!(sorted(&head), expected, "{head}");
    expect(&mut user, "ok").await;
    scene.goes_on(&mut user, &mut target).await;
}

/// The limit is about 64 KiB: what comes with the last read may exceed it.
async fn large_heads_are_refused(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let field = |size: usize| format!("X-Large: {}\r\n", "x".repeat(size));
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/", &field(60_000))).await;
    let mut target = scene.accept().await;
    let head = read_head(&mut target).await.unwrap();
    assert_eq!(values(&head, "x-large")[0].len(), 60_000);
    answer(&mut user, &mut target, "ok").await;

    let many = (0..2000).map(|number| format!("X-{number}: x\r\n")).collect::<String>();
    for fields in [field(200_000), many] {
        let user = scene.user().await;
        let request = scene.request("GET", "/", &fields);
        let (mut read, mut write) = tokio::io::split(user);
        // The proxy need not read to the end of what it refuses.
        let asking = async { drop(write.write_all(request.as_bytes()).await) };
        let mut start = [0; 12];
        let ((), told) = tokio::join!(asking, read.read_exact(&mut start));
        told.unwrap();
        assert_eq!(String::from_utf8_lossy(&start), "HTTP/1.1 431");
    }
    scene.no_more_connections();
}

async fn many_fields_pass_both_ways(site: Site, transport: Transport) {
    let fields = (0..900).map(|number| format!("X-{number}: x\r\n")).collect::<String>();
    let count = |head: &str| head.lines().filter(|line| line.starts_with("X-")).count();
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/", &fields)).await;
    let mut target = scene.accept().await;
    let head = read_head(&mut target).await.unwrap();
    assert_eq!(count(&head), 900);
    send(&mut target, format!("HTTP/1.1 204 No Content\r\n{fields}\r\n")).await;
    let head = read_head(&mut user).await.unwrap();
    assert_eq!((status(&head), count(&head)), (204, 900));
    scene.goes_on(&mut user, &mut target).await;
}

/// The user's connection stays.
async fn is_told(site: Site, transport: Transport, reply: String) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/", "")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    // The proxy need not read to the end of what it refuses.
    let _ = target.write_all(reply.as_bytes()).await;
    let head = read_head(&mut user).await.unwrap();
    assert_eq!(status(&head), 502, "{head}");
    assert!(values(&head, "proxy-status")[0].contains("error=http_protocol_error"), "{head}");
    body_of(&head, &mut user).await;
    send(&mut user, scene.request("GET", "/", "")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    answer(&mut user, &mut target, "ok").await;
}

async fn a_target_with_a_large_head_is_told(site: Site, transport: Transport) {
    let large = "x".repeat(200_000);
    is_told(site, transport, format!("HTTP/1.1 200 OK\r\nX-Large: {large}\r\n\r\n")).await;
}

async fn a_target_that_does_not_speak_http_is_told(site: Site, transport: Transport) {
    is_told(site, transport, "SSH-2.0-OpenSSH_9.9\r\n".into()).await;
}

/// RFC 9112 sections 5.1 and 5.2.
async fn illegal_spaces_and_folds_are_repaired(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/", "")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    let reply = "HTTP/1.1 200 OK\r\nX-A : 1\r\nX-B: one\r\n two\r\nContent-Length: 2\r\n\r\nok";
    send(&mut target, reply).await;
    let head = read_head(&mut user).await.unwrap();
    assert_eq!((values(&head, "x-a"), values(&head, "x-b")), (vec!["1"], vec!["one two"]));
    assert!(!head.contains(" :"), "{head}");
    expect(&mut user, "ok").await;
    scene.goes_on(&mut user, &mut target).await;
}

/// A simulated site where everything has an IPv6 address only.
fn ipv6() -> Site {
    let world = World::new(7);
    let ip = |last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
    let host = |name, last| world.host(name, ip(last)).net();
    Site {
        gateway: host("gateway", 1),
        client: host("client", 2),
        user: host("user", 3),
        target: host("target", 4),
        gateway_ip: ip(1),
        target_ip: ip(4),
    }
}

/// `scene.target` displays with brackets.
async fn ipv6_literals_are_targets(transport: Transport) {
    let mut scene = Scene::start(ipv6(), transport).await;
    let host = scene.target.to_string();
    assert!(host.starts_with("[2001:db8::4]:"), "{host}");
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/x", "")).await;
    let mut target = scene.accept().await;
    let head = read_head(&mut target).await.unwrap();
    assert!(head.starts_with("GET /x HTTP/1.1\r\n"), "{head}");
    assert_eq!(values(&head, "host"), [host]);
    send(&mut target, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(take(&mut user).await, (200, "ok".into()));
    for way in WAYS {
        let mut user = scene.lab.connect(way, scene.target).await;
        send(&mut user, "there").await;
        let mut target = scene.accept().await;
        expect(&mut target, "there").await;
        send(&mut target, "and back").await;
        expect(&mut user, "and back").await;
    }
}

#[tokio::test(start_paused = true)]
async fn ipv6_literals_are_targets_over_quic_simulated() {
    limited(TOO_LONG_SIMULATED, ipv6_literals_are_targets(Transport::Quic)).await;
}

#[tokio::test(start_paused = true)]
async fn ipv6_literals_are_targets_over_websocket_simulated() {
    limited(TOO_LONG_SIMULATED, ipv6_literals_are_targets(Transport::WebSocket)).await;
}
