//! Several clients of one group share its traffic, and stand in for each other.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyproxy_client::Client;
use anyproxy_tests::{
    lab::{Options, Site, connected},
    net::{Switch, World},
    party::{Party, forward, ping},
    target,
    user::{WAYS, Way, read_all},
    wait,
};
use anyproxy_transport::{
    Transport,
    net::{Conn, Net, Role},
};
use tokio::{
    io::AsyncReadExt as _,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep},
};

const SECOND: Duration = Duration::from_secs(1);
const DEAD_AFTER: Duration = Duration::from_secs(30);

/// Two clients of one group with one forwarded port.
struct Two {
    party: Party,
    target: SocketAddr,
    port: SocketAddr,
    a: Client,
    b: Client,
    tasks: [usize; 2],
}

impl Two {
    async fn start(site: Site, transport: Transport) -> Self {
        let net = site.client.clone();
        Self::start_at(site, transport, [net.clone(), net]).await
    }

    async fn start_at(site: Site, transport: Transport, nets: [Arc<dyn Net>; 2]) -> Self {
        let target = target::echo(&site);
        let party = Party::start(site, Options::new(transport).one_connection());
        let [at_a, at_b] = nets;
        let mut config = party.config("a");
        config.forwards = vec![party.any_port(target)];
        let a = party.client_at(at_a, config);
        let port = connected(&a).await[0];
        let mut config = party.config("b");
        config.forwards = vec![forward(port, target)];
        let b = party.client_at(at_b, config);
        assert_eq!(connected(&b).await, [port]);
        let tasks = [a.tasks(), b.tasks()];
        Self { party, target, port, a, b, tasks }
    }

    /// The second client on a host of its own.
    async fn simulated(transport: Transport) -> (Self, World) {
        let (site, world) = Site::simulated();
        let nets = [site.client.clone(), world.host("second", second()).net()];
        (Self::start_at(site, transport, nets).await, world)
    }

    /// Connections that each client serves.
    fn served(&self) -> [usize; 2] {
        let [a, b] = self.tasks;
        [self.a.tasks() - a, self.b.tasks() - b]
    }
}

fn second() -> IpAddr {
    [198, 18, 0, 5].into()
}

/// Sends bytes to and fro until told to stop; true if nothing ever failed.
fn load(mut conn: Conn, stop: Arc<AtomicBool>, rounds: Arc<AtomicUsize>) -> JoinHandle<bool> {
    tokio::spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            if ping(&mut conn).await.is_err() {
                return false;
            }
            rounds.fetch_add(1, Ordering::Relaxed);
        }
        true
    })
}

const LIVE: usize = 20;

/// "Two clients in one group share one forwarded port; killing one mid-load loses only its own live
/// connections, new ones succeed at once."
async fn a_client_that_dies_takes_only_its_own_connections(site: Site, transport: Transport) {
    let two = Two::start(site, transport).await;
    let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut loads = Vec::new();
    for _ in 0..LIVE {
        let mut conn = two.party.user(two.port).await;
        ping(&mut conn).await.unwrap();
        loads.push(load(conn, stop.clone(), rounds.clone()));
    }
    assert_eq!(two.served(), [LIVE / 2; 2], "shared evenly");
    wait::until(&two.party.site, || rounds.load(Ordering::Relaxed) > 10 * LIVE).await;

    let Two { party, port, a, .. } = two;
    drop(a);
    wait::until(&party.site, || party.gateway.sessions() == 1).await;
    for _ in 0..LIVE {
        ping(&mut party.user(port).await).await.unwrap();
    }
    let before = rounds.load(Ordering::Relaxed);
    wait::until(&party.site, || rounds.load(Ordering::Relaxed) > before + 10 * LIVE).await;
    stop.store(true, Ordering::Relaxed);
    let mut lived = 0;
    for load in loads {
        lived += usize::from(load.await.unwrap());
    }
    assert_eq!(lived, LIVE / 2, "the other client's connections go on");
}

#[tokio::test]
async fn a_client_that_dies_takes_only_its_own_connections_over_quic() {
    a_client_that_dies_takes_only_its_own_connections(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn a_client_that_dies_takes_only_its_own_connections_over_websocket() {
    a_client_that_dies_takes_only_its_own_connections(Site::loopback(), Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_dies_takes_only_its_own_connections_over_quic_simulated() {
    let site = Site::simulated().0;
    a_client_that_dies_takes_only_its_own_connections(site, Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_dies_takes_only_its_own_connections_over_websocket_simulated() {
    let site = Site::simulated().0;
    a_client_that_dies_takes_only_its_own_connections(site, Transport::WebSocket).await;
}

/// A client falls silent, as one does that is killed. Its tunnel looks alive for half a minute more, but
/// whoever comes is served by the other one: at once, but for those who find the silence out.
async fn a_silent_session_is_replaced_before_the_reply(transport: Transport) {
    let (two, world) = Two::simulated(transport).await;
    let mut live = Vec::new();
    for _ in 0..4 {
        let mut conn = two.party.user(two.port).await;
        ping(&mut conn).await.unwrap();
        live.push(conn);
    }
    sleep(7 * SECOND).await;
    world.link(two.party.site.gateway_ip, second()).black_hole(Switch::On);
    let (began, doors) = (Instant::now(), two.party.doors(&[two.port]));
    let users = (0..12).map(|number| {
        let (doors, way) = (doors.clone(), WAYS[number % 3]);
        let target = two.target;
        tokio::spawn(async move {
            let mut conn = doors.connect(way, target).await.unwrap();
            ping(&mut conn).await.unwrap();
            began.elapsed()
        })
    });
    let mut waited = Vec::new();
    for user in users.collect::<Vec<_>>() {
        waited.push(user.await.unwrap());
    }
    let late = waited.iter().filter(|waited| **waited > SECOND / 4).count();
    assert_eq!(late, 6, "half of them met the silent one: {waited:?}");
    assert!(waited.iter().all(|waited| *waited < SECOND), "{waited:?}");
    assert_eq!(two.party.gateway.sessions(), 2, "nobody has noticed yet");
    for number in 0..6 {
        let began = Instant::now();
        let mut conn = doors.connect(WAYS[number % 3], two.target).await.unwrap();
        ping(&mut conn).await.unwrap();
        assert!(began.elapsed() < SECOND / 4, "nobody is sent there any more");
    }
    let mut lost = 0;
    for conn in &mut live {
        lost += usize::from(ping(conn).await.is_err());
    }
    assert_eq!(lost, 2);
    assert!(began.elapsed() <= DEAD_AFTER);
    assert_eq!(two.party.gateway.sessions(), 1);
}

/// A client that was out of reach for a moment is asked again as soon as it is heard.
async fn a_session_that_was_silent_serves_again(transport: Transport) {
    let (two, world) = Two::simulated(transport).await;
    let link = world.link(two.party.site.gateway_ip, second());
    link.black_hole(Switch::On);
    for _ in 0..2 {
        ping(&mut two.party.user(two.port).await).await.unwrap();
    }
    link.black_hole(Switch::Off);
    sleep(15 * SECOND).await;
    let mut conns = Vec::new();
    for _ in 0..4 {
        let mut conn = two.party.user(two.port).await;
        ping(&mut conn).await.unwrap();
        conns.push(conn);
    }
    assert_eq!(two.served(), [2; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_silent_serves_again_over_quic() {
    a_session_that_was_silent_serves_again(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_silent_serves_again_over_websocket() {
    a_session_that_was_silent_serves_again(Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_session_is_replaced_before_the_reply_over_quic() {
    a_silent_session_is_replaced_before_the_reply(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_session_is_replaced_before_the_reply_over_websocket() {
    a_silent_session_is_replaced_before_the_reply(Transport::WebSocket).await;
}

/// A target that tells from where it was reached.
fn teller(site: &Site) -> (SocketAddr, mpsc::Receiver<IpAddr>) {
    let (tell, told) = mpsc::channel(64);
    let addr = target::serve(site, move |mut conn| {
        let tell = tell.clone();
        async move {
            let _ = tell.send(conn.peer_addr().unwrap().ip()).await;
            let _ = conn.read_u8().await;
        }
    });
    (addr, told)
}

/// One connection after the other: all sessions are equally idle each time.
async fn idle_sessions_take_turns(transport: Transport) {
    let (two, _world) = Two::simulated(transport).await;
    let (target, mut told) = teller(&two.party.site);
    let doors = two.party.doors(&[]);
    for way in [Way::Http, Way::Socks5] {
        let mut turns = Vec::new();
        for _ in 0..10 {
            drop(doors.connect(way, target).await.unwrap());
            turns.push(told.recv().await.unwrap());
            // Until the stream is gone at the gateway too.
            sleep(SECOND).await;
        }
        for pair in turns.windows(2) {
            assert_ne!(pair[0], pair[1], "{turns:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn idle_sessions_take_turns_over_quic() {
    idle_sessions_take_turns(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn idle_sessions_take_turns_over_websocket() {
    idle_sessions_take_turns(Transport::WebSocket).await;
}

/// A client that joins late gets all connections until it has as many as the other one.
async fn the_least_loaded_session_comes_first(transport: Transport) {
    let (two, world) = Two::simulated(transport).await;
    let Two { party, target, port, a, b, .. } = two;
    b.shutdown(Duration::ZERO).await;
    wait::until(&party.site, || party.gateway.sessions() == 1).await;
    let mut live = Vec::new();
    for _ in 0..6 {
        live.push(party.user(port).await);
        ping(live.last_mut().unwrap()).await.unwrap();
    }
    let mut config = party.config("late");
    config.forwards = vec![forward(port, target)];
    let late = party.client_at(world.host("late", [198, 18, 0, 6].into()).net(), config);
    connected(&late).await;
    let (at_a, at_late) = (a.tasks(), late.tasks());
    for _ in 0..6 {
        live.push(party.user(port).await);
        ping(live.last_mut().unwrap()).await.unwrap();
    }
    assert_eq!((a.tasks() - at_a, late.tasks() - at_late), (0, 6));
}

#[tokio::test(start_paused = true)]
async fn the_least_loaded_session_comes_first_over_quic() {
    the_least_loaded_session_comes_first(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn the_least_loaded_session_comes_first_over_websocket() {
    the_least_loaded_session_comes_first(Transport::WebSocket).await;
}

/// With nobody left the port closes, and users that were served know it.
#[tokio::test(start_paused = true)]
async fn the_last_client_takes_the_port_along() {
    let (two, _world) = Two::simulated(Transport::Quic).await;
    let Two { party, port, a, b, .. } = two;
    let mut user = party.user(port).await;
    ping(&mut user).await.unwrap();
    drop((a, b));
    assert!(read_all(&mut user).await.1.is_err(), "a cut must not look like an end");
    wait::until(&party.site, || party.gateway.sessions() == 0).await;
    sleep(SECOND).await;
    assert!(party.site.user.connect(port, Role::Proxied).await.is_err());
}
