//! A gateway that leaves: its clients go on to the next one, not all at once, and what is live finishes.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failure is the test's result"
)]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_client::Client;
use anyproxy_gateway::{Ended, Gateway, StartError};
use anyproxy_tests::{
    lab::{self, Certificates, Options, Site},
    net::World,
    party::Party,
    target,
    user::{As, Doors},
    wait,
};
use anyproxy_transport::{
    Transport,
    net::{Conn, Net},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep},
};

const SECOND: Duration = Duration::from_secs(1);
/// Each on a host of its own.
const CLIENTS: usize = 20;
const REPLICAS: u32 = 50;
/// Of all clients, each as a client of its own is to the gateway.
const SESSIONS: usize = 1000;
/// What a gateway asks for: each session is told to come back within five seconds, at random.
const SPREAD: Duration = Duration::from_secs(5);
const RETURNS_PER_SECOND: usize = 200;
/// Clients and their replicas, where the same is done several times.
const SOME: (usize, u32) = (10, 20);
const NAME: &str = "gateway.test";
const PORT: u16 = 8443;

/// Gateways at one name, whose address changes.
struct Service {
    site: Site,
    world: World,
    options: Options,
    certificates: Certificates,
}

impl Service {
    fn new(transport: Transport) -> Self {
        let (site, world) = Site::simulated();
        let certificates = Certificates::new(&[NAME]);
        Self { site, world, options: Options::new(transport), certificates }
    }

    /// Starts a gateway on a host of its own, at which the name points from now on.
    fn gateway(&self, last: u8) -> Gateway {
        let ip = [198, 18, 1, last].into();
        let host = self.world.host(&format!("gateway-{last}"), ip);
        self.world.name(NAME, &[ip]);
        let site = Site { gateway: host.net(), gateway_ip: ip, ..self.site.clone() };
        self.gateway_at(&site).unwrap()
    }

    /// Starts a gateway at the host of that site.
    fn gateway_at(&self, site: &Site) -> Result<Gateway, StartError> {
        let mut config = lab::gateway_config(site, &self.options, &self.certificates);
        config.tunnels.addr.set_port(PORT);
        Gateway::start(&config, site.gateway.clone(), 10 * SECOND)
    }

    /// The same as soon as the former one has let its ports go.
    async fn next_gateway_at(&self, site: &Site) -> Gateway {
        loop {
            match self.gateway_at(site) {
                Ok(gateway) => break gateway,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn client(&self, id: usize, replicas: u32) -> Client {
        let anywhere = SocketAddr::new(self.site.gateway_ip, PORT);
        let (site, options) = (&self.site, &self.options);
        let mut config = lab::client_config(site, options, &self.certificates, anywhere);
        config.gateway.host = NAME.into();
        config.client_id = format!("client-{id}");
        config.replicas = replicas;
        Client::start(config, home(&self.world, id), 10 * SECOND).unwrap()
    }

    async fn user(&self, gateway: &Gateway, target: SocketAddr) -> Conn {
        let doors = Doors::of(&self.site, gateway, &[]);
        let mut conn = doors.http_connect(&target.to_string(), &As::default()).await.unwrap();
        echoes(&mut conn).await;
        conn
    }

    async fn until(&self, reached: impl FnMut() -> bool) {
        wait::until(&self.site, reached).await;
    }
}

/// The network of client number `id`.
fn home(world: &World, id: usize) -> Arc<dyn Net> {
    let ip = [198, 18, 2, u8::try_from(id).unwrap()].into();
    world.host(&format!("client-{id}"), ip).net()
}

async fn echoes(conn: &mut Conn) {
    conn.write_all(b"hello").await.unwrap();
    let mut got = [0; 5];
    conn.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hello");
}

/// When each of the sessions came, after now.
async fn arrivals(gateway: &Gateway, sessions: usize) -> Vec<Duration> {
    let began = Instant::now();
    let mut times = Vec::new();
    while times.len() < sessions {
        sleep(Duration::from_millis(5)).await;
        times.resize(gateway.sessions().max(times.len()), began.elapsed());
        assert!(began.elapsed() < 300 * SECOND, "only {} came back", times.len());
    }
    times
}

/// How many came within `period` at most.
fn busiest(times: &[Duration], period: Duration) -> usize {
    let soon =
        |from: &Duration| times.iter().filter(|it| *it >= from && **it < *from + period).count();
    times.iter().map(soon).max().unwrap_or_default()
}

async fn a_storm_is_spread_over_what_the_gateway_asks_for(transport: Transport) {
    let service = Service::new(transport);
    let target = target::echo(&service.site);
    let first = service.gateway(1);
    let clients: Vec<_> = (0..CLIENTS).map(|id| service.client(id, REPLICAS)).collect();
    service.until(|| first.sessions() == SESSIONS).await;
    let mut live = service.user(&first, target).await;
    // Sessions of a few seconds are not good ones yet, and would be taken for a gateway that fails.
    sleep(20 * SECOND).await;

    let second = service.gateway(2);
    let (shutting_down, times) = tokio::join!(
        async {
            let ending = first.shutdown(60 * SECOND);
            tokio::pin!(ending);
            tokio::select! {
                ended = &mut ending => unreachable!("{ended:?} before the live connection"),
                () = sleep(20 * SECOND) => {}
            }
            // The clients have long moved, and this one goes on.
            echoes(&mut live).await;
            drop(live);
            ending.await
        },
        arrivals(&second, SESSIONS)
    );
    assert_eq!(shutting_down, Ended::Drained);
    let by = |time| times.iter().filter(|came| **came <= time).count();
    let counts = [1, 2, 3, 4].map(|quarter| by(quarter * SPREAD / 4));
    let peak = busiest(&times, SECOND);
    let last = times.last().unwrap();
    println!(
        "{transport}: {counts:?} by quarters, at most {peak} in a second, the last at {last:?}"
    );
    // Handshakes take some round trips, and chance has its part: five times its standard deviation.
    for (quarter, count) in (1..).zip(counts) {
        let even = SESSIONS * quarter / 4;
        assert!(count.abs_diff(even) <= 80, "{count} of {SESSIONS} by quarter {quarter}");
    }
    assert!(peak <= RETURNS_PER_SECOND + 64, "{peak} in a second");
    assert!(*last <= SPREAD + SECOND, "{last:?}");
    service.user(&second, target).await;
    drop(clients);
}

#[tokio::test(start_paused = true)]
async fn a_storm_is_spread_over_what_the_gateway_asks_for_over_quic() {
    a_storm_is_spread_over_what_the_gateway_asks_for(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_storm_is_spread_over_what_the_gateway_asks_for_over_websocket() {
    a_storm_is_spread_over_what_the_gateway_asks_for(Transport::WebSocket).await;
}

/// With few clients there is no storm: the pause without service is as short as it can be.
async fn a_lone_client_goes_on_at_once(transport: Transport) {
    let service = Service::new(transport);
    let first = service.gateway(1);
    let client = service.client(0, 1);
    service.until(|| first.sessions() == 1).await;
    sleep(20 * SECOND).await;
    let second = service.gateway(2);
    let began = Instant::now();
    let moving = service.until(|| second.sessions() == 1);
    let (ended, ()) = tokio::join!(first.shutdown(10 * SECOND), moving);
    assert_eq!(ended, Ended::Drained);
    assert!(began.elapsed() < SECOND / 2, "{:?}", began.elapsed());
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_lone_client_goes_on_at_once_over_quic() {
    a_lone_client_goes_on_at_once(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_lone_client_goes_on_at_once_over_websocket() {
    a_lone_client_goes_on_at_once(Transport::WebSocket).await;
}

/// Clients that come back while their gateway still drains are refused; soon after the next one is there, they are
/// there too, however long it took, and not all at once.
async fn the_next_gateway_is_found_soon(transport: Transport, (clients, replicas): (usize, u32)) {
    for drained in [SECOND / 4, 3 * SECOND, 30 * SECOND] {
        let service = Service::new(transport);
        let target = target::echo(&service.site);
        service.world.name(NAME, &[service.site.gateway_ip]);
        let first = service.gateway_at(&service.site).unwrap();
        let sessions = clients * usize::try_from(replicas).unwrap();
        let clients: Vec<_> = (0..clients).map(|id| service.client(id, replicas)).collect();
        service.until(|| first.sessions() == sessions).await;
        let live = service.user(&first, target).await;
        sleep(20 * SECOND).await;
        let leaves = async {
            sleep(drained).await;
            drop(live);
        };
        let (ended, ()) = tokio::join!(first.shutdown(60 * SECOND), leaves);
        assert_eq!(ended, Ended::Drained);
        let second = service.next_gateway_at(&service.site).await;
        let times = arrivals(&second, sessions).await;
        let last = *times.last().unwrap();
        // An attempt over QUIC that began while nobody listened sends again after 1 s, and then after 3 s.
        let lost = if transport == Transport::Quic { 3 * SECOND } else { Duration::ZERO };
        assert!(last <= 2 * SECOND + lost, "{transport}, {sessions} after {drained:?}: {last:?}");
        let busiest = busiest(&times, SECOND / 10);
        assert!(sessions < 100 || busiest <= sessions / 4, "a storm: {busiest} in 100 ms");
        drop(clients);
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_gateway_is_found_soon_over_quic() {
    the_next_gateway_is_found_soon(Transport::Quic, (1, 1)).await;
    the_next_gateway_is_found_soon(Transport::Quic, SOME).await;
}

#[tokio::test(start_paused = true)]
async fn the_next_gateway_is_found_soon_over_websocket() {
    the_next_gateway_is_found_soon(Transport::WebSocket, (1, 1)).await;
    the_next_gateway_is_found_soon(Transport::WebSocket, SOME).await;
}

/// Those whose first attempts fail, because the gateway is not back yet, are spread by their pauses.
async fn everybody_is_back_after_a_restart_at_the_same_address(transport: Transport) {
    let (site, world) = Site::simulated();
    let party = Party::start(site, Options::new(transport));
    let mut clients = Vec::new();
    for id in 0..CLIENTS {
        let mut config = party.config(&format!("client-{id}"));
        config.replicas = REPLICAS;
        clients.push(party.client_at(home(&world, id), config));
    }
    wait::until(&party.site, || party.gateway.sessions() == SESSIONS).await;
    sleep(20 * SECOND).await;
    let party = party.restart().await;
    let times = arrivals(&party.gateway, SESSIONS).await;
    let busiest = busiest(&times, SECOND / 10);
    println!("{transport}: at most {busiest} in 100 ms, the last after {:?}", times.last());
    assert!(busiest <= SESSIONS / 4, "a storm: {busiest} in 100 ms");
    assert!(*times.last().unwrap() <= 60 * SECOND);
    drop(clients);
}

#[tokio::test(start_paused = true)]
async fn everybody_is_back_after_a_restart_at_the_same_address_over_quic() {
    everybody_is_back_after_a_restart_at_the_same_address(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn everybody_is_back_after_a_restart_at_the_same_address_over_websocket() {
    everybody_is_back_after_a_restart_at_the_same_address(Transport::WebSocket).await;
}
