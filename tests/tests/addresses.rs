//! The client's address changes in the middle of transfers: QUIC migrates (RFC 9000, 9) and nothing is lost; a WebSocket
//! is its addresses, so it is made again within seconds.

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

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use anyproxy_client::Client;
use anyproxy_tests::{net::LinkSettings, party::ping, target, user::read_all};
use anyproxy_transport::{Transport, net::Conn};
use scene::{MS, SECOND, Scene};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

const BYTES: usize = 4 << 20;

/// How the address changes.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// The NAT in front of the client forgot it: another port.
    Nat,
    /// From Wi-Fi to LTE: another address.
    Network,
}

impl Change {
    fn make(self, scene: &Scene, nth: u8) {
        match self {
            Self::Nat => scene.client_host.rebind(),
            Self::Network => scene.client_host.set_ip([198, 18, 1, nth].into()),
        }
        set_rate(scene);
    }
}

/// Slow enough to be in the middle of it for a while.
fn set_rate(scene: &Scene) {
    let rate = Some(512 << 10);
    scene.link().set(LinkSettings { rate, ..LinkSettings::with_delay(10 * MS) });
}

struct Transfers {
    scene: Scene,
    client: Client,
    download: JoinHandle<(Vec<u8>, Result<(), ErrorKind>)>,
    upload: JoinHandle<(Vec<u8>, Result<(), ErrorKind>)>,
    idle: Conn,
}

/// A download, an upload and a connection that rests, all in the middle.
async fn transfers(transport: Transport) -> Transfers {
    let scene = Scene::with_targets_inside(transport);
    let source = target::burst(&scene.party.site, BYTES);
    let (client, ports) = scene.client(&[scene.target, source]).await;
    set_rate(&scene);
    let mut idle = scene.party.user(ports[0]).await;
    ping(&mut idle).await.unwrap();
    let mut user = scene.party.user(ports[1]).await;
    let download = tokio::spawn(async move { read_all(&mut user).await });
    let user = scene.party.user(ports[0]).await;
    let upload = tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(user);
        let up = async {
            write.write_all(&target::pattern(BYTES)).await?;
            write.shutdown().await
        };
        let mut got = vec![];
        // RST is told once, to whoever asks first.
        let (end, up) = tokio::join!(read.read_to_end(&mut got), up);
        (got, end.and(up).map_err(|error| error.kind()))
    });
    sleep(2 * SECOND).await;
    Transfers { scene, client, download, upload, idle }
}

async fn quic_keeps_everything(change: Change) {
    let mut it = transfers(Transport::Quic).await;
    let mut state = it.client.state();
    state.mark_unchanged();
    for nth in 1..4 {
        change.make(&it.scene, nth);
        let began = Instant::now();
        ping(&mut it.idle).await.unwrap();
        let took = began.elapsed();
        assert!(took < 5 * SECOND, "{took:?}");
        sleep(2 * SECOND).await;
    }
    for (transfer, what) in [(it.download, "download"), (it.upload, "upload")] {
        let (got, end) = timeout(60 * SECOND, transfer).await.expect(what).unwrap();
        assert_eq!(end, Ok(()), "{what}");
        assert!(got == target::pattern(BYTES), "{what}: {} bytes", got.len());
    }
    assert!(!state.has_changed().unwrap(), "{:?}", *state.borrow());
    assert_eq!(it.scene.party.gateway.sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn quic_outlives_a_forgetful_nat() {
    quic_keeps_everything(Change::Nat).await;
}

#[tokio::test(start_paused = true)]
async fn quic_outlives_a_change_of_networks() {
    quic_keeps_everything(Change::Network).await;
}

/// Nothing is under way, so only a ping tells the gateway.
async fn an_idle_quic_tunnel_is_back(change: Change, silent: Duration) {
    let scene = Scene::with_targets_inside(Transport::Quic);
    let (client, ports) = scene.client(&[scene.target]).await;
    let mut idle = scene.party.user(ports[0]).await;
    ping(&mut idle).await.unwrap();
    let mut state = client.state();
    state.mark_unchanged();
    sleep(33 * SECOND).await;
    change.make(&scene, 1);
    timeout(silent, ping(&mut idle)).await.expect("the gateway sends to the old address").unwrap();
    assert!(!state.has_changed().unwrap(), "{:?}", *state.borrow());
}

#[tokio::test(start_paused = true)]
async fn an_idle_quic_tunnel_outlives_both() {
    an_idle_quic_tunnel_is_back(Change::Nat, 12 * SECOND).await;
    an_idle_quic_tunnel_is_back(Change::Network, 12 * SECOND).await;
}

/// What was live is lost, and no one takes the cut for the end; what is new is served soon.
async fn a_websocket_is_made_again(change: Change, within: Duration) {
    let it = transfers(Transport::WebSocket).await;
    change.make(&it.scene, 1);
    it.scene.serves_within(&it.client, within).await;
    for (transfer, what) in [(it.download, "download"), (it.upload, "upload")] {
        let (got, end) = timeout(40 * SECOND, transfer).await.expect(what).unwrap();
        assert_eq!(end, Err(ErrorKind::ConnectionReset), "{what}");
        assert!(got.len() < BYTES, "{what}");
    }
    drop(it.idle);
    assert_eq!(it.scene.party.gateway.sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_websocket_is_made_again_after_a_forgetful_nat() {
    a_websocket_is_made_again(Change::Nat, 3 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_websocket_is_made_again_after_a_change_of_networks() {
    a_websocket_is_made_again(Change::Network, 5 * SECOND).await;
}

/// What the gateway logs and counts by.
#[tokio::test(start_paused = true)]
async fn quic_is_named_by_its_new_address() {
    let tunnels =
        anyproxy_tests::tunnels::Tunnels::start(Transport::Quic, LinkSettings::with_delay(10 * MS))
            .await;
    let before = tunnels.gateway.peer();
    tunnels.client_host.rebind();
    tunnels.client.doubt(Duration::ZERO);
    sleep(SECOND).await;
    let after = tunnels.gateway.peer();
    assert!(after.ip() == before.ip() && after.port() != before.port(), "{before} {after}");
    tunnels.client_host.set_ip([198, 18, 1, 1].into());
    tunnels.client.doubt(Duration::ZERO);
    sleep(SECOND).await;
    assert_eq!(tunnels.gateway.peer(), SocketAddr::from(([198, 18, 1, 1], after.port())));
    assert!(!tunnels.client.is_closed());
}
