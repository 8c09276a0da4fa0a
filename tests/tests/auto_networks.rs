//! `--transport auto`: the machine goes to a far slower network. That is no throttle, so QUIC is kept.

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

use anyproxy_client::Choice;
use anyproxy_tests::{lab, net::LinkSettings, target};
use anyproxy_transport::Transport;
use scene::{MS, SECOND, Scene};
use tokio::{io::AsyncReadExt as _, time::sleep};

/// In bytes in a second.
const WIRED: u64 = 10 << 20;
const MOBILE: u64 = WIRED / 50;

fn set(scene: &Scene, rate: u64) {
    scene.link().set(LinkSettings { rate: Some(rate), ..LinkSettings::with_delay(10 * MS) });
}

/// `change` takes the machine to another network in the middle of a download.
async fn quic_is_kept(change: impl FnOnce(&Scene)) {
    let scene = Scene::with_targets_inside(Transport::Quic);
    set(&scene, WIRED);
    let mut config = scene.party.config("traveller");
    config.transport = Choice::Auto;
    config.forwards = vec![scene.party.any_port(target::endless(&scene.party.site))];
    let client = scene.party.client(config);
    let port = lab::connected(&client).await[0];
    let mut user = scene.party.user(port).await;
    tokio::spawn(async move {
        let mut chunk = vec![0; 64 * 1024];
        while user.read(&mut chunk).await.is_ok_and(|read| read > 0) {}
    });
    sleep(10 * SECOND).await;
    let mut state = client.state();
    state.mark_unchanged();
    change(&scene);
    set(&scene, MOBILE);
    sleep(Duration::from_secs(120)).await;
    assert!(!state.has_changed().unwrap(), "{:?}", *state.borrow());
}

#[tokio::test(start_paused = true)]
async fn who_goes_from_a_wired_to_a_mobile_network_keeps_quic() {
    quic_is_kept(|scene| scene.client_host.set_ip([198, 18, 1, 1].into())).await;
}

#[tokio::test(start_paused = true)]
async fn who_wakes_up_in_a_slower_network_keeps_quic() {
    quic_is_kept(|scene| scene.client_host.sleep(Duration::from_secs(5))).await;
}
