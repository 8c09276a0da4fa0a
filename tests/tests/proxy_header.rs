//! Conformance case 43: the target sees the user's real address.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
};

use anyproxy_client::{Client, ProxyHeader};
use anyproxy_tests::{
    lab::{Options, Site, connected},
    party::Party,
    target,
    user::{Way, read_all},
};
use anyproxy_transport::{Transport, net::Conn};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What a target reads before it says anything: a line, or a block with its length.
async fn read_header(conn: &mut Conn, version: ProxyHeader) -> Vec<u8> {
    let mut header = Vec::new();
    match version {
        ProxyHeader::V1 => {
            while !header.ends_with(b"\r\n") {
                header.push(conn.read_u8().await.unwrap());
            }
        }
        ProxyHeader::V2 => {
            header.resize(16, 0);
            conn.read_exact(&mut header).await.unwrap();
            let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
            header.resize(16 + length, 0);
            conn.read_exact(&mut header[16..]).await.unwrap();
        }
    }
    header
}

/// The header in words of its own; IPv4 only.
fn expected(version: ProxyHeader, source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let octets = |addr: SocketAddr| match addr.ip() {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(_) => unreachable!("these labs have IPv4 only"),
    };
    match version {
        ProxyHeader::V1 => {
            let (from, to) = (source.port(), destination.port());
            format!("PROXY TCP4 {} {} {from} {to}\r\n", source.ip(), destination.ip()).into_bytes()
        }
        ProxyHeader::V2 => {
            let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
            let head = [0x21, 0x11, 0, 12];
            [SIGNATURE, &head, &octets(source), &octets(destination), &ports].concat()
        }
    }
}

async fn start(
    site: Site,
    (transport, version): (Transport, ProxyHeader),
    target: SocketAddr,
) -> (Party, Client, SocketAddr) {
    let party = Party::start(site, Options::new(transport));
    let mut config = party.config("lab");
    let mut forward = party.any_port(target);
    forward.proxy_header = Some(version);
    config.forwards = vec![forward];
    let client = party.client(config);
    let port = connected(&client).await[0];
    (party, client, port)
}

async fn the_target_sees_the_users_address(site: Site, transport: Transport) {
    for version in [ProxyHeader::V1, ProxyHeader::V2] {
        let (tell, mut told) = mpsc::channel(1);
        let target = target::serve(&site, move |mut conn| {
            let tell = tell.clone();
            async move {
                let _ = tell.send(read_header(&mut conn, version).await).await;
                // Like a mail server: it speaks first, and only now.
                let _ = conn.write_all(b"220 hello\r\n").await;
                let (mut read, mut write) = tokio::io::split(conn);
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            }
        });
        let (party, _client, port) = start(site.clone(), (transport, version), target).await;
        let mut user = party.user(port).await;
        let source = user.local_addr().unwrap();
        assert_eq!(told.recv().await.unwrap(), expected(version, source, port));
        user.write_all(b"first bytes").await.unwrap();
        user.shutdown().await.unwrap();
        let seen = read_all(&mut user).await;
        assert_eq!(seen, (b"220 hello\r\nfirst bytes".to_vec(), Ok(())));
    }
}

#[tokio::test]
async fn the_target_sees_the_users_address_over_quic() {
    the_target_sees_the_users_address(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn the_target_sees_the_users_address_over_websocket() {
    the_target_sees_the_users_address(Site::loopback(), Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn the_target_sees_the_users_address_over_quic_simulated() {
    the_target_sees_the_users_address(Site::simulated().0, Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn the_target_sees_the_users_address_over_websocket_simulated() {
    the_target_sees_the_users_address(Site::simulated().0, Transport::WebSocket).await;
}

/// The header is a forward's: the same target reached by name or address gets none.
async fn only_the_forward_sends_a_header(transport: Transport) {
    let site = Site::loopback();
    let echo = target::echo(&site);
    let (party, _client, port) = start(site, (transport, ProxyHeader::V1), echo).await;
    for way in [Way::Http, Way::Socks5] {
        let mut user = party.doors(&[port]).connect(way, echo).await.unwrap();
        user.write_all(b"hello").await.unwrap();
        user.shutdown().await.unwrap();
        assert_eq!(read_all(&mut user).await, (b"hello".to_vec(), Ok(())), "{way:?}");
    }
    let mut user = party.user(port).await;
    user.shutdown().await.unwrap();
    let header = expected(ProxyHeader::V1, user.local_addr().unwrap(), port);
    assert_eq!(read_all(&mut user).await, (header, Ok(())), "the echo shows what was sent");
}

#[tokio::test]
async fn only_the_forward_sends_a_header_over_quic() {
    only_the_forward_sends_a_header(Transport::Quic).await;
}

#[tokio::test]
async fn only_the_forward_sends_a_header_over_websocket() {
    only_the_forward_sends_a_header(Transport::WebSocket).await;
}

/// A server that does not expect a header, or not from here, hangs up.
async fn a_target_that_hangs_up_resets_the_user(site: Site, transport: Transport) {
    for version in [ProxyHeader::V1, ProxyHeader::V2] {
        let target = target::serve(&site, |conn| async move { conn.abort() });
        let (party, _client, port) = start(site.clone(), (transport, version), target).await;
        for first in [&b""[..], b"first bytes"] {
            let mut user = party.user(port).await;
            let _ = user.write_all(first).await;
            assert_eq!(read_all(&mut user).await, (vec![], Err(ErrorKind::ConnectionReset)));
        }
    }
}

#[tokio::test]
async fn a_target_that_hangs_up_resets_the_user_over_quic() {
    a_target_that_hangs_up_resets_the_user(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn a_target_that_hangs_up_resets_the_user_over_websocket() {
    a_target_that_hangs_up_resets_the_user(Site::loopback(), Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_hangs_up_resets_the_user_over_quic_simulated() {
    a_target_that_hangs_up_resets_the_user(Site::simulated().0, Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_hangs_up_resets_the_user_over_websocket_simulated() {
    a_target_that_hangs_up_resets_the_user(Site::simulated().0, Transport::WebSocket).await;
}
