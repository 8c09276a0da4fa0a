//! What becomes of a session when one of its several WebSocket tunnels is lost, through a middlebox that knows them apart.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyproxy_client::{Choice, Client};
use anyproxy_tests::{
    lab::{self, Options},
    pair::{Pair, transport},
    party::ping,
    target,
    user::{Doors, Way},
    wait,
};
use anyproxy_transport::{
    Transport,
    net::{Conn, Role},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// What a middlebox does to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nothing passes any more, and nobody is told.
    Dark,
    Cut,
}

/// Passes connections on to the gateway, and numbers them.
struct Middlebox {
    addr: SocketAddr,
    made: Arc<AtomicUsize>,
    fates: watch::Sender<HashMap<usize, Fate>>,
}

impl Middlebox {
    fn new(pair: &Pair) -> Self {
        let host = pair.world.host("middlebox", [198, 18, 0, 9].into());
        let (made, fates) = (Arc::new(AtomicUsize::new(0)), watch::Sender::new(HashMap::new()));
        let mut site = pair.party.site.clone();
        (site.target, site.target_ip) = (host.net(), host.ip());
        let gateway = pair.party.gateway.addresses().tunnels;
        let (count, fate) = (Arc::clone(&made), fates.subscribe());
        let addr = target::serve(&site, move |client| {
            let (number, fate) = (count.fetch_add(1, Ordering::Relaxed), fate.clone());
            let net = host.net();
            async move {
                let gateway = net.connect(gateway, Role::Proxied).await.unwrap();
                relay(client, gateway, number, fate).await;
            }
        });
        Self { addr, made, fates }
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    fn fate(&self, number: usize, fate: Fate) {
        self.fates.send_modify(|fates| {
            fates.insert(number, fate);
        });
    }
}

async fn relay(
    mut client: Conn,
    mut gateway: Conn,
    number: usize,
    mut fates: watch::Receiver<HashMap<usize, Fate>>,
) {
    let passing = tokio::io::copy_bidirectional(&mut client, &mut gateway);
    let fate = async { fates.wait_for(|it| it.contains_key(&number)).await.unwrap()[&number] };
    let fate = tokio::select! {
        _ = passing => return,
        fate = fate => fate,
    };
    if fate == Fate::Dark {
        std::future::pending::<()>().await;
    }
}

struct Place {
    pair: Pair,
    middlebox: Middlebox,
    client: Client,
    port: SocketAddr,
    /// Somebody who stays, so that there is need for several.
    resting: Conn,
}

impl Place {
    /// All tunnels are there; the first is the session's main one.
    async fn new() -> Self {
        let pair = Pair::with(Choice::WebSocket, Options::new(Transport::WebSocket));
        let middlebox = Middlebox::new(&pair);
        let mut config = pair.party.config("pair");
        config.transport = Choice::WebSocket;
        config.forwards = vec![pair.party.any_port(pair.target)];
        config.gateway.host = middlebox.addr.ip().to_string();
        config.gateway.port = middlebox.addr.port();
        let client = pair.party.client(config);
        let port = lab::connected(&client).await[0];
        let resting = pair.user(port).await;
        let place = Self { pair, middlebox, client, port, resting };
        place.tunnels_are(4).await;
        place
    }

    fn tunnels(&self) -> usize {
        let sessions = self.pair.party.gateway.watched().figures().sessions;
        sessions.iter().map(|session| session.tunnels).sum()
    }

    async fn tunnels_are(&self, wanted: usize) {
        wait::until(&self.pair.party.site, || self.tunnels() == wanted).await;
    }

    fn doors(&self) -> Doors {
        self.pair.party.doors(&[self.port])
    }

    /// How long the slowest of so many waits for its connection by way of a proxy.
    async fn slowest(&self, users: usize) -> Duration {
        let (target, began) = (self.pair.target, Instant::now());
        let mut asking = JoinSet::new();
        for number in 0..users {
            let doors = self.doors();
            let way = if number % 2 == 0 { Way::Http } else { Way::Socks5 };
            asking.spawn(async move {
                let mut user = doors.connect(way, target).await.unwrap();
                ping(&mut user).await.unwrap();
                user
            });
        }
        // All stay, so that every tunnel gets some.
        let users = asking.join_all().await;
        let took = began.elapsed();
        drop(users);
        took
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_tunnel_that_is_dark() {
    for dark in 1..4 {
        let mut place = Place::new().await;
        place.middlebox.fate(dark, Fate::Dark);
        let took = place.slowest(16).await;
        assert!(took < 5 * SECOND, "{took:?}");
        assert!(place.slowest(16).await < SECOND, "it is known by now");
        // It is found to be dead, and another one is made.
        sleep(2 * MINUTE).await;
        let _stays = place.pair.user(place.port).await;
        place.tunnels_are(4).await;
        assert!(place.slowest(16).await < SECOND);
        assert_eq!(place.pair.party.gateway.sessions(), 1);
        // Who was there was in the first one.
        ping(&mut place.resting).await.unwrap();
    }
}

/// A port's users have sent their first bytes, and are not asked for again. So a tunnel that is dark is left alone soon,
/// though nothing was on it.
#[tokio::test(start_paused = true)]
async fn a_dark_tunnel_gets_no_users_of_a_port_for_long() {
    let place = Place::new().await;
    place.middlebox.fate(2, Fate::Dark);
    let mut users = Vec::new();
    for _ in 0..7 {
        // Some of them are put there.
        users.push(timeout(SECOND / 2, place.pair.user(place.port)).await);
        sleep(SECOND).await;
    }
    assert!(users.iter().any(Result::is_err), "it was never tried");
    for _ in 0..16 {
        let user = timeout(SECOND, place.pair.user(place.port)).await;
        users.push(Ok(user.expect("put where nobody answers")));
    }
}

#[tokio::test(start_paused = true)]
async fn the_session_outlives_the_tunnel_that_it_came_up_with() {
    let place = Place::new().await;
    let mut users = Vec::new();
    for _ in 0..7 {
        users.push(place.pair.user(place.port).await);
    }
    place.middlebox.fate(0, Fate::Cut);
    place.tunnels_are(3).await;
    let mut alive = 0;
    for user in &mut users {
        alive += usize::from(timeout(SECOND, ping(user)).await.is_ok_and(|pinged| pinged.is_ok()));
    }
    assert!(alive >= 5, "a quarter of them was there: {alive} of 7 go on");
    assert!(place.slowest(16).await < SECOND);
    assert_eq!(transport(&place.client), Some(Transport::WebSocket));
    // Those that come now are beside the one that took its place, at both ends.
    place.tunnels_are(4).await;
    sleep(10 * SECOND).await;
    assert!(place.slowest(16).await < SECOND);
    let session = place.pair.party.gateway.watched().figures().sessions.remove(0);
    assert_eq!((session.tunnels, session.moves), (4, 0));
}

/// Somebody rests while others come and go: the tunnels stay, and are not made again and again.
#[tokio::test(start_paused = true)]
async fn tunnels_in_use_now_and_then_stay() {
    let place = Place::new().await;
    for _ in 0..60 {
        let mut user = place.pair.user(place.port).await;
        sleep(SECOND).await;
        ping(&mut user).await.unwrap();
        drop(user);
        sleep(9 * SECOND).await;
    }
    assert_eq!((place.tunnels(), place.middlebox.made()), (4, 4));
    sleep(2 * MINUTE).await;
    assert!(place.tunnels() <= 2, "{}", place.tunnels());
}

/// What a session has moved does not shrink when one of its tunnels is closed.
#[tokio::test(start_paused = true)]
async fn what_went_through_a_tunnel_that_is_gone_still_counts() {
    let place = Place::new().await;
    let bytes = || {
        let session = place.pair.party.gateway.watched().figures().sessions.remove(0);
        session.stats.sent + session.stats.received
    };
    for _ in 0..8 {
        let mut user = place.pair.user(place.port).await;
        user.write_all(&[7; 100_000]).await.unwrap();
        user.read_exact(&mut vec![0; 100_000]).await.unwrap();
    }
    let before = bytes();
    assert!(before > 1_600_000, "{before}");
    sleep(2 * MINUTE).await;
    assert!(place.tunnels() <= 2);
    assert!(bytes() >= before, "{} after {before}", bytes());
}
