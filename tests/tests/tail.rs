//! The last bytes of a target that closes at once arrive, whatever ends around them.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{
    io::ErrorKind,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyproxy_client::Client;
use anyproxy_gateway::Gateway;
use anyproxy_tests::{
    lab::{Lab, Options, Site},
    net::{LinkSettings, Switch, World},
    target::{self, Gate},
    user::{Doors, Refusal, WAYS, Way, eventually, read_all},
};
use anyproxy_transport::{Transport, net::Conn};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{Notify, Semaphore},
    task::JoinSet,
};

/// The client's address in the simulated network.
const CLIENT: &str = "198.18.0.2";
const USER: &str = "198.18.0.3";

/// More than any drain here takes.
const DRAIN: Duration = Duration::from_secs(60);

/// Downloads of one case; all of them count.
const USERS: usize = 1_000;

/// Downloads where every packet is simulated.
const FEWER: usize = 250;

/// Users at a time.
const AT_ONCE: usize = 16;

/// The last megabyte.
const MEGABYTE: usize = 1024 * 1024;

/// What became of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Whole,
    /// No byte came, and the user was told.
    Refused(Refusal),
}

/// Downloads `expected`; anything but a refusal or the whole, cleanly ended, fails the test.
async fn download(doors: &Doors, way: Way, target: SocketAddr, expected: &[u8]) -> Fate {
    let mut user = match doors.connect(way, target).await {
        Ok(user) => user,
        Err(refusal) => return Fate::Refused(refusal),
    };
    let (got, end) = read_all(&mut user).await;
    // A forwarded port knows no other refusal.
    if way == Way::Forward && got.is_empty() && end == Err(ErrorKind::ConnectionReset) {
        return Fate::Refused(Refusal::Broken(ErrorKind::ConnectionReset));
    }
    assert_eq!((got.len(), end), (expected.len(), Ok(())), "{way:?}");
    assert!(got == expected, "{way:?}");
    Fate::Whole
}

/// Which half of a lab drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drains {
    Gateway,
    Client,
}

/// What is left of a lab; dropping it would cut its users.
struct Remains {
    _gateway: Option<Gateway>,
    _client: Option<Client>,
}

impl Drains {
    fn begin(self, lab: &Lab) {
        match self {
            Self::Gateway => lab.gateway.scope().drain(),
            Self::Client => lab.client.scope().drain(),
        }
    }

    /// Waits for the end; nothing may have been cut. Returns the half that goes on.
    async fn finish(self, lab: Lab) -> Remains {
        let Lab { gateway, client, .. } = lab;
        match self {
            Self::Gateway => {
                assert_eq!(gateway.shutdown(DRAIN).await, anyproxy_gateway::Ended::Drained);
                Remains { _client: Some(client), _gateway: None }
            }
            Self::Client => {
                assert_eq!(client.shutdown(DRAIN).await, anyproxy_client::Ended::Drained);
                Remains { _client: None, _gateway: Some(gateway) }
            }
        }
    }
}

/// Runs `count` downloads, `at_once` at a time, and tells `half` when half of them have ended.
async fn downloads(
    doors: Doors,
    target: SocketAddr,
    size: usize,
    (count, at_once): (usize, usize),
    half: Arc<Notify>,
) -> Vec<Fate> {
    let expected: Arc<[u8]> = target::pattern(size).into();
    let (permits, ended) = (Arc::new(Semaphore::new(at_once)), Arc::new(AtomicUsize::new(0)));
    let mut users = JoinSet::new();
    for index in 0..count {
        let permit = permits.clone().acquire_owned().await.unwrap();
        let (doors, expected) = (doors.clone(), expected.clone());
        let (half, ended) = (half.clone(), ended.clone());
        users.spawn(async move {
            let fate = download(&doors, WAYS[index % WAYS.len()], target, &expected).await;
            if ended.fetch_add(1, Ordering::Relaxed) + 1 == count / 2 {
                half.notify_one();
            }
            drop(permit);
            fate
        });
    }
    users.join_all().await
}

async fn a_tail_is_delivered_whole(site: Site, options: Options, size: usize, count: usize) {
    let target = target::burst(&site, size);
    let lab = Lab::start(site, &options.forwards(&[target])).await;
    let fates = downloads(lab.doors(), target, size, (count, AT_ONCE), Arc::default()).await;
    let refused = fates.iter().filter(|fate| **fate != Fate::Whole).collect::<Vec<_>>();
    assert!(fates.len() == count && refused.is_empty(), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_is_delivered_whole_over_quic() {
    let options = Options::new(Transport::Quic);
    a_tail_is_delivered_whole(Site::loopback(), options, MEGABYTE, USERS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_is_delivered_whole_over_websocket() {
    let options = Options::new(Transport::WebSocket);
    a_tail_is_delivered_whole(Site::loopback(), options, MEGABYTE, USERS).await;
}

fn tunnel_link(site: &Site, world: &World) -> anyproxy_tests::net::LinkHandle {
    world.link(CLIENT.parse().unwrap(), site.gateway_ip)
}

/// A simulated site whose tunnel loses a packet of a hundred.
fn lossy() -> Site {
    let (site, world) = Site::simulated();
    let settings =
        LinkSettings { loss: 0.01, ..LinkSettings::with_delay(Duration::from_millis(10)) };
    tunnel_link(&site, &world).set(settings);
    site
}

#[tokio::test(start_paused = true)]
async fn a_tail_is_delivered_whole_over_quic_that_loses_packets() {
    let options = Options::new(Transport::Quic);
    a_tail_is_delivered_whole(lossy(), options, 64 * 1024, FEWER).await;
}

#[tokio::test(start_paused = true)]
async fn a_tail_is_delivered_whole_over_websocket_that_loses_packets() {
    let options = Options::new(Transport::WebSocket);
    a_tail_is_delivered_whole(lossy(), options, 64 * 1024, FEWER).await;
}

/// The drain begins in the middle of it: whoever got in gets everything.
async fn a_tail_is_whole_or_refused_while_a_drain_begins(transport: Transport, who: Drains) {
    let site = Site::loopback();
    let size = 128 * 1024;
    let target = target::burst(&site, size);
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    let half = Arc::<Notify>::default();
    let users = downloads(lab.doors(), target, size, (USERS, 4 * AT_ONCE), half.clone());
    let drain = async {
        half.notified().await;
        who.begin(&lab);
        who.finish(lab).await
    };
    let (fates, _remains) = tokio::join!(users, drain);
    let whole = fates.iter().filter(|fate| **fate == Fate::Whole).count();
    assert!((USERS / 2..USERS).contains(&whole), "{whole} whole");
}

/// Connects `count` users, each of whom has got the first byte and has nothing to send, so that the
/// tail is the last that happens on its connection.
async fn connected(doors: &Doors, target: SocketAddr, count: usize) -> Vec<(Way, Conn)> {
    let mut users = Vec::with_capacity(count);
    for index in 0..count {
        let way = WAYS[index % WAYS.len()];
        let mut user = doors.connect(way, target).await.unwrap();
        user.read_u8().await.unwrap();
        user.shutdown().await.unwrap();
        users.push((way, user));
    }
    users
}

/// All users are connected, the drain has begun, and only then all tails are sent at once.
async fn live_tails_are_whole_during_a_drain(
    site: Site,
    transport: Transport,
    who: Drains,
    (size, count): (usize, usize),
) {
    let gate = Arc::<Gate>::default();
    let target = target::burst_behind(&site, size, gate.clone());
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    let doors = lab.doors();
    let users = connected(&doors, target, count).await;
    who.begin(&lab);
    let draining = tokio::spawn(who.finish(lab));
    gate.open();
    let expected: Arc<[u8]> = target::pattern(size).into();
    let mut readers = JoinSet::new();
    for (way, mut user) in users {
        let expected = expected.clone();
        readers.spawn(async move {
            let (got, end) = read_all(&mut user).await;
            assert_eq!((got.len(), end), (expected.len() - 1, Ok(())), "{way:?}");
            assert!(got == expected[1..], "{way:?}");
        });
    }
    readers.join_all().await;
    let _remains = draining.await.unwrap();
    for way in WAYS {
        let late = download(&doors, way, target, &expected).await;
        assert!(matches!(late, Fate::Refused(_)), "{way:?}");
    }
}

/// The other way: the targets have ended, the drain has begun, and only then all users send their
/// last bytes at once and leave.
async fn live_uploads_are_whole_during_a_drain(
    site: Site,
    transport: Transport,
    who: Drains,
    (size, count): (usize, usize),
) {
    let (target, mut seen) = target::ends_first(&site, 0);
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    let mut users = Vec::with_capacity(count);
    for index in 0..count {
        let mut user = lab.connect(WAYS[index % WAYS.len()], target).await;
        assert_eq!(read_all(&mut user).await, (vec![], Ok(())));
        users.push(user);
    }
    who.begin(&lab);
    let draining = tokio::spawn(who.finish(lab));
    let expected: Arc<[u8]> = target::pattern(size).into();
    for mut user in users {
        let expected = expected.clone();
        tokio::spawn(async move {
            user.write_all(&expected).await.unwrap();
            user.shutdown().await.unwrap();
        });
    }
    for _ in 0..count {
        let (got, end) = seen.recv().await.unwrap();
        assert_eq!((got.len(), end), (size, Ok(())));
        assert!(got == *expected);
    }
    let _remains = draining.await.unwrap();
}

const BOTH: [Drains; 2] = [Drains::Gateway, Drains::Client];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_is_whole_or_refused_while_a_drain_begins_over_quic() {
    for who in BOTH {
        a_tail_is_whole_or_refused_while_a_drain_begins(Transport::Quic, who).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_is_whole_or_refused_while_a_drain_begins_over_websocket() {
    for who in BOTH {
        a_tail_is_whole_or_refused_while_a_drain_begins(Transport::WebSocket, who).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_tails_are_whole_during_a_drain_over_quic() {
    for who in BOTH {
        let load = (64 * 1024, USERS);
        live_tails_are_whole_during_a_drain(Site::loopback(), Transport::Quic, who, load).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_tails_are_whole_during_a_drain_over_websocket() {
    for who in BOTH {
        let load = (64 * 1024, USERS);
        let transport = Transport::WebSocket;
        live_tails_are_whole_during_a_drain(Site::loopback(), transport, who, load).await;
    }
}

#[tokio::test(start_paused = true)]
async fn live_tails_are_whole_during_a_drain_over_quic_that_loses_packets() {
    for who in BOTH {
        let load = (16 * 1024, FEWER);
        live_tails_are_whole_during_a_drain(lossy(), Transport::Quic, who, load).await;
    }
}

#[tokio::test(start_paused = true)]
async fn live_tails_are_whole_during_a_drain_over_websocket_that_loses_packets() {
    for who in BOTH {
        let load = (16 * 1024, FEWER);
        live_tails_are_whole_during_a_drain(lossy(), Transport::WebSocket, who, load).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_uploads_are_whole_during_a_drain_over_quic() {
    for who in BOTH {
        let load = (64 * 1024, USERS);
        live_uploads_are_whole_during_a_drain(Site::loopback(), Transport::Quic, who, load).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_uploads_are_whole_during_a_drain_over_websocket() {
    for who in BOTH {
        let load = (64 * 1024, USERS);
        let transport = Transport::WebSocket;
        live_uploads_are_whole_during_a_drain(Site::loopback(), transport, who, load).await;
    }
}

#[tokio::test(start_paused = true)]
async fn live_uploads_are_whole_during_a_drain_over_quic_that_loses_packets() {
    for who in BOTH {
        let load = (16 * 1024, FEWER);
        live_uploads_are_whole_during_a_drain(lossy(), Transport::Quic, who, load).await;
    }
}

#[tokio::test(start_paused = true)]
async fn live_uploads_are_whole_during_a_drain_over_websocket_that_loses_packets() {
    for who in BOTH {
        let load = (16 * 1024, FEWER);
        live_uploads_are_whole_during_a_drain(lossy(), Transport::WebSocket, who, load).await;
    }
}

/// The client has nothing more to do and leaves while the user has not read everything: what has
/// arrived at the gateway outlives the tunnel.
async fn a_tail_at_the_gateway_outlives_the_client(transport: Transport) {
    let (site, _world) = Site::simulated();
    // The user's connection takes 256 KiB, and a stream has at least 128 KiB of credit beyond that.
    let size = 360 * 1024;
    let target = target::answer_at_end(&site);
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    let expected = target::pattern(size);
    let doors = lab.doors();
    let mut users = Vec::new();
    for way in WAYS {
        let mut user = doors.connect(way, target).await.unwrap();
        user.write_all(&expected).await.unwrap();
        user.shutdown().await.unwrap();
        users.push((way, user));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let Lab { gateway, client, .. } = lab;
    assert_eq!(client.shutdown(Duration::ZERO).await, anyproxy_client::Ended::Drained);
    let gone = || gateway.sessions() == 0;
    eventually("the session is over", Duration::from_secs(1), gone).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    for (way, mut user) in users {
        let (got, end) = read_all(&mut user).await;
        assert_eq!((got.len(), end), (size, Ok(())), "{way:?}");
        assert!(got == expected, "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tail_at_the_gateway_outlives_the_client_over_quic() {
    a_tail_at_the_gateway_outlives_the_client(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_tail_at_the_gateway_outlives_the_client_over_websocket() {
    a_tail_at_the_gateway_outlives_the_client(Transport::WebSocket).await;
}

/// Everything has been handed to a slow user's connection when the tunnel dies, unheard of, over
/// the user's own last words: a reset now would destroy what is under way.
async fn a_tail_on_its_way_to_a_slow_user_outlives_the_tunnel(transport: Transport, way: Way) {
    let (site, world) = Site::simulated();
    let size = 200 * 1024;
    let target = target::burst(&site, size);
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    let slow = LinkSettings { rate: Some(4 * 1024), ..LinkSettings::default() };
    let mut user = lab.connect(way, target).await;
    world.link(lab.site.gateway_ip, USER.parse().unwrap()).forward().set(slow);
    tokio::time::sleep(Duration::from_secs(1)).await;
    tunnel_link(&lab.site, &world).black_hole(Switch::On);
    user.shutdown().await.unwrap();
    let (got, end) = read_all(&mut user).await;
    assert_eq!((got.len(), end), (size, Ok(())), "{way:?}");
    assert!(got == target::pattern(size), "{way:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tail_on_its_way_to_a_slow_user_outlives_the_tunnel_over_quic() {
    for way in WAYS {
        a_tail_on_its_way_to_a_slow_user_outlives_the_tunnel(Transport::Quic, way).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tail_on_its_way_to_a_slow_user_outlives_the_tunnel_over_websocket() {
    for way in WAYS {
        a_tail_on_its_way_to_a_slow_user_outlives_the_tunnel(Transport::WebSocket, way).await;
    }
}

/// The mirror image: a slow target that ends its own direction when the tunnel is dead already.
async fn an_upload_on_its_way_to_a_slow_target_outlives_the_tunnel(transport: Transport, way: Way) {
    let (site, world) = Site::simulated();
    let size = 200 * 1024;
    let (reports, mut seen) = tokio::sync::mpsc::channel(1);
    let target = target::serve(&site, move |mut conn| {
        let reports = reports.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            conn.shutdown().await.unwrap();
            reports.send(read_all(&mut conn).await).await.unwrap();
        }
    });
    let slow = LinkSettings { rate: Some(4 * 1024), ..LinkSettings::default() };
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    let mut user = lab.connect(way, target).await;
    world.link(CLIENT.parse().unwrap(), lab.site.target_ip).forward().set(slow);
    user.write_all(&target::pattern(size)).await.unwrap();
    user.shutdown().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    tunnel_link(&lab.site, &world).black_hole(Switch::On);
    let (got, end) = seen.recv().await.unwrap();
    assert_eq!((got.len(), end), (size, Ok(())), "{way:?}");
    assert!(got == target::pattern(size), "{way:?}");
}

#[tokio::test(start_paused = true)]
async fn an_upload_on_its_way_to_a_slow_target_outlives_the_tunnel_over_quic() {
    for way in WAYS {
        an_upload_on_its_way_to_a_slow_target_outlives_the_tunnel(Transport::Quic, way).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_on_its_way_to_a_slow_target_outlives_the_tunnel_over_websocket() {
    for way in WAYS {
        an_upload_on_its_way_to_a_slow_target_outlives_the_tunnel(Transport::WebSocket, way).await;
    }
}
