//! Sockets for proxied datagrams, on real loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failure here is the test's"
)]

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyproxy_runtime::Deadline;
use anyproxy_transport::net::{Datagrams, Net as _, Received, System};

const LARGEST: usize = 65_507;

fn bind(local: &str, peer: Option<SocketAddr>) -> Datagrams {
    System::default().datagrams(local.parse().unwrap(), peer).unwrap()
}

fn port(socket: &Datagrams) -> u16 {
    socket.local_addr().unwrap().port()
}

/// What never comes fails the test instead of holding it up.
async fn recv(socket: &Datagrams) -> (Vec<u8>, Received) {
    let mut buf = vec![0; LARGEST];
    let received = Deadline::after(Duration::from_secs(10)).bound(socket.recv(&mut buf)).await;
    let received = received.expect("nothing came").unwrap();
    buf.truncate(received.length);
    (buf, received)
}

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

#[tokio::test]
async fn an_answer_comes_from_the_address_that_was_asked() {
    let server = bind("0.0.0.0:0", None);
    for last in [2, 1, 3] {
        let asked = SocketAddr::new(v4(last), port(&server));
        // Connected: an answer from anywhere else would not arrive.
        let user = bind("127.0.0.1:0", Some(asked));
        user.try_send(b"?", asked, None).unwrap();
        let (payload, received) = recv(&server).await;
        assert_eq!(payload, b"?");
        assert_eq!(received.from, user.local_addr().unwrap());
        assert_eq!(received.to, Some(v4(last)));
        server.try_send(b"!", received.from, received.to).unwrap();
        assert_eq!(recv(&user).await.0, b"!");
    }
}

#[tokio::test]
async fn a_dual_stack_socket_serves_both_families_and_shows_each_in_its_own_form() {
    let server = bind("[::]:0", None);
    if server.local_addr().unwrap().is_ipv4() {
        eprintln!("no IPv6 on this machine");
        return;
    }
    let cases =
        [(v4(2), "127.0.0.1:0"), (v4(1), "127.0.0.1:0"), (Ipv6Addr::LOCALHOST.into(), "[::1]:0")];
    for (ip, local) in cases {
        let asked = SocketAddr::new(ip, port(&server));
        let user = match ip {
            IpAddr::V6(_)
                if System::default().datagrams("[::1]:0".parse().unwrap(), None).is_err() =>
            {
                continue;
            }
            IpAddr::V4(_) | IpAddr::V6(_) => bind(local, Some(asked)),
        };
        user.try_send(b"?", asked, None).unwrap();
        let (_, received) = recv(&server).await;
        assert_eq!(received.from, user.local_addr().unwrap());
        assert_eq!(received.to, Some(ip));
        server.try_send(b"!", received.from, received.to).unwrap();
        assert_eq!(recv(&user).await.0, b"!");
        server.try_send(b"again", received.from, None).unwrap();
        if ip != v4(2) {
            assert_eq!(recv(&user).await.0, b"again", "without a source the system chooses");
        }
    }
}

#[tokio::test]
async fn a_particular_address_is_what_datagrams_came_to() {
    let server = bind("127.0.0.4:0", None);
    let user = bind("127.0.0.1:0", None);
    user.try_send(b"?", server.local_addr().unwrap(), None).unwrap();
    assert_eq!(recv(&server).await.1.to, Some(v4(4)));
}

#[tokio::test]
async fn datagrams_of_every_size_stay_whole_and_single() {
    let server = bind("0.0.0.0:0", None);
    let asked = SocketAddr::new(v4(1), port(&server));
    let user = bind("0.0.0.0:0", Some(asked));
    let sizes = [0, 1, 1200, 1200, 1200, 1200, 1472, 1473, 9000, LARGEST, 0];
    for size in sizes {
        user.try_send(&vec![7; size], asked, None).unwrap();
    }
    for size in sizes {
        let (payload, received) = recv(&server).await;
        assert_eq!(payload.len(), size);
        server.try_send(&payload, received.from, received.to).unwrap();
        assert_eq!(recv(&user).await.0.len(), size);
    }
    assert!(user.try_send(&[0; LARGEST + 1], asked, None).is_err());
}

#[tokio::test]
async fn a_socket_with_a_peer_takes_nothing_from_others() {
    let peer = bind("127.0.0.1:0", None);
    let stranger = bind("127.0.0.1:0", None);
    let socket = bind("127.0.0.1:0", Some(peer.local_addr().unwrap()));
    let here = socket.local_addr().unwrap();
    stranger.try_send(b"stranger", here, None).unwrap();
    peer.try_send(b"peer", here, None).unwrap();
    let (payload, received) = recv(&socket).await;
    assert_eq!(payload, b"peer");
    assert_eq!(received.from, peer.local_addr().unwrap());
}

#[tokio::test]
async fn a_port_that_refuses_ends_nothing() {
    let gone = bind("127.0.0.1:0", None);
    let peer = gone.local_addr().unwrap();
    drop(gone);
    let socket = bind("127.0.0.1:0", Some(peer));
    socket.try_send(b"to nobody", peer, None).unwrap();
    let told = socket.recv(&mut [0; 16]).await.unwrap_err();
    assert_eq!(told.kind(), std::io::ErrorKind::ConnectionRefused);
    // The port refuses this one too, which is told in place of sending the next: it is sent all the
    // same.
    socket.try_send(b"to nobody", peer, None).unwrap();
    let back = System::default().datagrams(peer, None).unwrap();
    socket.try_send(b"to somebody", peer, None).unwrap();
    assert_eq!(recv(&back).await.0, b"to somebody");
    back.try_send(b"hello", socket.local_addr().unwrap(), None).unwrap();
    let mut buf = [0; 16];
    let length = loop {
        match socket.recv(&mut buf).await {
            Ok(received) => break received.length,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused),
        }
    };
    assert_eq!(&buf[..length], b"hello");
}
