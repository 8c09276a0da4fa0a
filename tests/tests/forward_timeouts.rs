//! A forward may end connections that rest; by default none does.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use anyproxy_client::{Client, Forward};
use anyproxy_tests::{
    lab::{Options, Site, connected},
    party::{Party, ping},
    target,
    user::read_all,
};
use anyproxy_transport::Transport;
use tokio::{
    io::AsyncWriteExt as _,
    sync::mpsc,
    time::{Instant, sleep},
};

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(90);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Twice the way between client and user: what a reset may take to be seen, and the last byte took.
const WAY: Duration = Duration::from_millis(80);

/// Two forwards to one target, of which only the first has a limit.
async fn start(
    transport: Transport,
    make: impl FnOnce(&Site) -> SocketAddr,
    limit: impl FnOnce(&mut Forward),
) -> (Party, Client, [SocketAddr; 2]) {
    let (site, _world) = Site::simulated();
    let target = make(&site);
    let party = Party::start(site, Options::new(transport));
    let mut config = party.config("lab");
    config.forwards = vec![party.any_port(target), party.any_port(target)];
    limit(&mut config.forwards[0]);
    let client = party.client(config);
    let ports = connected(&client).await;
    (party, client, [ports[0], ports[1]])
}

async fn an_idle_connection_ends_on_time(transport: Transport) {
    let limit = |forward: &mut Forward| forward.idle_timeout = Some(LIMIT);
    let (party, _client, [limited, free]) = start(transport, target::echo, limit).await;
    let mut patient = party.user(free).await;
    ping(&mut patient).await.unwrap();
    let mut user = party.user(limited).await;
    for _ in 0..3 {
        sleep(LIMIT - SECOND).await;
        ping(&mut user).await.unwrap();
    }
    let began = Instant::now();
    let seen = read_all(&mut user).await;
    let took = began.elapsed();
    assert_eq!(seen, (vec![], Err(ErrorKind::ConnectionReset)));
    assert!((LIMIT - WAY..=LIMIT + WAY).contains(&took), "{took:?}");
    sleep(DAY).await;
    ping(&mut patient).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_on_time_over_quic() {
    an_idle_connection_ends_on_time(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_on_time_over_websocket() {
    an_idle_connection_ends_on_time(Transport::WebSocket).await;
}

/// The user takes nothing of an endless download.
async fn a_stalled_connection_ends_on_time(transport: Transport) {
    let (tell, mut told) = mpsc::channel(2);
    let make = |site: &Site| {
        target::serve(site, move |mut conn| {
            let tell = tell.clone();
            async move {
                let bytes = target::pattern(64 * 1024);
                while conn.write_all(&bytes).await.is_ok() {}
                let _ = tell.send(Instant::now()).await;
            }
        })
    };
    let limit = |forward: &mut Forward| forward.stall_timeout = Some(LIMIT);
    let (party, _client, [limited, free]) = start(transport, make, limit).await;
    let began = Instant::now();
    let (_user, _patient) = (party.user(limited).await, party.user(free).await);
    let took = told.recv().await.unwrap().duration_since(began);
    // A second or so until all buffers are full.
    assert!((LIMIT..LIMIT + 5 * SECOND).contains(&took), "{took:?}");
    sleep(DAY).await;
    assert!(told.try_recv().is_err(), "without a limit it rests for as long as it likes");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_connection_ends_on_time_over_quic() {
    a_stalled_connection_ends_on_time(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_stalled_connection_ends_on_time_over_websocket() {
    a_stalled_connection_ends_on_time(Transport::WebSocket).await;
}
