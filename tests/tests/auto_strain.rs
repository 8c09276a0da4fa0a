//! `--transport auto`: far less gets through than before although there is more to send, and what only looks like it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_client::{Choice, Client};
use anyproxy_tests::{
    lab::{self, Options},
    net::LinkSettings,
    pair::{Pair, carried, transport},
    target,
};
use anyproxy_transport::{Congestion, Transport, net::Conn};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{sleep, timeout},
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// Of the link, in bytes in a second.
const FULL: u64 = 10 << 20;
const BOTH: [Congestion; 2] = [Congestion::Bbr, Congestion::Cubic];

fn pair(congestion: Congestion) -> Pair {
    let pair = Pair::with(Choice::Auto, Options { congestion, ..Options::new(Transport::Quic) });
    pair.link().set(LinkSettings { rate: Some(FULL), ..LinkSettings::with_delay(10 * MS) });
    pair
}

async fn start(pair: &Pair, target: SocketAddr) -> (Client, SocketAddr) {
    let client = pair.client_to(1, target);
    let port = lab::connected(&client).await[0];
    assert_eq!(transport(&client), Some(Transport::Quic));
    (client, port)
}

/// Reads so many bytes.
async fn take(user: &mut Conn, bytes: usize) {
    let mut some = vec![0; bytes];
    timeout(60 * SECOND, user.read_exact(&mut some)).await.expect("it is slow").unwrap();
}

/// Reads, or writes, all the time.
fn busy(mut user: Conn, way: Way) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut chunk = vec![0; 64 * 1024];
        match way {
            Way::Down => while user.read(&mut chunk).await.is_ok_and(|read| read > 0) {},
            Way::Up => while user.write_all(&chunk).await.is_ok() {},
        }
    })
}

#[derive(Clone, Copy)]
enum Way {
    Down,
    Up,
}

/// Nothing but `during` happens to the session.
async fn stays(client: &Client, during: impl Future<Output = ()>) {
    let mut state = client.state();
    state.mark_unchanged();
    during.await;
    assert!(!state.has_changed().unwrap(), "{:?}", *state.borrow());
}

/// Takes what comes and says nothing.
fn sink(pair: &Pair) -> SocketAddr {
    target::serve(&pair.party.site, |mut conn| async move {
        let mut chunk = vec![0; 64 * 1024];
        while conn.read(&mut chunk).await.is_ok_and(|read| read > 0) {}
    })
}

#[tokio::test(start_paused = true)]
async fn an_upload_under_a_throttle_moves_the_session_too() {
    for congestion in BOTH {
        let pair = pair(congestion);
        let (client, port) = start(&pair, sink(&pair)).await;
        let upload = busy(pair.party.user(port).await, Way::Up);
        sleep(5 * SECOND).await;
        pair.link().throttle_udp(Some(FULL / 100));
        let took = carried(&client, Transport::WebSocket).await;
        assert!(took < 30 * SECOND, "{congestion:?} {took:?}");
        assert!(!upload.is_finished(), "what began over QUIC goes on there");
        upload.abort();
    }
}

/// Several downloads share what little is left.
#[tokio::test(start_paused = true)]
async fn a_throttle_that_many_feel_moves_the_session() {
    for congestion in BOTH {
        let pair = pair(congestion);
        let (client, port) = start(&pair, target::endless(&pair.party.site)).await;
        let mut users = vec![];
        for _ in 0..20 {
            users.push(busy(pair.party.user(port).await, Way::Down));
        }
        sleep(5 * SECOND).await;
        pair.link().throttle_udp(Some(FULL / 100));
        let took = carried(&client, Transport::WebSocket).await;
        assert!(took < 30 * SECOND, "{congestion:?} {took:?}");
        users.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// A service that has little more to say after much: the path is as good as it was.
#[tokio::test(start_paused = true)]
async fn a_download_that_is_followed_by_a_trickle_moves_nothing() {
    for congestion in BOTH {
        let pair = pair(congestion);
        let source = target::serve(&pair.party.site, |mut conn| async move {
            let _ = conn.write_all(&vec![0; 50 << 20]).await;
            while conn.write_all(&[0; 2_000]).await.is_ok() {
                sleep(100 * MS).await;
            }
        });
        let (client, port) = start(&pair, source).await;
        let mut user = pair.party.user(port).await;
        stays(&client, async {
            take(&mut user, 50 << 20).await;
            for _ in 0..120 {
                take(&mut user, 19_000).await;
                sleep(SECOND).await;
            }
        })
        .await;
    }
}

/// Flow control, not the path, is what holds the sender.
#[tokio::test(start_paused = true)]
async fn a_reader_who_rests_or_is_slow_moves_nothing() {
    for congestion in BOTH {
        let pair = pair(congestion);
        let (client, port) = start(&pair, target::endless(&pair.party.site)).await;
        let mut user = pair.party.user(port).await;
        stays(&client, async {
            take(&mut user, 50 << 20).await;
            sleep(120 * SECOND).await;
            for _ in 0..120 {
                take(&mut user, 20_000).await;
                sleep(SECOND).await;
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_users_at_once_on_a_healthy_link_move_nothing() {
    for congestion in BOTH {
        let pair = pair(congestion);
        let (client, port) = start(&pair, target::endless(&pair.party.site)).await;
        let mut user = pair.party.user(port).await;
        take(&mut user, 50 << 20).await;
        let mut users = vec![busy(user, Way::Down)];
        stays(&client, async {
            for _ in 0..50 {
                users.push(busy(pair.party.user(port).await, Way::Down));
            }
            sleep(40 * SECOND).await;
        })
        .await;
        users.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// QUIC comes up under the throttle as well, and was never fast then: what the session got through before counts.
#[tokio::test(start_paused = true)]
async fn a_throttle_that_lasts_is_tried_ever_less_often() {
    let pair = pair(Congestion::Bbr);
    let (client, port) = start(&pair, target::endless(&pair.party.site)).await;
    let mut user = pair.party.user(port).await;
    take(&mut user, 50 << 20).await;
    pair.link().throttle_udp(Some(FULL / 100));
    let first = busy(user, Way::Down);
    let mut pauses = vec![];
    carried(&client, Transport::WebSocket).await;
    for _ in 0..4 {
        pauses.push(carried(&client, Transport::Quic).await);
        let download = busy(pair.party.user(port).await, Way::Down);
        let took = carried(&client, Transport::WebSocket).await;
        assert!(took < 30 * SECOND, "{took:?}");
        download.abort();
    }
    assert!(pauses.windows(2).all(|pair| pair[0] < pair[1]), "{pauses:?}");
    assert!(pauses[3] > 25 * SECOND, "{pauses:?}");
    first.abort();
}
