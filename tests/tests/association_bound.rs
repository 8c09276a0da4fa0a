//! A SOCKS5 UDP association has a connection and a socket, and both count as users' descriptors.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use anyproxy_tests::{
    lab::{Lab, Options, Site},
    udp::Association,
    user::{As, Refusal},
};
use anyproxy_transport::Transport;

#[tokio::test(start_paused = true)]
async fn an_association_takes_two_places_of_users() {
    let (site, _world) = Site::simulated();
    let mut options = Options::new(Transport::Quic);
    // Two for the first association, one for the second's connection.
    options.limits.max_users = 3;
    let lab = Lab::start(site, &options).await;
    let first = Association::open(&lab, &As::default(), None).await.unwrap();
    let refused = Association::open(&lab, &As::default(), None).await.err();
    assert_eq!(refused, Some(Refusal::Socks5(1)));
    drop(first);
    // Until the gateway has seen that, there is no more room than before.
    while Association::open(&lab, &As::default(), None).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
