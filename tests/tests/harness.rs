//! The virtual network itself: without these, a passing end-to-end test would prove nothing.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

#[path = "harness/faults.rs"]
mod faults;
#[path = "harness/names.rs"]
mod names;
#[path = "harness/quic.rs"]
mod quic;
#[path = "harness/tcp.rs"]
mod tcp;
#[path = "harness/udp.rs"]
mod udp;

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyproxy_tests::net::{Host, LinkHandle, LinkSettings, World};
use anyproxy_transport::net::{Conn, Listener, Role};
use tokio::time::Instant;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Milliseconds since `start`; fails if it is not a whole number of them.
fn elapsed_ms(start: Instant) -> u128 {
    let elapsed = start.elapsed();
    assert_eq!(elapsed.subsec_nanos() % 1_000_000, 0, "{elapsed:?}");
    elapsed.as_millis()
}

/// Two hosts, 10.0.0.1 and 10.0.0.2, and the link between them.
struct Pair {
    world: World,
    a: Host,
    b: Host,
    link: LinkHandle,
}

impl Pair {
    fn new(settings: LinkSettings) -> Self {
        Self::seeded(1, settings)
    }

    fn seeded(seed: u64, settings: LinkSettings) -> Self {
        let world = World::new(seed);
        let a = world.host("a", ip("10.0.0.1"));
        let b = world.host("b", ip("10.0.0.2"));
        let link = world.link(a.ip(), b.ip());
        link.set(settings);
        Self { world, a, b, link }
    }

    fn with_delay(delay: Duration) -> Self {
        Self::new(LinkSettings::with_delay(delay))
    }

    fn listen(&self) -> Listener {
        self.b.net().listen(addr("0.0.0.0:443")).unwrap()
    }

    async fn connect(&self) -> std::io::Result<Conn> {
        self.a.net().connect(addr("10.0.0.2:443"), Role::Proxied).await
    }

    /// A connection from `a` to `b`: the client's end and the server's.
    async fn connected(&self) -> (Conn, Conn) {
        let listener = self.listen();
        let (client, server) = tokio::join!(self.connect(), listener.accept(Role::Proxied));
        (client.unwrap(), server.unwrap().0)
    }
}
