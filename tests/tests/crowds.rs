//! Too many at the tunnel port: one host with many connections, and floods under forged addresses.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's")]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyproxy_gateway::Gateway;
use anyproxy_runtime::{Deadline, Scope};
use anyproxy_tests::{
    lab::{Certificates, GROUP, Options, Site, connected, start_client, start_gateway},
    net::{LinkSettings, Switch, World},
};
use anyproxy_transport::{
    DialConfig, Dialer, OldestTls, Transport, Trust,
    net::{Conn, Net, Role},
};
use tokio::io::AsyncReadExt as _;

const SECOND: Duration = Duration::from_secs(1);

/// A gateway, and a world with room for strangers.
struct Scene {
    site: Site,
    world: World,
    certificates: Certificates,
    options: Options,
    gateway: Gateway,
    calm: usize,
}

impl Scene {
    async fn new(options: Options) -> Self {
        let (site, world) = Site::simulated();
        let certificates = Certificates::new(&["gateway.test"]);
        let gateway = start_gateway(&site, &options, &certificates);
        tokio::time::sleep(SECOND).await;
        let calm = gateway.tasks();
        Self { site, world, certificates, options, gateway, calm }
    }

    fn addr(&self) -> SocketAddr {
        self.gateway.addresses().tunnels
    }

    fn stranger(&self, number: usize) -> (IpAddr, Arc<dyn Net>) {
        let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
        let ip = IpAddr::V4(Ipv4Addr::new(198, 19, high, low));
        (ip, self.world.host(&format!("stranger {number}"), ip).net())
    }

    /// Somebody who begins QUIC handshakes under the address `number`, which is not its own: the
    /// answers reach nobody.
    fn forger(&self, number: usize, scope: &Scope) {
        let (ip, net) = self.stranger(number);
        self.world.link(self.site.gateway_ip, ip).forward().black_hole_udp(Switch::On);
        let dialer = self.dialer(net);
        scope.spawn("forger", async move {
            let _given_up = dialer.dial(Transport::Quic, Deadline::after(20 * SECOND)).await;
        });
    }

    /// A connection that is a tunnel as far as the transport goes, and on which nothing is said.
    fn dialer(&self, net: Arc<dyn Net>) -> Dialer {
        let addr = self.addr();
        let config = DialConfig {
            host: addr.ip().to_string(),
            port: addr.port(),
            server_name: Some("gateway.test".into()),
            trust: Trust::from_ca_pem(self.certificates.ca.as_bytes()).unwrap(),
            certificate: None,
            path: "/anyproxy".into(),
            oldest_tls: OldestTls::Tls13,
            route: anyproxy_transport::Route::default(),
            congestion: anyproxy_transport::Congestion::default(),
        };
        Dialer::new(net, config).unwrap()
    }

    /// The client connects within `limit`.
    async fn lets_a_client_in(&self, limit: Duration) {
        let client = start_client(&self.site, &self.options, &self.certificates, self.addr());
        let ready = Deadline::after(limit).bound(connected(&client)).await;
        assert!(ready.is_ok(), "{GROUP}: {:?}", client.state().borrow());
        client.shutdown(Duration::ZERO).await;
    }

    /// Everything that strangers cost is gone again.
    async fn is_calm(&self) {
        tokio::time::sleep(20 * SECOND).await;
        assert_eq!(self.gateway.tasks(), self.calm);
    }
}

/// One host holds all the connections that it may have, and opens more all the time; a client from
/// elsewhere with a slow link, whose handshake takes seconds, keeps its place.
async fn a_greedy_host_pushes_nobody_out(transport: Transport) {
    let mut options = Options::new(transport);
    options.limits.max_handshakes = 16;
    options.limits.max_handshakes_per_address = 8;
    let scene = Scene::new(options).await;
    let client_ip = IpAddr::V4(Ipv4Addr::new(198, 18, 0, 2));
    let slow = LinkSettings::with_delay(Duration::from_millis(500));
    scene.world.link(scene.site.gateway_ip, client_ip).set(slow);
    let scope = Scope::root("greedy");
    let (net, addr) = (scene.stranger(1).1, scene.addr());
    scope.spawn("greedy", async move {
        let mut held: Vec<Conn> = Vec::new();
        loop {
            // Twenty a second, of which the gateway keeps eight.
            held.push(net.connect(addr, Role::Proxied).await.unwrap());
            held.drain(..held.len().saturating_sub(100));
            tokio::time::sleep(SECOND / 20).await;
        }
    });
    tokio::time::sleep(5 * SECOND).await;
    assert!(scene.gateway.tasks() <= scene.calm + 8, "no more than one address may have");
    scene.lets_a_client_in(9 * SECOND).await;
    scope.cancel();
    scene.is_calm().await;
}

#[tokio::test(start_paused = true)]
async fn a_greedy_host_pushes_nobody_out_over_quic() {
    a_greedy_host_pushes_nobody_out(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_greedy_host_pushes_nobody_out_over_websocket() {
    a_greedy_host_pushes_nobody_out(Transport::WebSocket).await;
}

/// More first packets under forged addresses than the gateway keeps handshakes: what they cost is
/// bounded, and a client gets in, over QUIC through a Retry.
async fn a_flood_under_forged_addresses_keeps_nobody_out(transport: Transport) {
    let mut options = Options::new(transport);
    options.limits.max_handshakes = 64;
    options.limits.max_unproven = 32;
    let scene = Scene::new(options).await;
    let scope = Scope::root("forgers");
    for number in 0..600 {
        scene.forger(number, &scope);
    }
    // Each sends again after 1, 3 and 7 s, as QUIC does without an answer.
    for _ in 0..4 {
        tokio::time::sleep(SECOND).await;
        let strangers = scene.gateway.tasks() - scene.calm;
        assert_eq!(strangers, 32, "so many are held, whatever is sent");
    }
    scene.lets_a_client_in(SECOND).await;
    scope.cancel();
    scene.is_calm().await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_under_forged_addresses_keeps_nobody_out_over_quic() {
    a_flood_under_forged_addresses_keeps_nobody_out(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_under_forged_addresses_keeps_nobody_out_over_websocket() {
    a_flood_under_forged_addresses_keeps_nobody_out(Transport::WebSocket).await;
}

/// A flood under the very address of the client, which is also all that one address may have.
#[tokio::test(start_paused = true)]
async fn a_flood_under_a_clients_own_address_does_not_keep_it_out() {
    let mut options = Options::new(Transport::Quic);
    options.limits.max_handshakes_per_address = 4;
    let scene = Scene::new(options).await;
    let scope = Scope::root("forgers");
    for _ in 0..200 {
        // Nobody hears the answers at these ports: the sockets are gone when the first are due.
        let dialer = scene.dialer(scene.site.client.clone());
        scope.spawn("forger", async move {
            let _gone = dialer.dial(Transport::Quic, Deadline::after(SECOND / 1000)).await;
        });
    }
    tokio::time::sleep(SECOND / 10).await;
    assert_eq!(scope.tasks(), 0, "all have sent and are gone");
    assert!(scene.gateway.tasks() <= scene.calm + 4);
    scene.lets_a_client_in(SECOND).await;
    scene.is_calm().await;
}

/// How long dialling takes at this gateway.
async fn dialling(scene: &Scene) -> Duration {
    let dialer = scene.dialer(scene.site.client.clone());
    let began = tokio::time::Instant::now();
    dialer.dial(Transport::Quic, Deadline::after(SECOND)).await.unwrap();
    began.elapsed()
}

fn with_unproven(max_unproven: usize) -> Options {
    let mut options = Options::new(Transport::Quic);
    options.limits.max_unproven = max_unproven;
    options
}

#[tokio::test(start_paused = true)]
async fn a_retry_costs_one_round_trip_and_a_calm_gateway_sends_none() {
    let calm = dialling(&Scene::new(with_unproven(1)).await).await;
    let crowded = dialling(&Scene::new(with_unproven(0)).await).await;
    assert_eq!(crowded, calm + Duration::from_millis(20));
}

/// Only handshakes count: a gateway with many sessions is not crowded.
#[tokio::test(start_paused = true)]
async fn live_sessions_cost_newcomers_no_retry() {
    let scene = Scene::new(with_unproven(1)).await;
    let calm = dialling(&scene).await;
    tokio::time::sleep(20 * SECOND).await;
    let client = start_client(&scene.site, &scene.options, &scene.certificates, scene.addr());
    connected(&client).await;
    assert_eq!(dialling(&scene).await, calm);
    client.shutdown(Duration::ZERO).await;
}

/// A stranger who stays silent, before or after the transport's handshake, is closed after 10 s.
async fn silence_ends_after_ten_seconds(transport: Transport) {
    let scene = Scene::new(Options::new(transport)).await;
    let (_, net) = scene.stranger(1);
    let mut silent = net.connect(scene.addr(), Role::Proxied).await.unwrap();
    let half = scene.dialer(net).dial(transport, Deadline::after(SECOND)).await.unwrap();
    tokio::time::sleep(9 * SECOND).await;
    assert_eq!(scene.gateway.tasks(), scene.calm + 2);
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(scene.gateway.tasks(), scene.calm);
    assert!(matches!(silent.read(&mut [0]).await, Ok(0) | Err(_)));
    drop(half);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_after_ten_seconds_over_quic() {
    silence_ends_after_ten_seconds(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn silence_ends_after_ten_seconds_over_websocket() {
    silence_ends_after_ten_seconds(Transport::WebSocket).await;
}
