//! HTTP and SOCKS on one port.

use anyproxy_tests::{lab::Site, user::read_all};
use anyproxy_transport::Transport;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

use crate::{Scene, expect, login, send};

everywhere! {
    the_first_byte_tells_http_from_socks
}

simulated! {
    a_mixed_port_waits_no_longer_than_any_other
}

async fn the_first_byte_tells_http_from_socks(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mixed = scene.lab.gateway.addresses().mixed[0];
    // In pieces, so that the first read sees no more than the first byte.
    for first in [usize::MAX, 1] {
        let mut user = scene.lab.tcp(mixed).await;
        let (to, login) = (scene.target, login());
        let asked = format!(
            "CONNECT {to} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {login}\r\n\r\nearly"
        );
        send_in_pieces(&mut user, asked.as_bytes(), first).await;
        let mut target = scene.accept().await;
        expect(&mut target, "early").await;
        let head = anyproxy_tests::user::read_head(&mut user).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        drop(user);
        assert_eq!(read_all(&mut target).await.0, b"");

        let mut user = scene.lab.tcp(mixed).await;
        send_in_pieces(&mut user, &[5, 1, 2], first).await;
        let mut choice = [0; 2];
        user.read_exact(&mut choice).await.unwrap();
        assert_eq!(choice, [5, 2]);
    }
}

async fn send_in_pieces(user: &mut anyproxy_transport::net::Conn, bytes: &[u8], first: usize) {
    let (first, rest) = bytes.split_at(first.min(bytes.len()));
    send(user, first).await;
    tokio::task::yield_now().await;
    send(user, rest).await;
}

async fn a_mixed_port_waits_no_longer_than_any_other(site: Site, transport: Transport) {
    let scene = Scene::start(site, transport).await;
    for sent in [&b""[..], b"\x05", b"G"] {
        let began = Instant::now();
        let mut user = scene.lab.tcp(scene.lab.gateway.addresses().mixed[0]).await;
        user.write_all(sent).await.unwrap();
        read_all(&mut user).await.1.ok();
        let took = began.elapsed();
        assert!((30..64).contains(&took.as_secs()), "{sent:?}: {took:?}");
    }
}
