//! A peer that is gone is noticed by both ends within 30 s, whatever was under way; and one that only rests keeps
//! everything (FAULTS 16, 37, 42).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

#[allow(dead_code, reason = "others need the rest")]
#[path = "liveness/scene.rs"]
mod scene;

use std::{io::ErrorKind, time::Duration};

use anyproxy_client::{Client, State};
use anyproxy_tests::{
    lab::Site,
    net::{LinkHandle, LinkSettings, Switch},
    party::ping,
    simulated, target,
    user::{Way, read_all},
};
use anyproxy_transport::Transport;
use scene::{MS, SECOND, Scene, both_notice};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep, timeout},
};

/// How long what has left still arrives on a link with a queue.
const UNDER_WAY: Duration = Duration::from_millis(300);

/// What is under way when the link is cut.
#[derive(Debug, Clone, Copy)]
enum Work {
    Nothing,
    Download,
    Upload,
}

/// Cuts what `cut` chooses of the link while `work` is done; both ends notice in time, everything that
/// the session held is free, and it comes back when the link does.
async fn cut(work: Work, transport: Transport, cut: fn(&LinkHandle) -> LinkHandle) {
    let scene = Scene::new(transport);
    let source = target::endless(&scene.party.site);
    let sink = target::serve(&scene.party.site, |mut conn| async move {
        let _ = read_all(&mut conn).await;
    });
    let (client, ports) = scene.client(&[scene.target, source, sink]).await;
    // A link on which both directions rest at times would hide what is counted.
    scene.link().set(LinkSettings { rate: Some(1 << 20), ..LinkSettings::with_delay(10 * MS) });
    sleep(25 * SECOND + 300 * MS).await;
    let user = match work {
        Work::Nothing => None,
        Work::Download => {
            let mut user = scene.party.user(ports[1]).await;
            Some(tokio::spawn(async move { read_all(&mut user).await.1.unwrap_err() }))
        }
        Work::Upload => {
            let mut user = scene.party.user(ports[2]).await;
            Some(tokio::spawn(async move {
                let some = [0; 4096];
                loop {
                    if let Err(error) = user.write_all(&some).await {
                        return error.kind();
                    }
                }
            }))
        }
    };
    sleep(7 * SECOND).await;
    let began = Instant::now();
    cut(&scene.link()).black_hole(Switch::On);
    both_notice(&scene, &client, 30 * SECOND + UNDER_WAY).await;
    assert!(began.elapsed() > 20 * SECOND, "a network may pause: {:?}", began.elapsed());
    if let Some(user) = user {
        let kind = timeout(SECOND, user).await.expect("the user waits on").unwrap();
        assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind:?}");
    }
    let listening =
        || scene.party.site.user.connect(ports[0], anyproxy_transport::net::Role::Proxied);
    assert_eq!(
        listening().await.unwrap_err().kind(),
        ErrorKind::ConnectionRefused,
        "ports are free"
    );
    cut(&scene.link()).black_hole(Switch::Off);
    scene.serves_again(&client, 70 * SECOND).await;
    assert_eq!(scene.party.gateway.sessions(), 1);
}

macro_rules! cuts {
    ($($name:ident: $work:ident, $cut:expr;)+) => { $(
        mod $name {
            use super::{Transport, Work, cut};

            #[tokio::test(start_paused = true)]
            async fn over_quic() {
                cut(Work::$work, Transport::Quic, $cut).await;
            }

            #[tokio::test(start_paused = true)]
            async fn over_websocket() {
                cut(Work::$work, Transport::WebSocket, $cut).await;
            }
        }
    )+ };
}

// The link goes from the client to the gateway.
cuts! {
    a_black_hole_while_idle: Nothing, Clone::clone;
    a_black_hole_in_a_download: Download, Clone::clone;
    a_black_hole_in_an_upload: Upload, Clone::clone;
    a_black_hole_towards_the_gateway_while_idle: Nothing, |link| link.forward();
    a_black_hole_towards_the_gateway_in_a_download: Download, |link| link.forward();
    a_black_hole_towards_the_gateway_in_an_upload: Upload, |link| link.forward();
    a_black_hole_towards_the_client_while_idle: Nothing, |link| link.backward();
    a_black_hole_towards_the_client_in_a_download: Download, |link| link.backward();
    a_black_hole_towards_the_client_in_an_upload: Upload, |link| link.backward();
}

/// Longer than a suspicion needs, shorter than death: everything goes on.
async fn a_pause_of_twenty_seconds_costs_nothing_but_time(_: Site, transport: Transport) {
    const BYTES: usize = 4 << 20;
    for pause in [5, 20] {
        let scene = Scene::new(transport);
        let source = target::burst(&scene.party.site, BYTES);
        let (client, ports) = scene.client(&[scene.target, source]).await;
        scene
            .link()
            .set(LinkSettings { rate: Some(256 << 10), ..LinkSettings::with_delay(10 * MS) });
        let mut idle = scene.party.user(ports[0]).await;
        ping(&mut idle).await.unwrap();
        let mut state = client.state();
        state.mark_unchanged();
        let mut user = scene.party.user(ports[1]).await;
        let download = tokio::spawn(async move { read_all(&mut user).await });
        sleep(5 * SECOND).await;
        scene.link().black_hole(Switch::On);
        sleep(pause * SECOND).await;
        scene.link().black_hole(Switch::Off);
        let (got, end) = timeout(120 * SECOND, download).await.expect("it rests").unwrap();
        assert_eq!(end, Ok(()));
        assert!(got == target::pattern(BYTES), "{} bytes", got.len());
        ping(&mut idle).await.unwrap();
        assert!(!state.has_changed().unwrap(), "{:?}", *state.borrow());
        // QUIC sends its next probe after as long again at most, and a tunnel that is dialled anew may be up before.
        let may = u64::from(transport == Transport::Quic);
        assert!(moves(&client) <= may, "{} after {pause} s", moves(&client));
    }
}

/// How often the session moved to another tunnel, which it does where this one is taken for silent.
fn moves(client: &Client) -> u64 {
    client.watched().figures().replicas.iter().map(|replica| replica.moves).sum()
}

/// 17 kbit/s: a message of 64 KiB takes 30 s.
async fn a_link_of_17_kbit_is_slow_and_not_dead(_: Site, transport: Transport) {
    const BYTES: usize = 256 << 10;
    let scene = Scene::new(transport);
    let source = target::burst(&scene.party.site, BYTES);
    let (client, ports) = scene.client(&[source, scene.target]).await;
    let slow = LinkSettings {
        rate: Some(17_000 / 8),
        queue: 16 << 10,
        ..LinkSettings::with_delay(20 * MS)
    };
    scene.link().set(slow);
    let mut state = client.state();
    state.mark_unchanged();
    let mut user = scene.party.user(ports[0]).await;
    let (got, end) = read_all(&mut user).await;
    assert_eq!(end, Ok(()));
    assert!(got == target::pattern(BYTES), "{} bytes", got.len());
    let mut user = scene.party.user(ports[1]).await;
    ping(&mut user).await.unwrap();
    let (mut read, mut write) = tokio::io::split(user);
    let up = async {
        write.write_all(&target::pattern(BYTES)).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut got = vec![];
    let (read, ()) = tokio::join!(read.read_to_end(&mut got), up);
    read.unwrap();
    assert!(got == target::pattern(BYTES), "{} bytes", got.len());
    assert!(!state.has_changed().unwrap(), "{:?}", *state.borrow());
    assert_eq!(moves(&client), 0);
}

simulated! {
    a_pause_of_twenty_seconds_costs_nothing_but_time
    a_link_of_17_kbit_is_slow_and_not_dead
}

/// The client's machine lost its power and is back: its kernel knows nothing of the connection.
#[tokio::test(start_paused = true)]
async fn half_open_tcp_is_noticed_with_the_next_byte() {
    let scene = Scene::new(Transport::WebSocket);
    let (_client, ports) = scene.client(&[scene.target]).await;
    let mut user = scene.party.user(ports[0]).await;
    ping(&mut user).await.unwrap();
    scene.client_host.lose_tcp();
    let began = Instant::now();
    user.write_all(b"into the void").await.unwrap();
    assert_eq!(read_all(&mut user).await.1, Err(ErrorKind::ConnectionReset));
    assert!(began.elapsed() < 100 * MS, "{:?}", began.elapsed());

    let scene = Scene::new(Transport::WebSocket);
    let (client, ports) = scene.client(&[scene.target]).await;
    let mut user = scene.party.user(ports[0]).await;
    ping(&mut user).await.unwrap();
    sleep(5 * SECOND).await;
    scene.client_host.lose_tcp();
    let began = Instant::now();
    let (_, end) = timeout(12 * SECOND, read_all(&mut user)).await.expect("nobody noticed");
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
    assert!(began.elapsed() > SECOND, "nothing was sent before: {:?}", began.elapsed());
    scene.serves_within(&client, SECOND).await;
}

/// A client that was cut off and comes back from elsewhere takes its port over at once.
async fn a_ghost_gives_way_at_once(transport: Transport) {
    let scene = Scene::new(transport);
    let (client, ports) = scene.client(&[scene.target]).await;
    let mut config = scene.party.config("alive");
    let forward = anyproxy_tests::party::forward(ports[0], scene.target);
    config.forwards = vec![forward];
    scene.link().black_hole(Switch::On);
    sleep(SECOND).await;
    let began = Instant::now();
    let elsewhere = scene.world.host("elsewhere", [198, 18, 0, 9].into()).net();
    let second = scene.party.client_at(elsewhere, config);
    assert_eq!(anyproxy_tests::lab::connected(&second).await, ports);
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert_eq!(scene.party.gateway.sessions(), 1, "the ghost is gone");
    let mut user = scene.party.user(ports[0]).await;
    ping(&mut user).await.unwrap();
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_ghost_gives_way_at_once_over_quic() {
    a_ghost_gives_way_at_once(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_ghost_gives_way_at_once_over_websocket() {
    a_ghost_gives_way_at_once(Transport::WebSocket).await;
}

/// Nobody has asked for anything: the ping that was not answered is enough.
async fn what_is_new_avoids_a_suspected_session(transport: Transport) {
    let scene = Scene::new(transport);
    let (first, _) = scene.client(&[scene.target]).await;
    let elsewhere = scene.world.host("elsewhere", [198, 18, 0, 9].into()).net();
    let second = scene.party.client_at(elsewhere, scene.party.config("other"));
    anyproxy_tests::lab::connected(&second).await;
    sleep(25 * SECOND).await;
    scene.link().black_hole(Switch::On);
    sleep(14 * SECOND + 500 * MS).await;
    assert_eq!(scene.party.gateway.sessions(), 2, "it is not dead yet");
    let doors = scene.party.doors(&[]);
    for _ in 0..4 {
        let began = Instant::now();
        let mut conn = doors.connect(Way::Http, scene.target).await.unwrap();
        assert!(began.elapsed() < 200 * MS, "it was asked first: {:?}", began.elapsed());
        ping(&mut conn).await.unwrap();
    }
    assert!(matches!(*first.state().borrow(), State::Connected { .. }));
    scene.link().black_hole(Switch::Off);
    sleep(8 * SECOND).await;
    assert_eq!(scene.party.gateway.sessions(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_new_avoids_a_suspected_session_over_quic() {
    what_is_new_avoids_a_suspected_session(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_new_avoids_a_suspected_session_over_websocket() {
    what_is_new_avoids_a_suspected_session(Transport::WebSocket).await;
}
