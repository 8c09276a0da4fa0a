//! A connection that broke never looks like one that ended.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_tests::{
    lab::{Lab, Options, Site},
    net::{Switch, World},
    target::{self, FRAMINGS, Framing, Gate},
    user::{As, Body, Doors, WAYS, eventually, read_all, read_body},
};
use anyproxy_transport::{Transport, net::Conn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const RESET: Result<(), ErrorKind> = Err(ErrorKind::ConnectionReset);

async fn a_reset_of_the_target_reaches_the_user(site: Site, transport: Transport) {
    for size in [1, 300_000] {
        let target = target::reset_after(&site, size);
        let lab = Lab::start(site.clone(), &Options::new(transport).forwards(&[target])).await;
        for way in WAYS {
            let mut user = lab.connect(way, target).await;
            let mut got = vec![0; size];
            user.read_exact(&mut got).await.unwrap();
            assert!(got == target::pattern(size), "{way:?}");
            user.write_all(b"!").await.unwrap();
            assert_eq!(read_all(&mut user).await, (vec![], RESET), "{way:?}");
        }
    }
}

#[tokio::test]
async fn a_reset_of_the_target_reaches_the_user_over_quic() {
    a_reset_of_the_target_reaches_the_user(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn a_reset_of_the_target_reaches_the_user_over_websocket() {
    a_reset_of_the_target_reaches_the_user(Site::loopback(), Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_the_target_reaches_the_user_over_quic_simulated() {
    a_reset_of_the_target_reaches_the_user(Site::simulated().0, Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_the_target_reaches_the_user_over_websocket_simulated() {
    a_reset_of_the_target_reaches_the_user(Site::simulated().0, Transport::WebSocket).await;
}

/// A target that resets while the user takes bytes as fast as they come.
async fn a_target_that_resets_in_full_flow_is_no_end(site: Site, transport: Transport) {
    let target = target::serve(&site, |mut conn| async move {
        let _ = conn.write_all(&target::pattern(1_000_000)).await;
        conn.abort();
    });
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    for way in WAYS {
        for _ in 0..10 {
            let mut user = lab.connect(way, target).await;
            let (got, end) = read_all(&mut user).await;
            assert_eq!(end, RESET, "{way:?} behind {} bytes", got.len());
        }
    }
}

#[tokio::test]
async fn a_target_that_resets_in_full_flow_is_no_end_over_quic() {
    a_target_that_resets_in_full_flow_is_no_end(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn a_target_that_resets_in_full_flow_is_no_end_over_websocket() {
    a_target_that_resets_in_full_flow_is_no_end(Site::loopback(), Transport::WebSocket).await;
}

async fn a_reset_of_the_user_reaches_the_target(site: Site, transport: Transport) {
    let (target, mut seen) = target::watcher(&site);
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    for way in WAYS {
        let mut user = lab.connect(way, target).await;
        assert_eq!(user.read_u8().await.unwrap(), b'!');
        user.abort();
        assert_eq!(seen.recv().await.unwrap(), (vec![], RESET), "{way:?}");
        // To show that the target can tell.
        let mut user = lab.connect(way, target).await;
        user.write_all(b"bye").await.unwrap();
        assert_eq!(user.read_u8().await.unwrap(), b'!');
        drop(user);
        assert_eq!(seen.recv().await.unwrap(), (b"bye".to_vec(), Ok(())), "{way:?}");
    }
}

#[tokio::test]
async fn a_reset_of_the_user_reaches_the_target_over_quic() {
    a_reset_of_the_user_reaches_the_target(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn a_reset_of_the_user_reaches_the_target_over_websocket() {
    a_reset_of_the_user_reaches_the_target(Site::loopback(), Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_the_user_reaches_the_target_over_quic_simulated() {
    a_reset_of_the_user_reaches_the_target(Site::simulated().0, Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_the_user_reaches_the_target_over_websocket_simulated() {
    a_reset_of_the_user_reaches_the_target(Site::simulated().0, Transport::WebSocket).await;
}

/// Body bytes of a plain response, of which half come.
const BODY: usize = 200_000;

async fn a_plain_response_that_breaks_off_is_incomplete(site: Site, transport: Transport) {
    let lab = Lab::start(site, &Options::new(transport)).await;
    for framing in FRAMINGS {
        let whole = target::http(&lab.site, framing, BODY).to_string();
        let (head, mut user) = lab.doors().http_get(&whole, &As::default()).await.unwrap();
        let body = read_body(&head, &mut user).await;
        assert!(body == Body::Whole(target::pattern(BODY)), "{framing:?}");

        let gate = Arc::<Gate>::default();
        let cut = target::http_reset(&lab.site, framing, BODY, gate.clone()).to_string();
        let (head, mut user) = lab.doors().http_get(&cut, &As::default()).await.unwrap();
        gate.open();
        let body = read_body(&head, &mut user).await;
        assert!(matches!(body, Body::Cut(_)), "{framing:?}");
    }
    // HTTP/1.0 has no framing of its own, so only a reset tells.
    let gate = Arc::<Gate>::default();
    let cut = target::http_reset(&lab.site, Framing::Close, BODY, gate.clone()).to_string();
    let (doors, name) = (lab.doors(), As::default());
    let (_, mut user) = doors.http_get_as("HTTP/1.0", &cut, &name).await.unwrap();
    let mut half = vec![0; BODY / 2];
    user.read_exact(&mut half).await.unwrap();
    gate.open();
    assert_eq!(read_all(&mut user).await, (vec![], RESET));
}

#[tokio::test]
async fn a_plain_response_that_breaks_off_is_incomplete_over_quic() {
    a_plain_response_that_breaks_off_is_incomplete(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn a_plain_response_that_breaks_off_is_incomplete_over_websocket() {
    a_plain_response_that_breaks_off_is_incomplete(Site::loopback(), Transport::WebSocket).await;
}

/// How a tunnel is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    Client,
    Gateway,
    Silence,
}

const LOSSES: [Loss; 3] = [Loss::Client, Loss::Gateway, Loss::Silence];

impl Loss {
    fn happens(self, lab: &Lab, world: &World) {
        match self {
            // What dropping them does as well.
            Self::Client => lab.client.scope().cancel(),
            Self::Gateway => lab.gateway.scope().cancel(),
            Self::Silence => {
                let client = "198.18.0.2".parse().unwrap();
                world.link(client, lab.site.gateway_ip).black_hole(Switch::On);
            }
        }
    }

    /// How long it may take until everybody knows: on QUIC a silence is counted from the last
    /// heartbeat, and both ends count for themselves.
    fn limit(self) -> Duration {
        match self {
            Self::Client | Self::Gateway => Duration::from_secs(1),
            Self::Silence => Duration::from_secs(45),
        }
    }
}

async fn a_lost_tunnel_is_no_end(transport: Transport, loss: Loss) {
    let (site, world) = Site::simulated();
    let endless = target::endless(&site);
    let (watcher, mut seen) = target::watcher(&site);
    let options = Options::new(transport).forwards(&[endless]);
    let lab = Lab::start(site, &options).await;
    let mut downloads = Vec::new();
    let mut idle = Vec::new();
    for way in WAYS {
        let mut user = lab.connect(way, endless).await;
        let mut some = vec![0; 500_000];
        user.read_exact(&mut some).await.unwrap();
        downloads.push((way, user));
        if way != anyproxy_tests::user::Way::Forward {
            let mut user = lab.connect(way, watcher).await;
            assert_eq!(user.read_u8().await.unwrap(), b'!');
            idle.push((way, user));
        }
    }
    loss.happens(&lab, &world);
    let told = tokio::time::timeout(loss.limit(), async {
        for (way, user) in downloads.iter_mut().chain(&mut idle) {
            assert_eq!(read_all(user).await.1, RESET, "{way:?} {loss:?}");
        }
        for _ in &idle {
            assert_eq!(seen.recv().await.unwrap(), (vec![], RESET), "{loss:?}");
        }
    });
    told.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lost_tunnel_is_no_end_over_quic() {
    for loss in LOSSES {
        a_lost_tunnel_is_no_end(Transport::Quic, loss).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_tunnel_is_no_end_over_websocket() {
    for loss in LOSSES {
        a_lost_tunnel_is_no_end(Transport::WebSocket, loss).await;
    }
}

async fn a_plain_response_of_a_lost_tunnel_is_incomplete(transport: Transport, loss: Loss) {
    let (site, world) = Site::simulated();
    let lab = Lab::start(site, &Options::new(transport)).await;
    let never = Arc::<Gate>::default();
    let mut users = Vec::new();
    for framing in FRAMINGS {
        let target = target::http_reset(&lab.site, framing, BODY, never.clone()).to_string();
        let (head, user) = lab.doors().http_get(&target, &As::default()).await.unwrap();
        users.push((framing, head, user));
    }
    loss.happens(&lab, &world);
    for (framing, head, mut user) in users {
        let body = read_body(&head, &mut user).await;
        assert!(matches!(body, Body::Cut(_)), "{framing:?} {loss:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_response_of_a_lost_tunnel_is_incomplete_over_quic() {
    for loss in LOSSES {
        a_plain_response_of_a_lost_tunnel_is_incomplete(Transport::Quic, loss).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_response_of_a_lost_tunnel_is_incomplete_over_websocket() {
    for loss in LOSSES {
        a_plain_response_of_a_lost_tunnel_is_incomplete(Transport::WebSocket, loss).await;
    }
}

/// Users whose 256 KiB of credit fill a QUIC tunnel's send window of 16 MiB.
const STUCK: usize = 64;

/// On a forwarded port nothing but the reset says that there was no target.
#[tokio::test(start_paused = true)]
async fn a_gateway_that_stops_is_no_end_for_a_user_who_waits_for_a_stream() {
    let (site, world) = Site::simulated();
    let (target, _seen) = target::watcher(&site);
    let lab = Lab::start(site, &Options::new(Transport::Quic).forwards(&[target])).await;
    let way = anyproxy_tests::user::Way::Forward;
    let mut stuck = Vec::new();
    for _ in 0..STUCK {
        stuck.push(lab.connect(way, target).await);
    }
    Loss::Silence.happens(&lab, &world);
    for user in &mut stuck {
        user.write_all(&target::pattern(256 * 1024)).await.unwrap();
    }
    let mut late = lab.connect(way, target).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    lab.gateway.scope().cancel();
    assert_eq!(read_all(&mut late).await, (vec![], RESET));
}

/// One user of each kind, by each way; returns when they all have left.
async fn come_and_go(doors: &Doors, echo: SocketAddr, endless: SocketAddr) {
    for way in WAYS {
        let mut polite = doors.connect(way, echo).await.unwrap();
        polite.write_all(b"hello").await.unwrap();
        polite.shutdown().await.unwrap();
        assert_eq!(read_all(&mut polite).await, (b"hello".to_vec(), Ok(())));
        drop(doors.connect(way, echo).await.unwrap());
        doors.connect(way, echo).await.unwrap().abort();
        let greedy: Conn = doors.connect(way, endless).await.unwrap();
        drop(greedy);
        let (mut hasty, ahead) = doors.hasty(way, echo).await.unwrap();
        hasty.write_all(&ahead).await.unwrap();
        hasty.abort();
    }
}

/// Conformance case 5.
async fn users_who_leave_leak_nothing(transport: Transport) {
    let (site, world) = Site::simulated();
    let (echo, endless) = (target::echo(&site), target::endless(&site));
    let options = Options::new(transport).one_connection().forwards(&[echo]);
    let lab = Lab::start(site, &options).await;
    let baseline = || (lab.gateway.tasks(), lab.client.tasks(), world.connections());
    let before = baseline();
    for _ in 0..20 {
        come_and_go(&lab.doors(), echo, endless).await;
    }
    eventually("nothing is left", Duration::from_secs(6), || baseline() == before).await;
}

#[tokio::test(start_paused = true)]
async fn users_who_leave_leak_nothing_over_quic() {
    users_who_leave_leak_nothing(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn users_who_leave_leak_nothing_over_websocket() {
    users_who_leave_leak_nothing(Transport::WebSocket).await;
}
