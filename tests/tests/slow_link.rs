//! A session stays on its tunnel as long as bytes come, however long a message takes (FAULTS 16, 37).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

#[allow(dead_code, reason = "others need the rest")]
#[path = "liveness/scene.rs"]
mod scene;

use std::time::Duration;

use anyproxy_client::Client;
use anyproxy_tests::{lab::Site, net::LinkSettings, simulated, target, user::read_all};
use anyproxy_transport::{
    Transport,
    net::{Conn, Role},
};
use scene::{MS, SECOND, Scene};
use tokio::{
    io::AsyncWriteExt as _,
    task::JoinHandle,
    time::{Instant, sleep},
};

const BYTES: usize = 128 << 10;
const USERS: usize = 8;

/// What users do, at the port of this number.
#[derive(Debug, Clone, Copy)]
enum Work {
    Download,
    Upload,
}

impl Work {
    async fn is_done(self, user: &mut Conn) {
        match self {
            Self::Download => {
                let (got, end) = read_all(user).await;
                assert_eq!(end, Ok(()));
                assert!(got == target::pattern(BYTES), "{} bytes", got.len());
            }
            Self::Upload => {
                user.write_all(&target::pattern(BYTES)).await.unwrap();
                user.shutdown().await.unwrap();
                assert_eq!(read_all(user).await, (b"whole".to_vec(), Ok(())));
            }
        }
    }
}

fn moves(client: &Client) -> u64 {
    client.watched().figures().replicas.iter().map(|replica| replica.moves).sum()
}

/// How long nothing came to the client's tunnel, by its own figures, until it is `over`.
async fn longest_silence(client: &Client, over: impl Fn() -> bool) -> Duration {
    let watched = client.watched();
    let (mut before, mut since, mut longest) = (0, Instant::now(), Duration::ZERO);
    while !over() {
        sleep(50 * MS).await;
        let received = watched.figures().replicas[0].live.as_ref().unwrap().stats.received;
        if received != before {
            longest = longest.max(since.elapsed());
            (before, since) = (received, Instant::now());
        }
    }
    longest
}

/// At these rates a message of 64 KiB takes longer than silence may last, and another tunnel could be had meanwhile: the
/// session stays where bytes come. Several users at once fill messages from the first one on, before any round trip was
/// seen to take that long.
async fn a_slow_link_is_not_left_in_the_middle_of_a_message(_: Site, transport: Transport) {
    for kbit in [64, 128, 256] {
        let scene = Scene::new(transport);
        let source = target::burst(&scene.party.site, BYTES);
        let sink = target::serve(&scene.party.site, |mut conn| async move {
            let (got, _) = read_all(&mut conn).await;
            let whole = got == target::pattern(BYTES);
            conn.write_all(if whole { b"whole" } else { b"wrong" }).await.unwrap();
        });
        let (client, ports) = scene.client(&[source, sink]).await;
        let slow = LinkSettings {
            rate: Some(kbit * 1000 / 8),
            queue: 4 << 10,
            ..LinkSettings::with_delay(20 * MS)
        };
        for work in [Work::Download, Work::Upload] {
            // At rest for long enough that round trips are short again.
            scene.link().set(LinkSettings::with_delay(20 * MS));
            sleep(30 * SECOND).await;
            scene.link().set(slow);
            let port = ports[work as usize];
            let users = (0..USERS).map(|_| {
                let user = scene.party.site.user.clone();
                tokio::spawn(async move {
                    let mut user = user.connect(port, Role::Proxied).await.unwrap();
                    work.is_done(&mut user).await;
                })
            });
            let users = users.collect::<Vec<_>>();
            let silence = longest_silence(&client, || users.iter().all(JoinHandle::is_finished));
            let silence = silence.await;
            for user in users {
                user.await.unwrap();
            }
            assert!(silence < 2 * SECOND, "{work:?} at {kbit} kbit/s: {silence:?} without a byte");
            assert_eq!(moves(&client), 0, "{work:?} at {kbit} kbit/s");
        }
    }
}

simulated! {
    a_slow_link_is_not_left_in_the_middle_of_a_message
}
